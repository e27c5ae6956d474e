# Licensed under the Apache License, Version 2.0.
"""A tiny BERT, a tiny segmentor and batches for the tests of the models."""

import copy

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule, Sequential
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmrefseg.registry import MODELS

TINY_WORDS = ('[PAD] [UNK] [CLS] [SEP] [MASK] the red blue circle square star '
              'left right of to on above small ##s ##est , . cafe').split()
TINY_ARCH = dict(
    hidden_size=16,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=40)


@pytest.fixture
def tiny_vocab(tmp_path):
    """Path (str) of a ``vocab.txt`` of 23 tokens."""
    path = tmp_path / 'tiny_vocab' / 'vocab.txt'
    path.parent.mkdir()
    path.write_text('\n'.join(TINY_WORDS) + '\n', encoding='utf-8')
    return str(path)


@pytest.fixture
def tiny_arch():
    """Arguments of BertConfig: 3 layers of width 16, 40 positions."""
    return dict(TINY_ARCH)


NORM = dict(type='BN')
CE = dict(type='CrossEntropyLoss', avg_non_ignore=True)
TINY_SEGMENTOR = dict(
    type='ReferringEncoderDecoder',
    data_preprocessor=dict(
        type='RefSegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    language_encoder=dict(
        type='BertLanguageEncoder',
        vocab='synthetic',
        max_tokens=16,
        arch=dict(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=20)),
    backbone=dict(
        type='LanguageSwinTransformer',
        embed_dims=8,
        depths=[2, 1, 2, 1],
        num_heads=[1, 2, 4, 8],
        window_size=4,
        drop_path_rate=0.,
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG', reduction=2, norm_cfg=NORM),
        query_channels=16),
    neck=dict(
        type='ReferringPixelDecoder',
        in_channels=[8, 16, 32, 64],
        channels=16,
        out_channels=16,
        norm_cfg=NORM,
        out_norm_cfg=dict(type='GN', num_groups=4)),
    decode_head=dict(
        type='LQPGHead',
        in_channels=16,
        channels=16,
        num_queries=4,
        num_layers=3,
        num_heads=4,
        ffn_channels=24,
        norm_cfg=NORM,
        loss_decode=CE),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))
# Changes that make LAVT of it.
TINY_LAVT = dict(
    language_encoder=dict(trainable_layers=[0], train_embeddings=False),
    backbone=dict(
        fusion=dict(type='PWAM'),
        gate=dict(_delete_=True, type='LanguageGate'),
        frozen_last_gate=True,
        output_norm=True,
        query_stages=()),
    neck=dict(out_channels=None, out_indices=(0, ), align_corners=True),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=16,
        kernel_size=1,
        with_coords=False,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.9, 1.1])))
# Changes that make RefSegformer of it.
TINY_REFSEGFORMER = dict(
    backbone=dict(
        fusion=[None] + [dict(type='VLTF', num_heads=h) for h in (2, 4, 8)],
        gate=None,
        query_channels=16,
        query_stages=(1, )),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=16,
        kernel_size=1,
        with_coords=False,
        no_target_weight=0.4,
        existence=dict(
            type='TokenExistencePredictor',
            token_channels=16,
            channels=16,
            num_heads=4),
        loss_decode=CE),
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=16,
            channels=16,
            in_index=i,
            num_convs=0,
            concat_input=False,
            num_classes=2,
            out_channels=2,
            dropout_ratio=0,
            align_corners=False,
            loss_decode=dict(CE, loss_weight=0.4)) for i in (1, 2, 3)
    ])
TEXTS = ('the red circle', 'small blue square on the left',
         'star above the large striped triangle', 'leftmost black object')


