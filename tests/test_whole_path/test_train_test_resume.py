# Licensed under the Apache License, Version 2.0.
"""From scenes to a metric and back from a kill, by the commands themselves."""

import json
import os
import re
import signal

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.registry import DATASETS, MODELS

# Kills its own process before an iteration, as a cluster might.
KILLER = '''
import os
import signal

from mmengine.hooks import Hook

from mmrefseg.registry import HOOKS


@HOOKS.register_module()
class Killer(Hook):
    priority = 'VERY_LOW'

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == int(os.environ['KILL_AFTER']):
            os.kill(os.getpid(), signal.SIGKILL)
'''
EPOCHS = 3


@pytest.fixture(scope='module')
def whole(place):
    """What the uninterrupted run logged."""
    done = place.python('train.py', place.config, '--work-dir', 'whole')
    assert done.returncode == 0, done.stderr
    return place.scalars('whole')[0]


def _losses(scalars):
    """All losses of each iteration, and the rate."""
    return {
        line['step']: {
            k: v
            for k, v in line.items() if 'loss' in k or k == 'lr' or 'ce' in k
        }
        for line in scalars if 'loss' in line
    }


def _metrics(scalars):
    return [
        {k: v for k, v in line.items() if 'time' not in k}
        for line in scalars if 'oIoU' in line
    ]


def test_training_logs_every_iteration(place, whole):
    losses = _losses(whole)
    per_epoch = len(losses) // EPOCHS
    assert list(losses) == list(range(1, EPOCHS * per_epoch + 1))
    assert per_epoch >= 3
    # One sentence of each ref in an epoch, the last few left out.
    refs = DATASETS.build(_dataset(place, 'train')).get_ref_groups()
    assert per_epoch == len(refs) // 4
    assert all(np.isfinite(x['decode.loss_prior']) for x in losses.values())
    assert [line['step'] for line in _metrics(whole)] == [1, 2, 3]
    rates = [x['lr'] for x in losses.values()]
    assert rates == sorted(rates, reverse=True) and rates[0] > rates[1]


def _dataset(place, part):
    init_default_scope('mmrefseg')
    return Config.fromfile(place.config)[f'{part}_dataloader'].dataset


def test_test_command_measures_what_the_model_does(place, whole):
    """The table against the model run here, one sentence at a time."""
    done = place.python('test.py', place.config, 'whole/epoch_3.pth',
                        '--work-dir', 'tested')
    assert done.returncode == 0, done.stderr
    file, = (place.folder / 'tested').glob('2*/2*.json')
    metrics = json.loads(file.read_text())

    cfg = Config.fromfile(place.config)
    dataset = DATASETS.build(_dataset(place, 'test'))
    model = MODELS.build(cfg.model).eval()
    with secure_checkpoint_loading():
        load_checkpoint(model, str(place.folder / 'whole/epoch_3.pth'))
    areas = []
    for item in dataset:
        item = dict(inputs=[item['inputs']],
                    data_samples=[item['data_samples']])
        with torch.no_grad():
            sample, = model.test_step(item)
        pred = sample.pred_sem_seg.data[0].numpy() == 1
        true = sample.gt_sem_seg.data[0].numpy() == 1
        assert pred.shape == true.shape == (96, 96)
        areas.append(((pred & true).sum(), (pred | true).sum(), sample.kind))
    inter, union = (np.array([x[i] for x in areas]) for i in (0, 1))
    ious = inter / union
    assert len(ious) > 20 and ious.max() > 0
    expected = dict(oIoU=100 * inter.sum() / union.sum(),
                    mIoU=100 * ious.mean())
    expected['P0.5'] = 100 * (ious >= 0.5).mean()
    for kind in ('location', 'appearance', 'relation'):
        of = np.array([x[2] == kind for x in areas])
        expected[f'kind/{kind}/oIoU'] = 100 * inter[of].sum() / union[of].sum()
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=1e-6), name

    # The same numbers stand in a table that a person can read, and the last
    # validation of the training was of this model.
    table = done.stdout + done.stderr
    row = re.search(r'^\| all .*$', table, re.MULTILINE).group()
    assert f'{metrics["oIoU"]:.2f}' in row and f'{metrics["mIoU"]:.2f}' in row
    last = _metrics(whole)[-1]
    assert last['oIoU'] == pytest.approx(metrics['oIoU'], abs=1e-9)


def _same_weights(first, second):
    first, second = (
        torch.load(path, weights_only=False)['state_dict']
        for path in (first, second))
    return all(torch.equal(first[k], v) for k, v in second.items())


@pytest.mark.skipif(os.name != 'posix', reason='needs SIGKILL')
@pytest.mark.parametrize(
    'workers', [pytest.param(0, marks=pytest.mark.slow), 2])
def test_killed_and_resumed_repeats_the_run(place, whole, workers):
    """Losses, learning rates, metrics and weights are equal to the last bit,
    however many processes load the data."""
    (place.folder / 'killer.py').write_text(KILLER)
    config = place.folder / f'killed_{workers}.py'
    config.write_text(f'''
_base_ = [{place.config.name!r}]
custom_imports = dict(imports=['killer'])
custom_hooks = [*_base_.custom_hooks, dict(type='Killer')]
train_dataloader = dict(
    num_workers={workers}, persistent_workers={bool(workers)})
''')
    work_dir = f'killed_{workers}'
    expected = _losses(whole)
    per_epoch = len(expected) // EPOCHS
    last = per_epoch + 2  # in the middle of the second epoch
    command = ('train.py', config, '--work-dir', work_dir)
    done = place.python(*command, KILL_AFTER=str(last))
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = place.folder / work_dir
    assert (folder / 'epoch_1.pth').exists()
    assert not (folder / 'epoch_2.pth').exists()

    done = place.python(*command, '--resume', KILL_AFTER='-1')
    assert done.returncode == 0, done.stderr
    before, after = place.scalars(work_dir)
    before, resumed = _losses(before), _losses(after)
    assert list(before) == list(range(1, last + 1))
    assert list(resumed) == list(range(per_epoch + 1, len(expected) + 1))
    assert before == {k: expected[k] for k in before}
    assert resumed == {k: expected[k] for k in resumed}
    assert _metrics(after) == _metrics(whole)[1:]
    for name in ('epoch_2.pth', 'epoch_3.pth'):
        assert _same_weights(folder / name, place.folder / 'whole' / name)
