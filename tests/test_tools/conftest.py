# Licensed under the Apache License, Version 2.0.
"""A tiny training run through the commands in tools/."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

# Whole model, small: 64 px, a BERT of one layer, Swin blocks of 8 channels.
CONFIG = '''
_base_ = [{runtime!r}]
pipeline = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='PackRefInputs')]
test_pipeline = [pipeline[0], pipeline[2], pipeline[1], pipeline[3]]
dataset = dict(type='JSONLinesRefDataset', ann_file={sentences!r})
train_dataloader = dict(
    batch_size=2, num_workers=0, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', pipeline=pipeline, **dataset))
val_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline, **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='ReferringIoUMetric', breakdown='length')
test_evaluator = val_evaluator

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='ReferringEncoderDecoder',
    data_preprocessor=dict(
        type='RefSegDataPreProcessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    language_encoder=dict(
        type='BertLanguageEncoder', vocab='synthetic', max_tokens=16,
        arch=dict(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32)),
    backbone=dict(
        type='LanguageSwinTransformer', embed_dims=8, depths=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8], window_size=4, drop_path_rate=0.1,
        fusion=dict(type='BSAM'), gate=dict(type='CAFG', norm_cfg=norm_cfg),
        query_channels=16),
    neck=dict(
        type='ReferringPixelDecoder', in_channels=[8, 16, 32, 64],
        channels=16, out_channels=16, norm_cfg=norm_cfg,
        out_norm_cfg=dict(type='GN', num_groups=4)),
    decode_head=dict(
        type='LQPGHead', in_channels=16, channels=16, num_queries=4,
        num_layers=2, num_heads=2, ffn_channels=32, prior_loss_weight=0.1,
        norm_cfg=norm_cfg, loss_decode=dict(
            type='CrossEntropyLoss', class_weight=[0.1, 1.0])),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))

optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, end=30)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=1))
'''


# Sentence, split, and the box of the thing: x0, y0, x1, y1.
SENTENCES = (
    ('red square', 'train', (5, 5, 45, 45)),
    ('the left blue circle', 'train', (0, 10, 30, 60)),
    ('big star', 'train', (20, 0, 70, 50)),
    ('small black square', 'train', (50, 30, 80, 62)),
    ('the red circle above the star', 'val', (10, 2, 60, 40)),
    ('circle on the right', 'val', (40, 10, 80, 60)),
    ('green star', 'val', (3, 20, 50, 60)),
    ('leftmost black object', 'val', (0, 0, 35, 64)),
    ('the star', 'val', (30, 5, 75, 55)),
)


class Workplace(NamedTuple):
    """A folder with a config and data, and how to run commands there."""
    folder: Path
    config: Path

    def run(self, *command, check=True, **variables):
        """Run a command of the repository from the folder."""
        path = os.pathsep.join(
            [str(Path(sys.executable).parent), os.environ['PATH']])
        done = subprocess.run([str(part) for part in command],
                              cwd=self.folder,
                              env={
                                  **os.environ, 'PATH': path,
                                  'PYTHONPATH': str(ROOT),
                                  'OMP_NUM_THREADS': '1',
                                  'CUDA_VISIBLE_DEVICES': '-1',
                                  **variables
                              },
                              capture_output=True,
                              text=True,
                              timeout=300)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def python(self, tool, *arguments, check=True):
        """Run a Python file of tools/."""
        return self.run(
            sys.executable, ROOT / 'tools' / tool, *arguments, check=check)

    def shell(self, tool, *arguments):
        """Run a shell script of tools/ with a port of its own."""
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        return self.run(
            'bash', ROOT / 'tools' / tool, *arguments, PORT=str(port))

    def losses(self, work_dir):
        """(epoch, loss) of the newest training run in a work directory."""
        logs = sorted((self.folder / work_dir).glob('*/vis_data/scalars.json'))
        lines = [json.loads(x) for x in logs[-1].read_text().splitlines()]
        return [(x['epoch'], x['loss']) for x in lines if 'loss' in x]

    def metrics(self, work_dir):
        """What the newest test in a work directory measured."""
        files = [
            path for path in (self.folder / work_dir).glob('2*/2*.json')
            if path.stem == path.parent.name
        ]
        return json.loads(sorted(files)[-1].read_text())


def _make_workplace(folder):
    rng = np.random.default_rng(0)
    lines = []
    for i, (text, split, (x0, y0, x1, y1)) in enumerate(SENTENCES):
        picture = rng.integers(0, 60, (64, 80, 3), dtype=np.uint8)
        picture[y0:y1, x0:x1] = rng.integers(120, 256, 3)
        cv2.imwrite(str(folder / f'{i}.png'), picture)
        outline = [x0, y0, x1, y0, x1, y1, x0, y1]
        lines.append(
            json.dumps(
                dict(
                    image=f'{i}.png',
                    text=text,
                    split=split,
                    segmentation=[outline])))
    sentences = folder / 'sentences.jsonl'
    sentences.write_text('\n'.join(lines) + '\n')
    config = folder / 'tiny.py'
    config.write_text(
        CONFIG.format(
            runtime=str(ROOT / 'configs/_base_/default_runtime.py'),
            sentences=str(sentences)))
    return Workplace(folder, config)


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A workplace in which two epochs were trained into ``work_dirs/tiny``."""
    place = _make_workplace(tmp_path_factory.mktemp('trained'))
    place.python('train.py', place.config)
    return place
