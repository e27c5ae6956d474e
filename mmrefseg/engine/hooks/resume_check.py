# Licensed under the Apache License, Version 2.0.
"""Whether a training run can go on from a checkpoint."""

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict

# What is missing if a checkpoint lacks a key.
_PARTS = dict(
    optimizer='optimizer',
    param_schedulers='schedule of the learning rate',
    message_hub='history of the log',
    meta='count of iterations')


def find_obstacle(runner, checkpoint: Mapping) -> str | None:
    """What keeps a run from going on from a checkpoint.

    MMEngine resumes what it finds and starts the rest anew in silence: an
    optimizer, a schedule, tensors of another name or shape.

    Args:
        runner (Runner): It has built its optimizer and its schedules.
        checkpoint (Mapping): What was read from the file.

    Returns:
        str | None: The end of a sentence that begins with the name of the
        file; None when nothing is in the way.
    """
    lacking = [name for key, name in _PARTS.items() if not checkpoint.get(key)]
    if not runner.param_schedulers:
        lacking = [n for n in lacking if n != _PARTS['param_schedulers']]
    if lacking:
        return (f'holds no {" and no ".join(lacking)}, which would start '
                'anew')
    different = _different_parameters(runner.model, checkpoint)
    if different:
        return (f'is of another model: it lacks {len(different)} parameters, '
                f'{different[0]} among them, or has them in other shapes')
    if not isinstance(runner.optim_wrapper, OptimWrapperDict):
        ours = _group_sizes(runner.optim_wrapper.optimizer.state_dict())
        theirs = _group_sizes(checkpoint['optimizer'])
        if ours != theirs:
            return ('is of a run with other parameter groups: it has groups '
                    f'of {theirs} tensors, this config makes {ours}')
    schedules, states = _schedules(runner, checkpoint)
    if len(schedules) != len(states):
        return (f'holds {len(states)} schedules, and this config has '
                f'{len(schedules)}')
    return None


def warn_of_old_schedule(runner, checkpoint: Mapping) -> None:
    """Warn that settings of the schedule have no effect: the checkpoint's
    take their place.

    Args:
        runner (Runner): It has built its schedules.
        checkpoint (Mapping): What was read from the file; without an
            obstacle.
    """
    changed = []
    for schedule, state in zip(*_schedules(runner, checkpoint)):
        for key, value in schedule.state_dict().items():
            if (key[0] != '_' and key != 'last_step'
                    and state.get(key, value) != value):
                changed.append(f'{type(schedule).__name__}.{key} is '
                               f'{state[key]}, not {value}')
    if changed:
        print_log(
            'The resumed run keeps the schedule of its checkpoint; that of '
            f'this config has no effect: {"; ".join(changed)}.',
            logger='current',
            level=logging.WARNING)


def _different_parameters(model, checkpoint: Mapping) -> list[str]:
    """Names of parameters that the checkpoint lacks or has in other shapes.

    Buffers may differ: they come and go with versions of other packages.
    """
    if is_model_wrapper(model):
        model = model.module
    shapes = {
        name.removeprefix('module.'): tensor.shape
        for name, tensor in checkpoint.get('state_dict', {}).items()
    }
    return [
        name for name, parameter in model.named_parameters()
        if shapes.get(name) != parameter.shape
    ]


def _group_sizes(state: Mapping) -> list[int]:
    return [len(group['params']) for group in state['param_groups']]


def _schedules(runner, checkpoint: Mapping) -> tuple[list, list]:
    """The schedules of a run with one optimizer, and their saved states."""
    ours, theirs = runner.param_schedulers, checkpoint.get('param_schedulers')
    if isinstance(ours, list) and isinstance(theirs, list):
        return ours, theirs
    return [], []
