# Licensed under the Apache License, Version 2.0.
"""A tiny model with random weights, and an image."""

from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmrefseg.registry import MODELS

CONFIG = '''
default_scope = 'mmrefseg'
norm_cfg = dict(type='BN', requires_grad=True)
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')]
test_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='RefCOCODataset', data_root='/home/somebody/refs',
        data_prefix=dict(img_path='images'), split_by='unc', split='train',
        pipeline=test_pipeline))
test_evaluator = dict(type='ReferringIoUMetric')
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
work_dir = '/home/somebody/work_dirs/tiny'
load_from = '/home/somebody/start.pth'
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
        query_channels=16,
        init_cfg=dict(type='Pretrained', checkpoint='/home/x/swin.pth')),
    neck=dict(
        type='ReferringPixelDecoder', in_channels=[8, 16, 32, 64],
        channels=16, out_channels=16, norm_cfg=norm_cfg,
        out_norm_cfg=dict(type='GN', num_groups=4)),
    decode_head=dict(
        type='LQPGHead', in_channels=16, channels=16, num_queries=4,
        num_layers=2, num_heads=2, ffn_channels=32, prior_loss_weight=0.1,
        norm_cfg=norm_cfg, loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))
'''


class TinyModel(NamedTuple):
    """Files of a tiny model."""
    config: str
    weights: str


def _random_model(config):
    """Weights that make masks with an inside and an outside."""
    torch.manual_seed(3)
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        model = MODELS.build(config.model)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith('running_var'):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith('running_mean'):
                buffer.normal_(std=0.1)
        model.decode_head.conv_seg.weight.normal_()
        model.decode_head.conv_seg.bias.zero_()
    return model


@pytest.fixture(scope='session')
def tiny_model(tmp_path_factory):
    """Config and checkpoint, the latter as a training run writes it."""
    folder = tmp_path_factory.mktemp('tiny_model')
    path = folder / 'tiny.py'
    path.write_text(CONFIG)
    config = Config.fromfile(path)
    torch.save(
        dict(
            state_dict=_random_model(config).state_dict(),
            meta=dict(epoch=2, iter=8, seed=0, cfg=config.pretty_text),
            optimizer=dict(state={0: torch.ones(3)}, param_groups=[])),
        folder / 'epoch_2.pth')
    return TinyModel(str(path), str(folder / 'epoch_2.pth'))


@pytest.fixture(scope='session')
def photo(tmp_path_factory):
    """Path of a PNG of 60 x 90 pixels (height x width) with some shapes."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 90, (60, 90, 3), dtype=np.uint8)
    cv2.rectangle(picture, (10, 8), (35, 40), (30, 40, 220), -1)
    cv2.circle(picture, (65, 35), 16, (220, 120, 20), -1)
    path = tmp_path_factory.mktemp('photo') / 'two shapes.png'
    cv2.imwrite(str(path), picture)
    return str(path)
