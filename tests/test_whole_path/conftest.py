# Licensed under the Apache License, Version 2.0.
"""A small set of synthetic scenes and a small MPG-LQGNet, in a folder where
the commands of tools/ run."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

# The nano model with narrower parts, at 64 x 64, with dropout in BERT and
# drop path in Swin, so that every iteration draws random numbers.
CONFIG = '''
_base_ = [
    {configs!r} + '/_base_/models/mpg-lqgnet_nano.py',
    {configs!r} + '/_base_/datasets/synthetic_refs_128.py',
    {configs!r} + '/_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(arch=dict(
        hidden_size=16, num_attention_heads=2, intermediate_size=32,
        hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)),
    backbone=dict(
        embed_dims=8, window_size=4, drop_path_rate=0.3, query_channels=16),
    neck=dict(
        in_channels=[8, 16, 32, 64], channels=16, out_channels=16),
    decode_head=dict(
        in_channels=16, channels=16, ffn_channels=32,
        # so that it dares to say something after a dozen iterations
        loss_decode=[dict(
            type='CrossEntropyLoss', class_weight=[0.02, 1.0])]))

load = [dict(type='LoadRefImage'), dict(type='LoadRefMask')]
resize = dict(type='Resize', scale=(64, 64), keep_ratio=False)
pack = dict(type='PackRefInputs')
dataset = dict(data_root={scenes!r})
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=4, drop_last=True,
    dataset=dict(pipeline=[*load, resize, pack], **dataset), **loader)
val_dataloader = dict(
    batch_size=4,
    dataset=dict(pipeline=[load[0], resize, load[1], pack], **dataset),
    **loader)
test_dataloader = val_dataloader

optim_wrapper = dict(
    type='OptimWrapper', constructor='RefSegOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01))
param_scheduler = [dict(
    type='PolyLR', power=0.9, begin=0, end=3, by_epoch=True,
    convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(save_best=None, max_keep_ckpts=-1),
    visualization=dict(type='RefVisualizationHook', draw=False))
# the loss of each iteration itself, not a mean of several
log_processor = dict(window_size=1)
'''


class Place(NamedTuple):
    """A folder with scenes and a config, and how to run commands there."""
    folder: Path
    scenes: Path
    config: Path

    def python(self, tool, *arguments, **variables):
        """Run a file of tools/; its end is for the test to judge."""
        path = os.pathsep.join([str(ROOT), str(self.folder)])
        # To files, not pipes: loader workers, which outlive a killed run by
        # some seconds, would hold a pipe open.
        with tempfile.TemporaryFile('w+') as out, \
                tempfile.TemporaryFile('w+') as err:
            done = subprocess.run(
                [sys.executable, ROOT / 'tools' / tool, *map(str, arguments)],
                cwd=self.folder,
                env={
                    **os.environ, 'PYTHONPATH': path,
                    'OMP_NUM_THREADS': '1',
                    'CUDA_VISIBLE_DEVICES': '-1',
                    **variables
                },
                stdout=out,
                stderr=err,
                timeout=600)
            out.seek(0)
            err.seek(0)
            done.stdout, done.stderr = out.read(), err.read()
        return done

    def scalars(self, work_dir):
        """What the runs in a work directory logged, run after run."""
        folder = self.folder / work_dir
        return [[json.loads(line) for line in file.read_text().splitlines()]
                for file in sorted(folder.glob('*/vis_data/scalars.json'))]


@pytest.fixture(scope='session')
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole_path')
    place = Place(folder, folder / 'scenes', folder / 'small.py')
    done = place.python('dataset_converters/make_synthetic_refs.py',
                        place.scenes, '--train', 5, '--val', 3, '--testA', 1,
                        '--testB', 1, '--size', 96)
    assert done.returncode == 0, done.stderr
    place.config.write_text(
        CONFIG.format(
            configs=str(ROOT / 'configs'), scenes=str(place.scenes)))
    return place


@pytest.fixture(scope='session')
def configs():
    """The folder of the configs that come with the package (Path)."""
    return ROOT / 'configs'
