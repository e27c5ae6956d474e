# Licensed under the Apache License, Version 2.0.
"""Checkpoints are whole or absent, and resuming finds the newest whole one."""

import errno
import os
import uuid

import pytest
import torch
import torch.nn as nn
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner, find_latest_checkpoint
from torch.utils.data import Dataset

from mmrefseg import fileio
from mmrefseg.engine.hooks import AtomicCheckpointHook, is_complete_checkpoint
from mmrefseg.fileio import atomic, secure_checkpoint_loading


class Data(Dataset):
    metainfo = {}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return dict(inputs=torch.ones(2))


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        out = self.layer(inputs)
        return dict(loss=out.sum()) if mode == 'loss' else [dict(out=1)]


class Score(BaseMetric):
    """Gives the scores of a list, one per validation."""

    default_prefix = 'toy'

    def __init__(self, scores):
        super().__init__()
        self.scores = list(scores)

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(score=self.scores.pop(0))


@pytest.fixture(autouse=True)
def secured():
    """As in the commands: plain data are read, by any MMEngine."""
    with secure_checkpoint_loading():
        yield


def make_runner(work_dir,
                scores=(1, 2, 3),
                epochs=3,
                hook=None,
                optim_wrapper=None,
                **kwargs):
    loader = dict(
        batch_size=2,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        dataset=Data(),
        sampler=dict(type='DefaultSampler', shuffle=False))
    options = dict(
        interval=1, max_keep_ckpts=1, save_best='toy/score', rule='greater')
    options.update(hook or {})
    return Runner(
        model=Model(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        val_cfg=dict(),
        val_evaluator=Evaluator([Score(scores)]),
        optim_wrapper=optim_wrapper or dict(
            optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(
            checkpoint=dict(type='AtomicCheckpointHook', **options)),
        experiment_name=uuid.uuid4().hex,
        randomness=dict(seed=0),
        log_level='ERROR',
        default_scope='mmrefseg',
        **kwargs)


def files(folder):
    return sorted(name for name in os.listdir(folder)
                  if name.endswith(('.pth', '.tmp')))


def save(path, size=1000):
    torch.save(dict(x=torch.zeros(size)), path)


def cut_off(path, share=0.6):
    with open(path, 'rb+') as f:
        f.truncate(int(os.path.getsize(path) * share))


def test_keeps_what_it_shall(tmp_path):
    make_runner(tmp_path, scores=(1, 3, 2)).train()
    assert files(tmp_path) == ['best_toy_score_epoch_2.pth', 'epoch_3.pth']
    assert find_latest_checkpoint(str(tmp_path)) == str(
        tmp_path / 'epoch_3.pth')
    assert all(is_complete_checkpoint(str(tmp_path / name))
               for name in files(tmp_path))


def test_out_dir_elsewhere(tmp_path):
    out = tmp_path / 'elsewhere'
    runner = make_runner(
        tmp_path / 'run',
        scores=(1, 3, 2),
        hook=dict(out_dir=str(out), max_keep_ckpts=2))
    runner.train()
    assert files(out / 'run') == [
        'best_toy_score_epoch_2.pth', 'epoch_2.pth', 'epoch_3.pth'
    ]
    os.remove(tmp_path / 'run' / 'last_checkpoint')
    runner = make_runner(
        tmp_path / 'run', epochs=4, resume=True, scores=(0, ),
        hook=dict(out_dir=str(out), max_keep_ckpts=2))
    runner.train()
    assert runner.epoch == 4


class Killed(BaseException):
    pass


@pytest.mark.parametrize('moment', ['write', 'rename'])
def test_killed_while_writing(tmp_path, monkeypatch, moment):
    """At any moment of a write there is one whole checkpoint to resume from,
    and the best one is not lost either."""
    calls = []
    original = os.replace

    def fail(source, target):
        calls.append(os.path.basename(target))
        if len(calls) == failing:
            if moment == 'write':
                cut_off(source)
            raise Killed
        original(source, target)

    monkeypatch.setattr(atomic.os, 'replace', fail)
    failing = 0
    make_runner(tmp_path / 'whole', epochs=2).train()
    total = len(calls)
    # per epoch: checkpoint, pointer, best, checkpoint again, pointer
    assert total == 10
    for failing in range(1, total + 1):
        folder = tmp_path / str(failing)
        calls.clear()
        with pytest.raises(Killed):
            make_runner(folder, epochs=2).train()
        whole = [name for name in files(folder) if name.endswith('.pth')]
        assert all(is_complete_checkpoint(str(folder / name))
                   for name in whole)
        assert any(name.startswith('epoch') for name in whole) or failing == 1
        assert any(name.startswith('best') for name in whole) or failing <= 3
        failing = 0
        runner = make_runner(folder, epochs=3, resume=True,
                             scores=(5, 6, 7))
        runner.train()
        assert runner.epoch == 3
        assert not any(name.endswith('.tmp') for name in files(folder))


@pytest.mark.parametrize('damage, expected', [
    ('empty pointer', 'epoch_2.pth'),
    ('no pointer', 'epoch_2.pth'),
    ('pointer to nothing', 'epoch_2.pth'),
    ('cut off', 'epoch_1.pth'),
    ('all cut off', None),
    ('intact', 'epoch_2.pth'),
])
def test_resume_never_takes_a_broken_file(tmp_path, damage, expected):
    make_runner(tmp_path, epochs=2, hook=dict(max_keep_ckpts=3)).train()
    pointer = tmp_path / 'last_checkpoint'
    if damage == 'empty pointer':
        pointer.write_text('')
    elif damage == 'no pointer':
        pointer.unlink()
    elif damage == 'pointer to nothing':
        pointer.write_text('/nowhere/epoch_9.pth')
    elif 'cut off' in damage:
        cut_off(tmp_path / 'epoch_2.pth')
        if damage == 'all cut off':
            cut_off(tmp_path / 'epoch_1.pth', 0)
    runner = make_runner(tmp_path, resume=True)
    runner.call_hook('before_run')
    latest = find_latest_checkpoint(str(tmp_path))
    assert latest == (expected and str(tmp_path / expected))
    runner.train()
    assert runner.epoch == 3


def test_named_broken_file_is_refused(tmp_path):
    save(tmp_path / 'x.pth')
    cut_off(tmp_path / 'x.pth')
    runner = make_runner(
        tmp_path, resume=True, load_from=str(tmp_path / 'x.pth'))
    with pytest.raises(ValueError, match='not a complete checkpoint'):
        runner.train()


def test_is_complete_checkpoint(tmp_path):
    path = str(tmp_path / 'x.pth')
    assert not is_complete_checkpoint(path)
    assert not is_complete_checkpoint('')
    save(path)
    assert is_complete_checkpoint(path)
    for share in (0.99, 0.5, 0.01, 0):
        save(path)
        cut_off(path, share)
        assert not is_complete_checkpoint(path)


def test_atomic_write_replaces_and_leaves_nothing(tmp_path):
    path = tmp_path / 'a' / 'b.txt'
    fileio.write_atomically(path, b'one')
    fileio.write_atomically(str(path), b'two')
    assert path.read_bytes() == b'two'
    assert os.listdir(path.parent) == ['b.txt']


class FullDisk:
    """A file that takes half of what is written to it."""

    def __init__(self, path, mode):
        self.file = open(path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.file.write(data[:len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'b.txt'
    fileio.write_atomically(path, b'one')
    monkeypatch.setattr(atomic, 'open', FullDisk, raising=False)
    with pytest.raises(OSError) as info:
        fileio.write_atomically(path, b'three')
    assert info.value.errno == errno.ENOSPC
    for piece in (str(path), '5 bytes', 'No space left', 'make room'):
        assert piece in str(info.value)
    assert path.read_bytes() == b'one'
    assert os.listdir(tmp_path) == ['b.txt']


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    make_runner(tmp_path, epochs=1, scores=(1, )).train()
    before = (tmp_path / 'epoch_1.pth').read_bytes()
    runner = make_runner(tmp_path, epochs=2, resume=True, scores=(2, ))
    monkeypatch.setattr(atomic, 'open', FullDisk, raising=False)
    with pytest.raises(OSError, match='epoch_2.pth.*could not be written'):
        runner.train()
    monkeypatch.undo()
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before
    runner = make_runner(tmp_path, epochs=2, resume=True, scores=(2, ))
    runner.train()
    assert runner.epoch == 2 and (tmp_path / 'epoch_2.pth').exists()


def test_backend_is_known_to_mmengine(tmp_path):
    from mmengine.fileio import put, put_text
    put(b'x', tmp_path / 'x', backend_args=dict(backend='atomic_local'))
    put_text('é', tmp_path / 'y', backend_args=dict(backend='atomic_local'))
    assert (tmp_path / 'x').read_bytes() == b'x'
    assert (tmp_path / 'y').read_text(encoding='utf-8') == 'é'


def test_own_backend_args_are_kept():
    hook = AtomicCheckpointHook(backend_args=dict(backend='local'))
    assert hook.backend_args == dict(backend='local')
