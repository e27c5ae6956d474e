# Licensed under the Apache License, Version 2.0.
"""Two processes give what one gives, to the last digit.

The file is its own worker: ``python <file> RANK FOLDER``.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

import mmrefseg
from mmrefseg.evaluation import ReferringIoUMetric

LENGTHS = (1, 2, 7, 13)


def predicted(index: int) -> SegDataSample:
    """What a model would give for one item; a function of the index."""
    rng = np.random.default_rng(index)
    share = rng.random(2)
    shape = rng.integers(3, 30, 2)
    sample = SegDataSample(
        metainfo=dict(
            text='word ' * int(rng.integers(1, 8)),
            ref_id=index // 2,
            sent_id=index,
            kind=('location', 'relation')[index % 2]))
    for name, part in zip(('pred_sem_seg', 'gt_sem_seg'), share):
        mask = torch.from_numpy(rng.random(shape) < part).long()
        sample.set_data({name: PixelData(data=mask[None])})
    return sample


def evaluate(length: int, batch_size: int) -> dict:
    """As in a test loop: sampler, loader, evaluator."""
    indices = list(range(length))
    loader = DataLoader(
        indices,
        batch_size=batch_size,
        sampler=DefaultSampler(indices, shuffle=False),
        collate_fn=list)
    evaluator = Evaluator(
        ReferringIoUMetric(breakdown=('kind', 'length')))
    for batch in loader:
        evaluator.process([predicted(index) for index in batch])
    return evaluator.evaluate(length)


def worker(rank: int, folder: str) -> None:
    os.chdir(folder)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=2)
    results = [evaluate(n, batch_size=1 + n % 3) for n in LENGTHS]
    with open(f'{folder}/rank{rank}.json', 'w') as f:
        json.dump(results, f)
    dist.destroy_process_group()


@pytest.mark.skipif(
    not dist.is_available() or not dist.is_gloo_available(),
    reason='torch is built without gloo')
def test_two_processes_equal_one(tmp_path):
    package = os.path.dirname(os.path.dirname(mmrefseg.__file__))
    path = os.pathsep.join([package, os.environ.get('PYTHONPATH', '')])
    env = dict(
        os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='',
        PYTHONPATH=path)
    workers = [
        subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(rank),
             str(tmp_path)],
            env=env, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    for process in workers:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    alone = [evaluate(n, batch_size=1) for n in LENGTHS]
    assert alone == [evaluate(n, batch_size=4) for n in LENGTHS]
    for rank in (0, 1):
        with open(tmp_path / f'rank{rank}.json') as f:
            assert json.load(f) == alone


if __name__ == '__main__':
    worker(int(sys.argv[1]), sys.argv[2])
