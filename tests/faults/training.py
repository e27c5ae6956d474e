# Licensed under the Apache License, Version 2.0.
"""A small training run, in a process of its own that can be killed."""

import importlib.util
import json
import os
import resource
import signal
import sys
import time
import uuid
from pathlib import Path

import torch
from mmengine.hooks import Hook

from mmrefseg.engine import launch
from mmrefseg.fileio import atomic, read_weights
from mmrefseg.registry import HOOKS

ROOT = Path(__file__).parents[2]
EPOCHS = 6
# Beside the tests' own tiny config: more epochs, one checkpoint kept of two.
CONFIG = '''
_base_ = [{base!r}]
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop',
                 max_epochs={epochs}, val_interval={epochs})
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best=None),
    visualization=dict(type='RefVisualizationHook', draw=False))
custom_imports = dict(imports=['training'])
custom_hooks = [*_base_.custom_hooks, dict(type='FaultRecorder')]
randomness = dict(seed=0)
'''


@HOOKS.register_module(force=True)
class FaultRecorder(Hook):
    """Writes down each loss at once; kills its process where it is asked to
    by the variables ``KILL_AT`` (iteration) and ``KILL_RANK``."""
    priority = 'VERY_LOW'

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        rank = os.environ.get('RANK', '0')
        line = [runner.iter, float(outputs['loss'].detach()).hex()]
        with open(Path(runner.work_dir) / f'losses_{rank}.jsonl', 'a') as file:
            file.write(json.dumps(line) + '\n')
        if (str(runner.iter) == os.environ.get('KILL_AT')
                and rank == os.environ.get('KILL_RANK', '0')):
            Path(runner.work_dir, 'killed_at').write_text(repr(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)


def make_workplace(folder):
    """Config (Path) of the run, with its data, in a folder."""
    path = ROOT / 'tests/test_tools/conftest.py'
    spec = importlib.util.spec_from_file_location('tiny_training', path)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    base = tiny._make_workplace(folder).config
    config = folder / 'faults.py'
    config.write_text(CONFIG.format(base=str(base), epochs=EPOCHS))
    return config


class SlowFile:
    """Writes in pieces, so that there is time to be killed in between."""
    piece = 1 << 14
    rest = 0.02

    def __init__(self, *arguments):
        self.file = open(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        for start in range(0, len(data), self.piece):
            self.file.write(data[start:start + self.piece])
            self.file.flush()
            time.sleep(self.rest)


class FullDisk(SlowFile):
    """Takes so many bytes and no more."""
    room = 0
    rest = 0

    def write(self, data):
        if FullDisk.room < len(data):
            super().write(data[:FullDisk.room])
            raise OSError(28, 'No space left on device')
        FullDisk.room -= len(data)
        super().write(data)


def train(config, work_dir, resume=False, writer=None, limit=None):
    """Train to the end.

    Args:
        writer (type, optional): In place of ``open`` for checkpoints.
        limit (int, optional): Bytes that no file may exceed.
    """
    if writer is not None:
        atomic.open = writer
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    cfg = launch.load_config(str(config), work_dir=str(work_dir))
    cfg.experiment_name = uuid.uuid4().hex
    if resume:
        cfg.update(resume=True, load_from=None)
    launch.build_runner(cfg).train()


def start(config, work_dir, **how):
    """Fork a process that trains; its id. Output goes to ``out.txt``."""
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        out = os.open(
            Path(work_dir) / 'out.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(Path(config).parent)
        torch.set_num_threads(1)
        train(config, work_dir, **how)
        code = 0
    except BaseException as error:
        text = f'{type(error).__name__}: {error}'
        Path(work_dir, 'error.txt').write_text(text)
        print(text, file=sys.stderr)
    finally:
        os._exit(code)


def losses(work_dir, rank=0):
    """Loss of each iteration; of one that ran twice, the later one."""
    path = Path(work_dir) / f'losses_{rank}.jsonl'
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    if lines and not lines[-1].endswith(']'):  # killed while writing it
        lines.pop()
    return dict(json.loads(line) for line in lines)


def weights(work_dir, epoch=EPOCHS):
    """State of model and optimizer after an epoch."""
    content = read_weights(Path(work_dir) / f'epoch_{epoch}.pth')
    return content['state_dict'], content['optimizer']


def equal(first, second):
    """Whether two trees of tensors are the same to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            equal(value, second[key]) for key, value in first.items())
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second
