# Licensed under the Apache License, Version 2.0.
"""A run killed by SIGKILL in mid-epoch and resumed repeats the losses of the
run that was never interrupted, to the last bit, on a toy model that draws
random numbers wherever a model or a pipeline may.

The file is its own training script: ``python <file> WORK_DIR KILL_AT
RESUME``.
"""

import json
import os
import random
import signal
import subprocess
import sys
import uuid

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

import mmrefseg
from mmrefseg.engine import AtomicCheckpointHook, IterationSeedHook
from mmrefseg.fileio import secure_checkpoint_loading

EPOCHS, ITERS = 3, 5


class NoisyData(Dataset):
    """Items with noise from all three generators, in the main process."""

    metainfo = {}

    def __len__(self):
        return 4 * ITERS

    def __getitem__(self, index):
        noise = random.random() + np.random.rand() + torch.rand(())
        x = torch.sin(torch.arange(8.) + index) + 0.1 * noise
        return dict(inputs=x, target=torch.tensor(float(index % 3)))


class NoisyModel(BaseModel):
    """Dropout, batch norm, and a drop path of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3),
            nn.Linear(16, 1))
        for i, parameter in enumerate(self.parameters()):
            generator = torch.Generator().manual_seed(i)
            # nn.init.normal_ takes no generator before PyTorch 2.2
            parameter.data.normal_(std=0.3, generator=generator)

    def forward(self, inputs, target, mode='tensor'):
        out = self.body(inputs)[:, 0]
        if mode == 'loss':
            keep = (torch.rand(len(out)) > 0.2).float()
            return dict(loss=F.mse_loss(out * keep, target))
        return [dict(out=value) for value in out]


class Mean(BaseMetric):
    """A metric; validation draws numbers, too."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        torch.rand(3), np.random.rand(2)
        self.results += [float(sample['out']) for sample in data_samples]

    def compute_metrics(self, results):
        return dict(mean=-float(np.var(results)))


class Recorder(Hook):
    """Writes each loss down at once, and kills the process on request."""

    def __init__(self, path, kill_at=None):
        self.path, self.kill_at = path, kill_at

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        line = [runner.iter, float(outputs['loss'].detach()).hex()]
        with open(self.path, 'a') as f:
            f.write(json.dumps(line) + '\n')
        if runner.iter == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def make_runner(work_dir, resume=False, kill_at=None, by_epoch=True,
                hooks=True):
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    loader = dict(
        batch_size=4,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        dataset=NoisyData(),
        sampler=dict(type=sampler, shuffle=True))
    val = dict(loader, sampler=dict(type='DefaultSampler', shuffle=True))
    train_cfg = dict(by_epoch=True, max_epochs=EPOCHS)
    if not by_epoch:
        train_cfg = dict(
            by_epoch=False, max_iters=EPOCHS * ITERS, val_interval=ITERS)
    custom = [Recorder(os.path.join(work_dir, 'losses.jsonl'), kill_at)]
    if hooks:
        custom.append(IterationSeedHook())
    secure_checkpoint_loading()  # as the commands do
    return Runner(
        model=NoisyModel(),
        work_dir=work_dir,
        train_dataloader=loader,
        val_dataloader=val,
        train_cfg=train_cfg,
        val_cfg=dict(),
        val_evaluator=Evaluator([Mean()]),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=dict(
            type='PolyLR',
            power=0.9,
            by_epoch=False,
            end=EPOCHS * ITERS),
        default_hooks=dict(
            checkpoint=AtomicCheckpointHook(
                interval=1 if by_epoch else 3,
                by_epoch=by_epoch,
                max_keep_ckpts=1,
                save_best='toy/mean',
                rule='greater')),
        custom_hooks=custom,
        # else two runners of one second share their message hub
        experiment_name=uuid.uuid4().hex,
        randomness=dict(seed=7),
        resume=resume,
        log_level='ERROR',
        default_scope='mmrefseg')


def read_losses(work_dir):
    """Iteration and loss; of an iteration that ran twice, the later one."""
    with open(os.path.join(work_dir, 'losses.jsonl')) as f:
        return dict(json.loads(line) for line in f)


def run_script(work_dir, kill_at, resume):
    os.makedirs(work_dir, exist_ok=True)
    package = os.path.dirname(os.path.dirname(mmrefseg.__file__))
    path = os.pathsep.join([package, os.environ.get('PYTHONPATH', '')])
    env = dict(
        os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='',
        PYTHONPATH=path)
    return subprocess.run(
        [sys.executable, os.path.abspath(__file__), work_dir, str(kill_at),
         str(int(resume))],
        env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(os.name != 'posix', reason='needs SIGKILL')
def test_killed_and_resumed_repeats_the_losses(tmp_path):
    whole, cut = str(tmp_path / 'whole'), str(tmp_path / 'cut')
    done = run_script(whole, -1, resume=False)
    assert done.returncode == 0, done.stderr
    # in the middle of the third epoch
    killed = run_script(cut, 2 * ITERS + 2, resume=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_losses(cut)) == 2 * ITERS + 3
    done = run_script(cut, -1, resume=True)
    assert done.returncode == 0, done.stderr
    with open(os.path.join(cut, 'losses.jsonl')) as f:
        iterations = [json.loads(line)[0] for line in f]
    # it did resume from the end of the second epoch, not from the start
    assert iterations[2 * ITERS + 3:] == list(range(2 * ITERS, EPOCHS * ITERS))
    assert read_losses(cut) == read_losses(whole)
    assert len(set(read_losses(whole).values())) == EPOCHS * ITERS


class Stop(Exception):
    pass


class StopAt(Hook):

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            raise Stop


def losses_of(work_dir, by_epoch, hooks, stop_at=None):
    os.makedirs(work_dir, exist_ok=True)
    runner = make_runner(work_dir, by_epoch=by_epoch, hooks=hooks)
    if stop_at is not None:
        runner.register_hook(StopAt(stop_at))
        with pytest.raises(Stop):
            runner.train()
        runner = make_runner(
            work_dir, by_epoch=by_epoch, hooks=hooks, resume=True)
    runner.train()
    return read_losses(work_dir)


def test_without_the_hook_resuming_differs(tmp_path):
    """What the hook is for: else the test above would show nothing."""
    whole = losses_of(str(tmp_path / 'a'), True, False)
    cut = losses_of(str(tmp_path / 'b'), True, False, stop_at=2 * ITERS + 2)
    assert whole != cut


def test_iteration_based_training(tmp_path, monkeypatch):
    """Checkpoints between validations; the data itself is not random here,
    since MMEngine loads the skipped batches again."""
    monkeypatch.setattr(NoisyData, '__getitem__', lambda self, index: dict(
        inputs=torch.sin(torch.arange(8.) + index),
        target=torch.tensor(float(index % 3))))
    whole = losses_of(str(tmp_path / 'a'), False, True)
    cut = losses_of(str(tmp_path / 'b'), False, True, stop_at=8)
    assert whole == cut


if __name__ == '__main__':
    torch.set_num_threads(1)
    make_runner(
        sys.argv[1],
        kill_at=int(sys.argv[2]),
        resume=sys.argv[3] == '1').train()