def _merge(base, changes):
    """A copy of ``base`` with ``changes``; ``_delete_`` as in a config."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return copy.deepcopy(changes)
    if changes.get('_delete_'):
        return {k: v for k, v in changes.items() if k != '_delete_'}
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        merged[key] = _merge(merged.get(key), value)
    return merged


@pytest.fixture(scope='session')
def tiny_segmentor():
    """A function that builds a whole MPG-LQGNet of 8 channels and more:
    ``tiny_segmentor(part=changes, ..., randomise=True)``.

    Parts change as in a config (``_delete_=True`` replaces one); None leaves
    a part out. Parameters are random, so that none is 0 or 1, or as
    ``init_weights`` leaves them.
    """

    def build(*, randomise=True, **parts):
        init_default_scope('mmrefseg')
        torch.manual_seed(0)
        cfg = _merge(TINY_SEGMENTOR, parts)
        model = MODELS.build({k: v for k, v in cfg.items() if v is not None})
        model.init_weights()
        for name, value in model.named_parameters():
            if not randomise:
                break
            if value.dim() == 1 or 'position_bias' in name:
                value.data.add_(0.2 * torch.randn(value.shape))
            elif 'bert' not in name:
                value.data.copy_(
                    torch.randn(value.shape) *
                    (1.5 / value[0].numel())**0.5)
        return model

    return build


@pytest.fixture(scope='session')
def tiny_lavt():
    """Parts with which ``tiny_segmentor(**tiny_lavt)`` builds a LAVT."""
    return copy.deepcopy(TINY_LAVT)


@pytest.fixture(scope='session')
def tiny_refsegformer():
    """Parts with which ``tiny_segmentor(**tiny_refsegformer)`` builds a
    RefSegformer."""
    return copy.deepcopy(TINY_REFSEGFORMER)


@pytest.fixture(scope='session')
def tiny_config(tmp_path_factory):
    """Path (str) of a config file whose ``model`` is the tiny segmentor."""
    path = tmp_path_factory.mktemp('tiny_config') / 'tiny.py'
    path.write_text(f'model = {TINY_SEGMENTOR!r}\n')
    return str(path)


@pytest.fixture(scope='session')
def make_batch():
    """A function that makes a batch as a data loader gives it:
    ``make_batch(sizes, texts=TEXTS, ori_shapes=None)``.

    ``sizes`` are the input's (height, width), one for each image; masks have
    the input's size. Images are uint8 noise with a box where the mask is.
    """

    def make(sizes, texts=TEXTS, ori_shapes=None):
        rng = np.random.default_rng(0)
        inputs, samples = [], []
        for i, (height, width) in enumerate(sizes):
            image = rng.integers(0, 160, (3, height, width), dtype=np.uint8)
            mask = np.zeros((1, height, width), dtype=np.int64)
            box = (0, slice(height // 8 * (i % 4), height // 8 * (i % 4 + 3)),
                   slice(width // 8 * (i % 3), width // 8 * (i % 3 + 4)))
            mask[box] = 1
            image[:, mask[0] > 0] += 90
            sample = SegDataSample(
                gt_sem_seg=PixelData(data=torch.from_numpy(mask)))
            sample.set_metainfo(
                dict(
                    img_path=f'photo_{i}.jpg',
                    ref_id=100 + i,
                    text=texts[i % len(texts)],
                    ori_shape=(ori_shapes or sizes)[i],
                    img_shape=(height, width)))
            inputs.append(torch.from_numpy(image))
            samples.append(sample)
        return dict(inputs=inputs, data_samples=samples)

    return make


class LayerNorm2d(nn.LayerNorm):

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


@MODELS.register_module('StandInConvNeXt')
class ConvNeXt(BaseModule):
    """A stand-in with the submodules of mmpretrain's ConvNeXt, which is not
    installed everywhere, of one convolution a block."""

    def __init__(self, *, channels=(4, 8, 16, 32), frozen_stages=0):
        super().__init__(
            init_cfg=dict(type='Constant', layer='Conv2d', val=0.125))
        self.frozen_stages = frozen_stages
        self.downsample_layers = nn.ModuleList()
        self.stages = nn.ModuleList()
        for i, width in enumerate(channels):
            self.downsample_layers.append(
                nn.Sequential(
                    LayerNorm2d(channels[i - 1]),
                    nn.Conv2d(channels[i - 1], width, 2, 2)) if i else nn.
                Sequential(nn.Conv2d(3, width, 4, 4), LayerNorm2d(width)))
            self.stages.append(
                Sequential(
                    nn.Conv2d(width, width, 3, padding=1, groups=width),
                    nn.GELU()))
        self.norm3 = LayerNorm2d(channels[-1])
        self._freeze_stages()

    def _freeze_stages(self):
        for i in range(self.frozen_stages):
            for part in (self.downsample_layers[i], self.stages[i]):
                part.eval().requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self._freeze_stages()

    def forward(self, x):
        for downsample, stage in zip(self.downsample_layers, self.stages):
            x = stage(downsample(x))
        return self.norm3(x),


@MODELS.register_module('StandInNamed')
class Named(BaseModule):
    """Stages of any name, beside a classifier."""

    def __init__(self):
        super().__init__()
        self.start = nn.Conv2d(3, 4, 4, 4)
        self.body = nn.ModuleDict({
            name: nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.Tanh())
            for name in 'abc'
        })
        self.body['unused'] = nn.Linear(4, 4)
        self.classifier = nn.Linear(4, 10)
