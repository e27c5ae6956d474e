# Licensed under the Apache License, Version 2.0.
"""A stock backbone within the adapter is the stock backbone, and keeps its
own options; its shared behaviour is in test_language_backbone.py."""

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from torch import nn

from mmrefseg.models import EarlyFusionBackbone
from mmrefseg.models.backbones import early_fusion
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures

RESNETS = 'ResNet', 'ResNetV1c'
TINY = dict(depth=18, base_channels=4, stem_channels=4)
LAST = [None, None, None, dict(type='BSAM')]


def _build(kind, *, fusion=LAST, gate=None, stem=(), stages=None, **options):
    init_default_scope('mmrefseg')
    torch.manual_seed(0)
    if kind in RESNETS:
        options = {**TINY, **options}
    return EarlyFusionBackbone(
        backbone=dict(type=kind, **options),
        language_channels=6,
        fusion=fusion,
        gate=gate,
        stem=stem,
        stages=stages,
        query_channels=5)


def _language(batch):
    return LanguageFeatures(
        torch.randn(batch, 3, 6), torch.ones(batch, 3, dtype=torch.bool))


def _gradients(module, images, language):
    torch.manual_seed(1)
    features = module(images, language)
    sum((x**2).sum() for x in (*features, features.queries)).backward()
    return {
        key: p.grad
        for key, p in module.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize('kind', RESNETS)
@pytest.mark.parametrize('options', [
    {},
    dict(avg_down=True),
    dict(depth=50, style='caffe'),
    dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
])
def test_maps_are_those_of_the_stock_resnet(kind, options):
    if kind == 'ResNetV1c' and 'avg_down' in options:
        pytest.skip('is an argument of ResNet')
    module = _build(kind, **options).eval()
    images = torch.randn(2, 3, 65, 97)
    expected = module.backbone(images)
    visual = module(images, _language(2), keep_visual=True).visual
    for got, wanted in zip(visual, expected, strict=True):
        assert torch.equal(got, wanted)
    stock = MODELS.build({'type': kind, **TINY, **options}).state_dict()
    assert set(module.backbone.state_dict()) == set(stock)


def test_last_map_is_that_of_convnext():
    module = _build('StandInConvNeXt').eval()
    images = torch.randn(2, 3, 64, 96)
    # Its norm, which nothing uses now, is an identity.
    expected, = module.backbone(images)
    visual = module(images, _language(2), keep_visual=True).visual
    assert torch.equal(visual[-1], expected)


def test_statistics_stay_as_they_were():
    """Finding the channels moves no running mean, and no random number."""
    module = _build('ResNet').backbone
    stock = MODELS.build(dict(TINY, type='ResNet'))
    for key, value in stock.named_buffers():
        assert torch.equal(module.get_buffer(key), value)
    torch.manual_seed(0)
    MODELS.build(dict(TINY, type='ResNet'))
    expected = torch.rand(1)
    torch.manual_seed(0)
    backbone = dict(TINY, type='ResNet')
    EarlyFusionBackbone(
        backbone=backbone,
        language_channels=6,
        fusion=[dict(type=NoParameters)],
        stem=['conv1'],
        stages=['layer1'])
    assert torch.rand(1) == expected
    assert module.training


class NoParameters(BaseModule):

    def __init__(self, *, channels, language_channels, query_channels):
        super().__init__()


@pytest.mark.parametrize('kind', [*RESNETS, 'StandInConvNeXt'])
def test_frozen_stages(kind):
    module = _build(kind, frozen_stages=2).train()
    frozen = {
        'ResNet': ('conv1', 'bn1', 'layer1', 'layer2'),
        'ResNetV1c': ('stem', 'layer1', 'layer2'),
        'StandInConvNeXt': ('downsample_layers.0', 'stages.0',
                            'downsample_layers.1', 'stages.1')
    }[kind]
    for name in frozen:
        part = module.backbone.get_submodule(name)
        assert not any(p.requires_grad for p in part.parameters())
        assert name == 'conv1' or not part.training
    gradients = _gradients(module, torch.randn(4, 3, 64, 64), _language(4))
    frozen = tuple(f'backbone.{name}.' for name in frozen)
    for key, _ in module.named_parameters():
        assert (key in gradients) != key.startswith(frozen)


def test_norms_in_evaluation_mode():
    module = _build('ResNet', norm_eval=True).train()
    norms = [x for x in module.modules() if isinstance(x, nn.BatchNorm2d)]
    assert norms and not any(x.training for x in norms)
    assert module.backbone.layer1.training


def test_recomputing_activations_changes_nothing(monkeypatch):
    """Of batch norms the statistics move twice, so they rest here."""
    fusion = [dict(type='BSAM')] * 4
    images, language, results = torch.randn(4, 3, 64, 64), _language(4), []
    calls = []
    forward = nn.BatchNorm2d.forward
    monkeypatch.setattr(
        nn.BatchNorm2d, 'forward',
        lambda self, x: calls.append(1) or forward(self, x))
    for with_cp in (False, True):
        module = _build(
            'ResNet', fusion=fusion, with_cp=with_cp, norm_eval=True).train()
        calls.clear()
        results.append((_gradients(module, images, language), len(calls)))
    (plain, few), (saving, many) = results
    assert many > 1.5 * few
    assert set(plain) == set(saving)
    for key, gradient in plain.items():
        torch.testing.assert_close(saving[key], gradient)


def test_pretrained_weights_are_loaded(tmp_path):
    path = str(tmp_path / 'resnet.pth')
    stock = MODELS.build(dict(TINY, type='ResNet'))
    torch.save(dict(state_dict=stock.state_dict()), path)
    module = _build(
        'ResNet', init_cfg=dict(type='Pretrained', checkpoint=path))
    assert not torch.equal(module.backbone.conv1.weight, stock.conv1.weight)
    module.init_weights()
    for key, value in stock.state_dict().items():
        assert torch.equal(module.backbone.state_dict()[key], value)


def test_backbone_and_fusions_initialise_themselves():
    module = _build(
        'StandInConvNeXt',
        gate=dict(type='LanguageGate'),
        fusion=[
            None,
            dict(
                type='BSAM',
                init_cfg=dict(type='Constant', layer='Linear', val=0.25))
        ] * 2)
    module.init_weights()
    for stage in module.backbone.stages:
        assert (stage[0].weight == 0.125).all()
    for i in (1, 3):
        assert (module.fusions[i].word_key.weight == 0.25).all()


# ------------------------------------------------- stages by their names


def test_unused_parts_are_removed(monkeypatch):
    logged = []
    monkeypatch.setattr(early_fusion, 'print_log',
                        lambda message, logger: logged.append(message))
    module = _build(
        'StandInNamed',
        fusion=[None, dict(type='BSAM')],
        stem=['start'],
        stages=['body.a', ['body.b', 'body.c']])
    assert 'removes body.unused, classifier of Named' in logged[0]
    names = [key for key, _ in module.backbone.named_parameters()]
    assert names and all(
        key.startswith(('start.', 'body.a.', 'body.b.', 'body.c.'))
        for key in names)
    assert isinstance(module.backbone.classifier, nn.Identity)


def test_parameter_outside_of_submodules():

    class WithPosition(MODELS.get('StandInNamed')):

        def __init__(self):
            super().__init__()
            self.position = nn.Parameter(torch.zeros(4))

    with pytest.raises(ValueError, match='WithPosition has position, which no '
                       'stage uses'):
        _build(
            WithPosition,
            fusion=[dict(type='BSAM')],
            stem=['start'],
            stages=['body.a'])


def test_unknown_backbone():
    with pytest.raises(ValueError, match=r'stages of Named are not known.* '
                       r'It has start, body, classifier\.'):
        _build('StandInNamed')


def test_missing_submodule():
    with pytest.raises(ValueError, match=r'Named has no body\.x, which .* It '
                       r'has start, body, classifier\.'):
        _build('StandInNamed', stem=['start'], stages=['body.a', 'body.x'])


def test_stage_that_gives_no_map():
    with pytest.raises(ValueError, match=r'Stage 1 of the backbone '
                       r'\(flat\) gives no map'):
        _build(Odd, fusion=LAST[2:], stem=['start'], stages=['a', 'flat'])


def test_stage_that_changes_its_input():
    """It would change the map that is given out, or kept for the next
    sentence."""
    with pytest.raises(ValueError, match=r'Stage 1 of the backbone '
                       r'\(inplace, a\) changes its input in place'):
        _build(
            Odd, fusion=LAST[2:], stem=['start'], stages=['a', ['inplace',
                                                                'a']])


class Odd(nn.Module):

    def __init__(self):
        super().__init__()
        self.start = nn.Conv2d(3, 4, 4, 4)
        self.a = nn.Conv2d(4, 4, 3, 2, 1)
        self.flat = nn.Flatten()
        self.inplace = nn.ReLU(inplace=True)
