# Licensed under the Apache License, Version 2.0.
"""Parts of mmseg and mmpretrain by their names, in place of ours."""

import importlib.util

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmrefseg.structures import MultimodalFeatures

CE = dict(type='CrossEntropyLoss', avg_non_ignore=True)
RESNET = dict(
    type='ResNet',
    depth=18,
    base_channels=4,
    stem_channels=4,
    norm_cfg=dict(type='BN'))
MIT = dict(
    type='MixVisionTransformer',
    embed_dims=4,
    num_layers=[1, 1, 1, 1],
    num_heads=[1, 1, 1, 2])
FPN = dict(
    _delete_=True,
    type='FPN',
    in_channels=[8, 16, 32, 64],
    out_channels=16,
    num_outs=4)
FCN_HEAD = dict(
    _delete_=True,
    type='FCNHead',
    in_channels=16,
    channels=8,
    in_index=0,
    num_convs=1,
    num_classes=2,
    concat_input=False,
    loss_decode=CE)
SWIN = dict(
    _delete_=True,
    type='SwinTransformer',
    embed_dims=8,
    depths=(1, 1, 1, 1),
    num_heads=(1, 2, 4, 8),
    window_size=4,
    strides=(4, 2, 2, 2))


def _late(backbone, channels, **kwargs):
    return dict(
        _delete_=True,
        type='LateFusionBackbone',
        backbone=backbone,
        in_channels=channels,
        fusion=dict(type='BSAM'),
        query_channels=16,
        **kwargs)


class ConvStages(nn.Module):

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 2, 2)
        for name in 'abcd':
            setattr(self, name, nn.Conv2d(4, 4, 3, 2, 1))


def _early(backbone, **kwargs):
    return dict(
        _delete_=True,
        type='EarlyFusionBackbone',
        backbone=backbone,
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG', reduction=2),
        query_channels=16,
        **kwargs)


# Changes of MPG-LQGNet, and whether its mask depends on the sentence.
MODELS = {
    'resnet': (dict(
        backbone=_late(RESNET, [4, 8, 16, 32]),
        neck=dict(in_channels=[4, 8, 16, 32])), True),
    'early_resnet': (dict(
        backbone=_early(RESNET), neck=dict(in_channels=[4, 8, 16, 32])), True),
    'early_resnet_v1c_with_two_fusions': (dict(
        backbone=dict(
            _early(dict(RESNET, type='ResNetV1c', frozen_stages=1)),
            fusion=[None, None, dict(type='BSAM'),
                    dict(type='BSAM')]),
        neck=dict(in_channels=[4, 8, 16, 32]),
        decode_head=dict(num_queries=2)), True),
    'mit': (dict(
        backbone=_late(MIT, [4, 4, 4, 8]),
        neck=dict(in_channels=[4, 4, 4, 8])), True),
    'early_by_names': (dict(
        backbone=_early(
            dict(type=ConvStages), stem=['stem'], stages=['a', 'b', 'c', 'd']),
        neck=dict(in_channels=[4, 4, 4, 4])), True),
    'fpn': (dict(neck=FPN), True),
    'fcn_head': (dict(
        backbone=dict(query_stages=()), decode_head=FCN_HEAD), True),
    'fcn_head_without_neck': (dict(
        neck=None,
        decode_head=dict(
            FCN_HEAD,
            in_channels=[8, 16, 32, 64],
            in_index=[0, 1, 2, 3],
            input_transform='resize_concat')), True),
    'resnet_fpn_fcn_head': (dict(
        backbone=_late(RESNET, [4, 8, 16, 32], query_stages=()),
        neck=dict(FPN, in_channels=[4, 8, 16, 32]),
        decode_head=FCN_HEAD), True),
    'swin_without_language': (dict(backbone=SWIN, decode_head=FCN_HEAD),
                              False),
    'mit_without_language_nor_neck': (dict(
        backbone=dict(MIT, _delete_=True),
        neck=None,
        decode_head=dict(FCN_HEAD, in_channels=4)), False),
}


