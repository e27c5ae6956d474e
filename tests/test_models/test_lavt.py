# Licensed under the Apache License, Version 2.0.
"""LAVT's recipe: its loss, what its optimizer steps, its unused gate."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.models import LanguageSwinTransformer
from mmrefseg.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/lavt/lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(CONFIG, format_python_code=False)


def test_loss_is_the_weighted_mean(cfg):
    """Divided by the sum of the pixels' weights, as PyTorch does it."""
    head = MODELS.build(dict(cfg.model.decode_head, in_channels=4)).double()
    logits = torch.randn(2, 2, 6, 5, dtype=torch.float64) * 3
    labels = torch.randint(0, 2, (2, 24, 20))
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=label[None]))
        for label in labels
    ]
    got = head.loss_by_feat(logits, samples)['loss_ce']
    upsampled = F.interpolate(
        logits, size=(24, 20), mode='bilinear', align_corners=True)
    expected = F.cross_entropy(
        upsampled, labels, weight=torch.tensor([0.9, 1.1]).double())
    torch.testing.assert_close(got, expected, atol=1e-8, rtol=1e-8)
    plain = F.cross_entropy(upsampled, labels)
    assert abs(got - plain) > 1e-4


def test_what_is_stepped_and_what_decays(cfg, tiny_segmentor, tiny_lavt):
    model = tiny_segmentor(**tiny_lavt)
    groups = build_optim_wrapper(model,
                                 cfg.optim_wrapper).optimizer.param_groups
    decay = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    assert {g['lr'] for g in groups} == {5e-5}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in decay, name
            continue
        in_backbone = name.startswith('backbone.')
        free = in_backbone and ('norm' in name or name.endswith(
            ('relative_position_bias_table', 'absolute_pos_embed')))
        assert decay[id(parameter)] == (0. if free else 0.01), name
    stepped = [n for n, p in model.named_parameters() if id(p) in decay]
    assert any('neck.blocks.0.0.bn.' in name for name in stepped)
    assert any('layer.0.output.LayerNorm' in name for name in stepped)
    assert not any('embeddings' in name for name in stepped)


def test_recipe(cfg):
    encoder = cfg.model.language_encoder
    assert encoder.trainable_layers == list(range(10))
    assert encoder.train_embeddings is False and encoder.max_tokens == 20
    assert cfg.model.decode_head.loss_decode.class_weight == [0.9, 1.1]
    assert cfg.model.backbone.drop_path_rate == 0.3
    (schedule, ) = cfg.param_scheduler
    assert schedule.power == 0.9 and schedule.end == 40


@pytest.fixture
def swin():

    def build(**kwargs):
        return LanguageSwinTransformer(
            language_channels=6,
            fusion=dict(type='PWAM'),
            query_stages=(),
            embed_dims=8,
            depths=(1, 1, 1),
            num_heads=(1, 1, 1),
            **kwargs)

    return build


def test_last_gate_is_there_and_does_not_train(swin):
    gate = dict(type='LanguageGate')
    gates = swin(gate=gate, frozen_last_gate=True).gates
    assert [g.out.weight.shape[0] for g in gates] == [8, 16, 32]
    assert [g.out.weight.requires_grad for g in gates] == [True, True, False]
    assert len(swin(gate=gate).gates) == 2
    with pytest.raises(ValueError, match='frozen_last_gate=True needs a gate'):
        swin(frozen_last_gate=True)
