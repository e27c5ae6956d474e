# Licensed under the Apache License, Version 2.0.
"""The commands that train and test, as a person calls them."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from pycocotools import mask as mask_utils

from mmrefseg.fileio import read_weights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tested(trained):
    """What ``tools/test.py`` measured, wrote and drew."""
    trained.python('test.py', trained.config, 'work_dirs/tiny/epoch_2.pth',
                   '--work-dir', 'one', '--out', 'one.jsonl', '--show-dir',
                   'drawn')
    lines = (trained.folder / 'one.jsonl').read_text().splitlines()
    return trained.metrics('one'), [json.loads(line) for line in lines]


def test_train_leaves_checkpoints_and_pictures(trained):
    work_dir = trained.folder / 'work_dirs' / 'tiny'
    assert {'epoch_1.pth', 'epoch_2.pth', 'last_checkpoint',
            'tiny.py'} <= {path.name for path in work_dir.iterdir()}
    assert len(list(work_dir.glob('best_oIoU_epoch_*.pth'))) == 1
    assert [epoch for epoch, _ in trained.losses(work_dir)] == [1, 1, 2, 2]
    # Five sentences of val, after each of the two epochs.
    pictures = list(work_dir.glob('*/vis_data/vis_image/*.png'))
    assert len(pictures) == 2 * 5


def test_resume_goes_on_from_the_latest(trained):
    """By bfloat16 now: --resume, --amp and --cfg-options together."""
    done = trained.python('train.py', trained.config, '--resume', '--amp',
                          '--cfg-options', 'train_cfg.max_epochs=3')
    assert [epoch for epoch, _ in trained.losses('work_dirs/tiny')] == [3, 3]
    assert 'AutocastOptimWrapper' in done.stdout + done.stderr
    # Our own checkpoint is read without the fallback that may run code,
    # which PyTorch has since 2.6.
    assert 'weights_only' not in done.stdout + done.stderr
    checkpoint = read_weights(
        trained.folder / 'work_dirs/tiny/epoch_3.pth')
    assert checkpoint['meta']['epoch'] == 3


def test_resume_from_a_named_checkpoint(trained):
    trained.python('train.py', trained.config, '--work-dir', 'named',
                   '--resume', 'work_dirs/tiny/epoch_2.pth', '--auto-scale-lr',
                   '--cfg-options', 'train_cfg.max_epochs=3')
    assert [epoch for epoch, _ in trained.losses('named')] == [3, 3]
    log = next((trained.folder / 'named').glob('*/*.log')).read_text()
    # auto_scale_lr.base_batch_size is 4, the batch is 2.
    assert 'Scaling the original LR by 0.5' in log


def test_test_measures_draws_and_writes(trained, tested):
    metrics, lines = tested
    assert [line['text'] for line in lines] == [
        'the red circle above the star', 'circle on the right', 'green star',
        'leftmost black object', 'the star'
    ]
    masks = [mask_utils.decode(line['segmentation']) for line in lines]
    assert all(mask.shape == (64, 80) for mask in masks)
    assert sum(mask.sum() for mask in masks) > 0
    ious = [line['iou'] for line in lines]
    assert metrics['mIoU'] > 0
    assert 100 * np.mean(ious) == pytest.approx(metrics['mIoU'], abs=1e-6)
    assert len(list((trained.folder / 'drawn').glob('*.png'))) == len(lines)


def test_two_processes_measure_the_same(trained, tested):
    """On CPU by gloo; five sentences, so the last batch is uneven."""
    trained.shell('dist_test.sh', trained.config,
                  'work_dirs/tiny/epoch_2.pth', 2, '--work-dir', 'two',
                  '--out', 'two.jsonl')
    same = {
        name: value
        for name, value in tested[0].items() if 'time' not in name
    }
    assert same.items() <= trained.metrics('two').items()
    written = (trained.folder / 'two.jsonl').read_text()
    assert written == (trained.folder / 'one.jsonl').read_text()


def test_two_processes_train(trained):
    trained.shell('dist_train.sh', trained.config, 2, '--work-dir', 'dist',
                  '--cfg-options', 'train_cfg.max_epochs=1')
    # Four sentences, two processes with two each: one step.
    assert [epoch for epoch, _ in trained.losses('dist')] == [1]
    assert (trained.folder / 'dist' / 'epoch_1.pth').exists()
    assert 0 <= trained_metric(trained, 'dist') <= 100


def trained_metric(place, work_dir):
    """oIoU of the last validation of a training run."""
    scalars = next((place.folder / work_dir).glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    return [line['oIoU'] for line in lines if 'oIoU' in line][-1]


def test_what_is_missing_is_named(trained):
    done = trained.python('test.py', trained.config, 'absent.pth', check=False)
    assert done.returncode != 0
    assert 'There is no checkpoint absent.pth' in done.stderr.splitlines()[-1]


def test_print_config_shows_what_is_inherited(trained):
    done = trained.python('misc/print_config.py', trained.config,
                          '--save-path', 'whole.py', '--cfg-options',
                          'train_cfg.max_epochs=9')
    assert "default_scope = 'mmrefseg'" in done.stdout
    assert 'max_epochs=9' in done.stdout
    whole = Config.fromfile(trained.folder / 'whole.py')
    assert whole.train_cfg.max_epochs == 9
    assert whole.default_hooks.checkpoint.save_best == 'oIoU'


@pytest.mark.parametrize('script, before, given', [
    ('slurm_train.sh', ['gpu', 'job', 'a.py'],
     'train.py a.py --launcher slurm --amp'),
    ('slurm_test.sh', ['gpu', 'job', 'a.py', 'b.pth'],
     'test.py a.py b.pth --launcher slurm --amp'),
])
def test_slurm_scripts_pass_everything_on(tmp_path, trained, script, before,
                                          given):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(srun.stat().st_mode | stat.S_IXUSR)
    done = trained.run(
        'bash', '-c', f'PATH={tmp_path}:$PATH {ROOT}/tools/{script} '
        + ' '.join([*before, '--amp']), GPUS='16', SRUN_ARGS='--qos=low -v')
    assert done.stdout.strip().endswith(given)
    for part in ('-p gpu', '--job-name=job', '--ntasks=16', '--gres=gpu:8',
                 '--qos=low -v'):
        assert part in done.stdout


@pytest.mark.parametrize('script', [
    'dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'
])
def test_scripts_explain_themselves(trained, script):
    done = trained.run('bash', ROOT / 'tools' / script, check=False)
    assert done.returncode == 2
    assert f'tools/{script}' in done.stderr