def _train_and_predict(model, make_batch):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    before = {k: v.clone() for k, v in model.backbone.named_parameters()}
    log = model.train().train_step(make_batch([(64, 96)] * 2), wrapper)
    assert log['loss'].isfinite()
    assert any(not torch.equal(v, before[k])
               for k, v in model.backbone.named_parameters())
    with torch.no_grad():
        samples = model.eval().test_step(
            make_batch([(64, 96), (65, 97)], ori_shapes=[(50, 60), (70, 99)]))
    for sample in samples:
        mask = sample.pred_sem_seg.data
        assert tuple(mask.shape) == (1, *sample.ori_shape)
        assert sample.seg_logits.data.isfinite().all()


@pytest.mark.parametrize('name', MODELS)
def test_stock_parts(name, tiny_segmentor, make_batch):
    changes, reads = MODELS[name]
    model = tiny_segmentor(**changes)
    _train_and_predict(model, make_batch)
    data = model.data_preprocessor(make_batch([(64, 64)] * 2))
    with torch.no_grad():
        first = model(**data, mode='tensor')
        for sample in data['data_samples']:
            sample.set_metainfo(dict(text='the large purple cross'))
        second = model(**data, mode='tensor')
    assert torch.equal(first, second) != reads


@pytest.mark.parametrize('name', MODELS)
def test_stock_parts_share_an_image(name, tiny_segmentor, make_batch):
    """Two sentences of one image, through parts that know of none."""
    model = tiny_segmentor(**MODELS[name][0]).eval()
    batch = make_batch([(64, 64)] * 2)
    batch['inputs'][1] = batch['inputs'][0]
    with torch.no_grad():
        expected = model.test_step(batch)
        batch['inputs'].pop()
        for sample in batch['data_samples']:
            sample.set_metainfo(dict(image_index=0))
        samples = model.test_step(batch)
    for got, wanted in zip(samples, expected, strict=True):
        torch.testing.assert_close(
            got.seg_logits.data, wanted.seg_logits.data, atol=1e-5, rtol=0)


def test_every_map_is_fused(tiny_segmentor, make_batch):
    model = tiny_segmentor(**MODELS['resnet'][0]).eval()
    data = model.data_preprocessor(make_batch([(64, 64)] * 2))
    with torch.no_grad():
        features = model.backbone(
            data['inputs'], model.language_encoder(['red', 'the star']))
        stock = model.backbone.backbone(data['inputs'])
    assert isinstance(features, MultimodalFeatures)
    assert tuple(features.queries.shape) == (2, 4, 16)
    for got, plain in zip(features, stock, strict=True):
        assert got.shape == plain.shape and not torch.equal(got, plain)


def test_wrong_number_of_maps(tiny_segmentor, make_batch):
    changes = dict(MODELS['resnet'][0])
    changes['backbone'] = _late(
        dict(RESNET, out_indices=(0, 1, 2)), [4, 8, 16, 32])
    model = tiny_segmentor(**changes)
    with pytest.raises(ValueError, match='gave 3 maps where in_channels names '
                       '4: set its out_indices or in_channels'):
        model.test_step(make_batch([(64, 64)]))


@pytest.mark.skipif(
    importlib.util.find_spec('mmpretrain') is None,
    reason='mmpretrain is not installed')
def test_backbones_of_mmpretrain(tiny_segmentor, make_batch):
    backbone = dict(
        type='mmpretrain.ResNet',
        depth=18,
        base_channels=4,
        stem_channels=4,
        out_indices=(0, 1, 2, 3))
    convnext = dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 16, 32]))
    for parts in (_late(backbone, [4, 8, 16, 32]), _early(backbone),
                  _early(convnext)):
        _train_and_predict(
            tiny_segmentor(
                backbone=parts, neck=dict(in_channels=[4, 8, 16, 32])),
            make_batch)
