# Licensed under the Apache License, Version 2.0.
"""A run goes on only from a checkpoint that holds all of its state."""

import pytest
import torch
import torch.nn as nn

from .test_atomic_checkpoint_hook import Model, make_runner

SCHEDULE = dict(type='LinearLR', start_factor=0.1, by_epoch=True, end=3)


def run(work_dir, *, schedule=SCHEDULE, model=None, **kwargs):
    if schedule is not None:
        kwargs['param_scheduler'] = schedule
    runner = make_runner(work_dir, scores=(3, 2, 1, 0), **kwargs)
    if model is not None:
        runner.model = model
    runner.train()
    return runner


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Of a run of three epochs, the best one first."""
    folder = tmp_path_factory.mktemp('run')
    run(folder, hook=dict(max_keep_ckpts=-1))
    return folder


def without(folder, target, *keys):
    """Copy the last checkpoint without some of its parts."""
    checkpoint = torch.load(folder / 'epoch_3.pth', weights_only=False)
    for key in keys:
        del checkpoint[key]
    torch.save(checkpoint, target)
    return str(target)


def refusal(tmp_path, path, **kwargs):
    with pytest.raises(ValueError, match='Cannot resume from') as error:
        run(tmp_path / 'resumed', load_from=path, resume=True, **kwargs)
    assert path in str(error.value)
    return str(error.value)


def test_the_best_checkpoint_is_refused(folder, tmp_path):
    message = refusal(tmp_path, str(folder / 'best_toy_score_epoch_1.pth'))
    assert 'no optimizer and no schedule' in message
    assert f'Resume from {folder / "epoch_3.pth"}.' in message


def test_automatic_resuming_is_held_to_the_same(folder, tmp_path):
    best = tmp_path / 'best_toy_score_epoch_1.pth'
    best.write_bytes((folder / best.name).read_bytes())
    (tmp_path / 'last_checkpoint').write_text(str(best))
    with pytest.raises(ValueError, match='no optimizer') as error:
        run(tmp_path, resume=True)
    # Nothing else is there to resume from.
    assert 'Resume from' not in str(error.value)
    assert 'load_from without resume' in str(error.value)


@pytest.mark.parametrize('keys, lacking', [
    (['param_schedulers'], 'no schedule of the learning rate'),
    (['optimizer'], 'no optimizer'),
    (['message_hub', 'meta'], 'no history of the log and no count'),
    (['optimizer', 'param_schedulers', 'message_hub', 'meta'], 'no optimizer'),
])
def test_what_is_lacking_is_named(folder, tmp_path, keys, lacking):
    path = without(folder, tmp_path / 'part.pth', *keys)
    assert lacking in refusal(tmp_path, path)


def test_plain_weights_are_refused(folder, tmp_path):
    checkpoint = torch.load(folder / 'epoch_3.pth', weights_only=False)
    torch.save(checkpoint['state_dict'], tmp_path / 'weights.pth')
    assert 'no optimizer' in refusal(tmp_path, str(tmp_path / 'weights.pth'))


def test_a_run_without_schedule_needs_none(folder, tmp_path):
    path = without(folder, tmp_path / 'part.pth', 'param_schedulers')
    runner = run(
        tmp_path / 'resumed',
        schedule=None,
        epochs=4,
        load_from=path,
        resume=True)
    assert runner.epoch == 4


class Wider(Model):

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)


class Deeper(Model):

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(1, 1)


class Frozen(Model):

    def __init__(self):
        super().__init__()
        self.layer.bias.requires_grad_(False)


@pytest.mark.parametrize('model, tensors, name', [
    (Wider, 2, 'layer.weight'),
    (Deeper, 2, 'second.weight'),
])
def test_another_model_is_refused(folder, tmp_path, model, tensors, name):
    message = refusal(tmp_path, str(folder / 'epoch_2.pth'), model=model())
    assert f'another model: it lacks {tensors} parameters' in message
    assert name in message
    assert str(folder / 'epoch_3.pth') in message


def test_buffers_may_differ(folder, tmp_path):
    checkpoint = torch.load(folder / 'epoch_3.pth', weights_only=False)
    checkpoint['state_dict']['position_ids'] = torch.zeros(3)
    torch.save(checkpoint, tmp_path / 'old.pth')
    run(tmp_path / 'run', epochs=4, resume=True,
        load_from=str(tmp_path / 'old.pth'))


def test_other_parameter_groups_are_refused(folder, tmp_path):
    # Frozen parameters are left out of the groups only by our constructor.
    message = refusal(
        tmp_path,
        str(folder / 'epoch_3.pth'),
        model=Frozen(),
        optim_wrapper=dict(
            constructor='RefSegOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=0.01)))
    assert 'has groups of [2] tensors, this config makes [1]' in message


def test_another_number_of_schedules_is_refused(folder, tmp_path):
    message = refusal(
        tmp_path,
        str(folder / 'epoch_3.pth'),
        schedule=[SCHEDULE, dict(type='ConstantLR', factor=0.5)])
    assert 'holds 1 schedules, and this config has 2' in message


@pytest.mark.parametrize('end, warns', [(3, False), (8, True)])
def test_a_changed_schedule_gives_a_warning(folder, tmp_path, monkeypatch, end,
                                    warns):
    messages = []
    monkeypatch.setattr('mmrefseg.engine.hooks.resume_check.print_log',
                        lambda text, **_: messages.append(text))
    runner = run(
        tmp_path,
        epochs=4,
        schedule=dict(SCHEDULE, end=end),
        load_from=str(folder / 'epoch_3.pth'),
        resume=True)
    assert runner.epoch == 4
    assert bool(messages) == warns
    if warns:
        assert 'LinearLR.end is 3, not 8' in messages[0]


def test_testing_asks_for_weights_only(tmp_path):
    """Also with ``resume`` left in the config: no optimizer was built."""
    runner = make_runner(tmp_path, load_from='best.pth', resume=True)
    runner.call_hook('after_load_checkpoint', checkpoint={})
