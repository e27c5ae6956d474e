# Licensed under the Apache License, Version 2.0.
"""Parameter groups, and bfloat16 training without a GPU."""

import pytest
import torch
import torch.nn as nn
from mmengine.optim import build_optim_wrapper
from transformers import BertConfig, BertModel

from mmrefseg.engine import AutocastOptimWrapper
from mmrefseg.engine.optimizers import autocast_optim_wrapper
from mmrefseg.engine.optimizers.optim_wrapper_constructor import is_norm
from mmrefseg.registry import OPTIM_WRAPPERS

LR, WD = 1e-3, 0.02


class FancyRMSNorm(nn.Module):

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))


class Layer(nn.Module):

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm1 = nn.LayerNorm(4)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))


class Model(nn.Module):
    """Twelve layers, all kinds of norms, a BERT, a tied and a frozen one."""

    def __init__(self):
        super().__init__()
        config = BertConfig(
            vocab_size=30,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=8)
        self.language_encoder = BertModel(config, add_pooling_layer=False)
        self.layer = nn.ModuleList(Layer() for _ in range(12))
        self.gn = nn.GroupNorm(2, 4)
        self.bn = nn.BatchNorm2d(4)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.sync = nn.SyncBatchNorm(4)
        self.rms = FancyRMSNorm()
        self.head = nn.Conv2d(4, 2, 1)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.layer[0].fc.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def build(model=None, weight_decay=WD, **paramwise):
    optimizer = dict(type='AdamW', lr=LR)
    if weight_decay is not None:
        optimizer['weight_decay'] = weight_decay
    else:
        optimizer['type'] = 'SGD'
    from mmengine.registry import init_default_scope
    init_default_scope('mmrefseg')
    model = model or Model()
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            constructor='RefSegOptimWrapperConstructor',
            optimizer=optimizer,
            paramwise_cfg=paramwise))
    return model, wrapper.optimizer.param_groups


def settings(model, groups):
    """Name -> (lr, weight decay) of each parameter in the optimizer."""
    of = {
        id(p): (group['lr'], group['weight_decay'])
        for group in groups
        for p in group['params']
    }
    assert len(of) == sum(len(group['params']) for group in groups)
    return {
        name: of[id(p)]
        for name, p in model.named_parameters() if id(p) in of
    }


def test_every_parameter_is_in_the_right_group():
    model, groups = build(lr_mult={'language_encoder': 0.1})
    found = settings(model, groups)
    norms = {
        f'{path}.{name}'
        for path, module in model.named_modules() if is_norm(module)
        for name, _ in module.named_parameters(recurse=False)
    }
    # torch's four, ours, one per layer, and BERT's: embeddings and 2 per layer
    assert len(norms) == 2 * (4 + 12 + 1 + 2 * 2) + 1
    assert any('attention.output.LayerNorm' in name for name in norms)
    for name, (lr, decay) in found.items():
        bert = name.startswith('language_encoder.')
        assert lr == pytest.approx(LR * (0.1 if bert else 1)), name
        free = name in norms or name.endswith('relative_position_bias_table')
        assert decay == (0. if free else WD), name
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert set(found) == trained
    assert not any(name.startswith('frozen') for name in found)
    # what agrees shares a group; the main part comes first
    assert [(g['lr'], g['weight_decay']) for g in groups] == [
        (LR, WD), (LR, 0.), (0.1 * LR, WD), (0.1 * LR, 0.)
    ]


def test_paths_are_whole_names_and_the_longest_counts():
    model, groups = build(lr_mult={
        'layer.1': 0.5,
        'layer': 2.,
        'layer.1.fc.bias': 0.
    })
    found = settings(model, groups)
    assert found['layer.1.fc.weight'][0] == pytest.approx(0.5 * LR)
    assert found['layer.1.fc.bias'][0] == 0.
    assert found['layer.1.norm1.weight'] == (pytest.approx(0.5 * LR), 0.)
    assert found['layer.10.fc.weight'][0] == pytest.approx(2 * LR)
    assert found['head.weight'][0] == LR


def test_decay_options():
    model, groups = build(
        bias_decay_mult=0.,
        norm_decay_mult=0.5,
        decay_mult={'head': 3.},
        no_decay=('weight', ))
    found = settings(model, groups)
    assert found['head.weight'][1] == 0.
    assert found['head.bias'][1] == 0.
    assert found['gn.bias'][1] == 0.5 * WD
    assert found['layer.3.relative_position_bias_table'][1] == WD
    model, groups = build(decay_mult={'head': 3.})
    assert settings(model, groups)['head.bias'][1] == pytest.approx(3 * WD)


def test_norms_of_one_part_without_decay():
    model, groups = build(norm_decay_mult={'layer': 0., 'layer.1': 0.5})
    found = settings(model, groups)
    assert found['layer.10.norm1.weight'][1] == 0.
    assert found['layer.1.norm1.bias'][1] == 0.5 * WD
    assert found['layer.10.fc.weight'][1] == WD
    assert found['gn.bias'][1] == found['bn.weight'][1] == WD
    with pytest.raises(KeyError, match='norm_decay_mult names "neck"'):
        build(norm_decay_mult={'neck': 0.})


def test_without_weight_decay():
    _, groups = build(weight_decay=None)
    assert len(groups) == 1


def test_wrong_options():
    with pytest.raises(KeyError, match='"lang".*language_encoder'):
        build(lr_mult={'lang': 0.1})
    with pytest.raises(ValueError, match=r"unknown keys \['bias_lr_mult'\]"):
        build(bias_lr_mult=2.)


@pytest.mark.parametrize('supported', [True, False])
def test_autocast_trains_in_bfloat16_on_cpu(supported, monkeypatch):
    """In float32 where the CPU would emulate it, many times slower."""
    monkeypatch.setattr(autocast_optim_wrapper, 'cpu_has_bfloat16',
                        lambda: supported)
    torch.manual_seed(0)
    model = nn.Linear(8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='AutocastOptimWrapper',
            optimizer=optimizer,
            clip_grad=dict(max_norm=1.)))
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.randn(4, 8))
        loss = out.float().square().mean()
    assert out.dtype is (torch.bfloat16 if supported else torch.float32)
    wrapper.update_params(loss)
    assert model.weight.dtype is torch.float32
    assert not torch.equal(before, model.weight)
    assert model(torch.randn(4, 8)).dtype is torch.float32
    assert 'loss_scaler' not in wrapper.state_dict()


def test_autocast_in_float32_changes_nothing():
    model = nn.Linear(8, 8)
    wrapper = AutocastOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        dtype='float32')
    with wrapper.optim_context(model):
        assert model(torch.randn(4, 8)).dtype is torch.float32


def test_autocast_refuses_float16():
    with pytest.raises(ValueError, match='AmpOptimWrapper'):
        AutocastOptimWrapper(
            optimizer=torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1),
            dtype='float16')


def test_autocast_accumulates():
    model = nn.Linear(2, 2)
    wrapper = AutocastOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    weights = [model.weight.detach().clone()]
    for _ in range(2):
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 2)).float().sum()
        wrapper.update_params(loss)
        weights.append(model.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
