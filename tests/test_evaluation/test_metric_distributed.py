# Licensed under the Apache License, Version 2.0.
"""Two and three processes give what one gives, to the last digit.

The file is its own launcher: ``python <file> FOLDER`` forks the processes,
so that torch is loaded once for all of them.
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

LENGTHS = range(1, 21)
WORLD_SIZES = (2, 3)


def predicted(index: int) -> SegDataSample:
    """What a model would give for one item; a function of the index."""
    rng = np.random.default_rng(index)
    share = rng.random(2) * (rng.random(2) > 0.3)
    shape = rng.integers(3, 30, 2)
    sample = SegDataSample(
        metainfo=dict(
            text='word ' * int(rng.integers(1, 8)),
            image_id=index // 4,
            ref_id=index // 2,
            sent_id=index,
            kind=('location', 'relation')[index % 2]))
    if rng.random() < 0.3:
        sample.set_metainfo(dict(pred_no_target=bool(rng.random() < 0.5)))
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
    metrics = [
        ReferringIoUMetric(
            no_target=('rela', 'rris'),
            thresholds=(0.5, 0.9, 0.95),
            breakdown=('kind', 'length', 'size'))
    ]
    if length % 4 == 3:  # each exchange of results takes its time
        metrics.append(ReferringIoUMetric(prefix='classic'))
    evaluator = Evaluator(metrics)
    for batch in loader:
        evaluator.process([predicted(index) for index in batch])
    return evaluator.evaluate(length)


def worker(rank: int, world_size: int, folder: str) -> None:
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous{world_size}',
        rank=rank,
        world_size=world_size)
    results = [evaluate(n, batch_size=1 + n % 3) for n in LENGTHS]
    with open(f'{folder}/{world_size}-{rank}.json', 'w') as f:
        json.dump(results, f)
    dist.barrier()
    dist.destroy_process_group()


def launch(folder: str) -> None:
    """Fork the processes of each world size and wait for them."""
    os.chdir(folder)  # MMEngine exchanges results through files there
    for world_size in WORLD_SIZES:
        children = []
        for rank in range(world_size):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    worker(rank, world_size, folder)
                    code = 0
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        assert codes == [0] * world_size, codes


@pytest.mark.skipif(
    not dist.is_available() or not dist.is_gloo_available()
    or not hasattr(os, 'fork'),
    reason='torch is built without gloo')
def test_several_processes_equal_one(tmp_path):
    package = os.path.dirname(os.path.dirname(mmrefseg.__file__))
    path = os.pathsep.join([package, os.environ.get('PYTHONPATH', '')])
    env = dict(
        os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='',
        PYTHONPATH=path)
    launcher = subprocess.run(
        [sys.executable, os.path.abspath(__file__), str(tmp_path)],
        env=env, capture_output=True, text=True, timeout=300)
    assert launcher.returncode == 0, launcher.stderr
    alone = [evaluate(n, batch_size=1) for n in LENGTHS]
    assert alone == [evaluate(n, batch_size=4) for n in LENGTHS]
    for world_size in WORLD_SIZES:
        for rank in range(world_size):
            with open(tmp_path / f'{world_size}-{rank}.json') as f:
                assert json.load(f) == alone, (world_size, rank)
    # all scores are there to be compared
    assert {'P0.95', 'N-acc', 'T-acc', 'mRR', 'rIoU', 'mIoU_ref', 'cIoU',
            'gIoU', 'oIoU', 'classic/mIoU'} <= set(alone[18])


if __name__ == '__main__':
    launch(sys.argv[1])
