# Licensed under the Apache License, Version 2.0.
"""The language-conditioned Swin equals mmseg's Swin where it must, and trains
alike whichever way its attention is computed."""

import copy

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.models.backbones import SwinTransformer
from mmseg.models.backbones.swin import SwinBlock
from torch import nn

from mmrefseg.models import LanguageSwinTransformer
from mmrefseg.models.layers import ShiftedWindowAttention
from mmrefseg.models.layers.window_attention import shifted_window_mask
from mmrefseg.models.meta import meta_device
from mmrefseg.structures import LanguageFeatures

ARCH = dict(
    embed_dims=8, depths=(2, 1, 2), num_heads=(1, 2, 4), window_size=4)


def _language(batch=2, tokens=5, width=6, device='cpu'):
    rng = torch.Generator().manual_seed(1)
    words = torch.randn(batch, tokens, width, generator=rng).double()
    return LanguageFeatures(
        words=words.to(device),
        mask=torch.ones(batch, tokens, dtype=torch.bool, device=device))


def _randomise(module, seed=0):
    rng = torch.Generator().manual_seed(seed)
    for parameter in module.double().parameters():
        parameter.data = 0.4 * torch.randn(
            parameter.shape, generator=rng, dtype=torch.float64)
    return module


def _swin(**kwargs):
    kwargs = {
        **ARCH, 'drop_path_rate': 0.,
        'language_channels': 6,
        'fusion': dict(type='BSAM'),
        'gate': dict(type='CAFG', reduction=2),
        'query_channels': 4,
        **kwargs
    }
    return _randomise(LanguageSwinTransformer(**kwargs))


def _random(*shape, seed=2):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _close(got, expected):
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


# ------------------------------------------------------------ one block


def _blocks(window, shift, **drops):
    """mmseg's block, and the same with our attention."""
    theirs = _randomise(
        SwinBlock(8, 2, 16, window_size=window, shift=shift, **drops))
    ours = copy.deepcopy(theirs)
    ours.attn = ShiftedWindowAttention(
        embed_dims=8,
        num_heads=2,
        window_size=window,
        shift_size=window // 2 if shift else 0,
        qkv_bias=True,
        qk_scale=drops.get('qk_scale'),
        attn_drop_rate=drops.get('attn_drop_rate', 0.),
        proj_drop_rate=drops.get('drop_rate', 0.),
        drop_path_rate=drops.get('drop_path_rate', 0.)).double()
    ours.attn.load_state_dict(theirs.attn.state_dict())
    return ours, theirs


@pytest.mark.parametrize('with_grad', [False, True])
@pytest.mark.parametrize('window, size', [
    (7, (14, 14)),
    (7, (9, 16)),
    (7, (3, 5)),
    (7, (7, 2)),
    (12, (12, 12)),
    (12, (15, 15)),
    (12, (2, 3)),
])
@pytest.mark.parametrize('shift', [False, True])
def test_block_equals_mmseg(shift, window, size, with_grad):
    """With gradients attention is written out, without it is one fused call;
    both are mmseg's, padding and maps smaller than a window included."""
    ours, theirs = _blocks(window, shift)
    x = _random(2, size[0] * size[1], 8)
    with torch.set_grad_enabled(with_grad):
        got, expected = ours(x, size), theirs(x, size)
    _close(got, expected)
    if with_grad:
        weight = _random(*got.shape, seed=3)
        (got * weight).sum().backward()
        (expected * weight).sum().backward()
        for ours_p, theirs_p in zip(ours.parameters(), theirs.parameters()):
            torch.testing.assert_close(
                ours_p.grad, theirs_p.grad, atol=1e-8, rtol=1e-10)


@pytest.mark.parametrize('with_grad', [False, True])
def test_given_scale_is_used(with_grad):
    ours, theirs = _blocks(4, True, qk_scale=0.2)
    x = _random(2, 30, 8)
    with torch.set_grad_enabled(with_grad):
        _close(ours(x, (5, 6)), theirs(x, (5, 6)))
        assert not torch.allclose(_blocks(4, True)[0](x, (5, 6)),
                                  ours(x, (5, 6)))


def test_dropout_equals_mmseg():
    """Of attention weights, outputs and whole branches, by the same seed."""
    drops = dict(attn_drop_rate=0.4, drop_rate=0.2, drop_path_rate=0.5)
    ours, theirs = _blocks(4, True, **drops)
    x, results = _random(3, 64, 8), []
    for block in (ours, theirs):
        torch.manual_seed(5)
        results.append(block(x, (8, 8)))
    _close(*results)
    assert not torch.allclose(ours(x, (8, 8)), results[0])


@pytest.mark.parametrize('with_grad', [False, True])
def test_dropout_of_attention_acts_in_training_only(with_grad):
    ours, theirs = _blocks(4, True, attn_drop_rate=0.4)
    x = _random(2, 64, 8)
    with torch.set_grad_enabled(with_grad):
        assert not torch.allclose(ours(x, (8, 8)), ours(x, (8, 8)))
        ours.eval()
        theirs.eval()
        _close(ours(x, (8, 8)), theirs(x, (8, 8)))


# ----------------------------------------------------- the whole backbone


@pytest.mark.parametrize('window', [7, 12])
@pytest.mark.parametrize('size', [(64, 64), (65, 97)])
@pytest.mark.parametrize('with_grad', [False, True])
def test_swin_without_words_equals_mmseg(window, size, with_grad):
    """A fusion that adds nothing leaves mmseg's Swin, map by map."""

    class Silence(BaseModule):

        def __init__(self, *, channels, language_channels, query_channels):
            super().__init__()

        def forward(self, visual, language):
            return visual, None

    class Closed(BaseModule):

        def __init__(self, *, channels):
            super().__init__()

        def forward(self, fused, visual):
            return torch.zeros_like(visual)

    arch = {**ARCH, 'window_size': window}
    ours = _swin(
        **{
            **arch, 'fusion': dict(type=Silence),
            'gate': dict(type=Closed),
            'output_norm': True
        })
    theirs = SwinTransformer(
        **arch, strides=(4, 2, 2), out_indices=(0, 1, 2)).double()
    theirs.load_state_dict(ours.state_dict())
    ours.eval()
    theirs.eval()
    images = _random(2, 3, *size)
    with torch.set_grad_enabled(with_grad):
        features = ours(images, _language())
        expected = theirs(images)
    assert features.queries is None
    for got, wanted in zip(features.maps, expected, strict=True):
        _close(got, wanted)


def test_parameters_have_the_names_of_mmseg():
    theirs = SwinTransformer(
        **ARCH, strides=(4, 2, 2), out_indices=(0, 1, 2)).state_dict()
    norms = {k for k in theirs if k.startswith('norm')}
    assert norms == {f'norm{i}.{k}' for i in range(3)
                     for k in ('weight', 'bias')}
    plain, normed = (
        {
            k: v.shape
            for k, v in _swin(output_norm=output_norm).state_dict().items()
            if not k.startswith(('fusions.', 'gates.'))
        } for output_norm in (False, True))
    assert normed == {k: v.shape for k, v in theirs.items()}
    # Norms of the maps given out are not built when they are not used.
    assert set(theirs) - set(plain) == norms


def test_without_memory():
    """On the meta device, by the fused call."""
    with meta_device():
        module = LanguageSwinTransformer(
            **{
                **ARCH, 'drop_path_rate': 0.3
            },
            language_channels=6,
            fusion=dict(type='BSAM'),
            gate=dict(type='CAFG'),
            query_channels=4)
        images = torch.empty(2, 3, 65, 97)
    assert {p.device.type for p in module.parameters()} == {'meta'}
    # Drop path rates are numbers all the same.
    rates = [
        block.attn.drop.drop_prob for stage in module.stages
        for block in stage.blocks
    ]
    assert rates == pytest.approx([0, 0.075, 0.15, 0.225, 0.3])
    language = _language(device='meta')
    maps = module(
        images,
        LanguageFeatures(words=language.words.float(),
                         mask=language.mask)).maps
    assert [tuple(x.shape) for x in maps] == [(2, 8, 17, 25), (2, 16, 9, 13),
                                              (2, 32, 5, 7)]


def _step(module, images, seed=0):
    """Loss, and gradients by name, of a training step."""
    module.train()
    torch.manual_seed(seed)
    features = module(images, _language(batch=len(images)))
    loss = sum((x**2).mean() for x in (*features.maps, features.queries))
    module.zero_grad()
    loss.backward()
    return loss.item(), {
        name: p.grad.clone()
        for name, p in module.named_parameters() if p.grad is not None
    }


def test_recomputing_activations_changes_nothing(monkeypatch):
    drops = dict(drop_path_rate=0.5, drop_rate=0.1, attn_drop_rate=0.1)
    plain, saving = _swin(**drops), _swin(**drops, with_cp=True)
    calls = []
    forward = ShiftedWindowAttention.forward
    monkeypatch.setattr(
        ShiftedWindowAttention, 'forward',
        lambda self, *args: calls.append(1) or forward(self, *args))
    images = _random(4, 3, 64, 64)
    loss, gradients = _step(plain, images)
    assert len(calls) == 5
    loss_saving, gradients_saving = _step(saving, images)
    assert len(calls) == 5 + 2 * 5
    assert loss_saving == loss
    assert set(gradients_saving) == set(gradients)
    for name, gradient in gradients.items():
        _close(gradients_saving[name], gradient)
    # Another seed drops other branches: the comparison above says something.
    assert _step(saving, images, seed=1)[0] != loss


def test_training_after_inference_mode():
    """With the masks that were made in it."""
    shifted_window_mask.cache_clear()
    module, images = _swin(), _random(2, 3, 64, 64)
    with torch.inference_mode():
        module.eval()(images, _language())
    made = shifted_window_mask.cache_info().misses
    assert made
    assert _step(module, images)[1]
    assert shifted_window_mask.cache_info().misses == made


def test_masks_are_made_once_for_each_size():
    shifted_window_mask.cache_clear()
    module = _swin().eval()
    for _ in range(3):
        module(_random(1, 3, 64, 64), _language(1))
    info = shifted_window_mask.cache_info()
    # Two shifted blocks, on maps of two sizes.
    assert info.misses == 2 and info.hits == 4


def test_copies_are_equal_and_apart():
    module, images = _swin().eval(), _random(2, 3, 64, 64)
    twin = copy.deepcopy(module)
    before = module(images, _language())
    for got, expected in zip(twin(images, _language()), before):
        assert torch.equal(got, expected)
    nn.init.zeros_(twin.patch_embed.projection.weight)
    for got, expected in zip(module(images, _language()), before):
        assert torch.equal(got, expected)


@pytest.mark.parametrize('frozen, parts', [
    (-1, ()),
    (0, ('patch_embed.', )),
    (2, ('patch_embed.', 'stages.0.', 'stages.1.')),
])
def test_frozen_stages(frozen, parts):
    module = _swin(frozen_stages=frozen, drop_path_rate=0.5, drop_rate=0.5)
    assert module.train() is module
    for name, parameter in module.named_parameters():
        assert parameter.requires_grad != name.startswith(parts or ('-', ))
    for i, stage in enumerate(module.stages):
        assert stage.training == (i >= frozen)
    assert all(x.training for x in (*module.fusions, *module.gates))
    _, gradients = _step(module, _random(4, 3, 64, 64))
    assert not any(name.startswith(parts or ('-', )) for name in gradients)
    assert any(name.startswith('fusions.0.') for name in gradients)


def test_fusions_and_gates_initialise_themselves():
    """mmseg's Swin would leave its children as the constructor made them."""
    constant = dict(type='Constant', layer=['Linear', 'Conv2d'], val=0.25)
    module = LanguageSwinTransformer(
        **ARCH,
        language_channels=6,
        fusion=dict(type='BSAM', init_cfg=constant),
        gate=dict(type='CAFG', init_cfg=constant))
    module.init_weights()
    for part in (*module.fusions, *module.gates):
        weights = [
            p for name, p in part.named_parameters()
            if p.dim() > 1 and name.endswith('weight')
        ]
        assert weights and all((p == 0.25).all() for p in weights)
    # Swin's own is not touched by it.
    weight = module.stages[0].blocks[0].attn.w_msa.qkv.weight
    assert 0.01 < weight.std() < 0.03


def test_number_of_queries_follows_the_stages():
    for stages in ((), (1, ), (0, 2)):
        module = _swin(query_stages=stages).eval()
        queries = module(_random(2, 3, 64, 64), _language()).queries
        if stages:
            assert tuple(queries.shape) == (2, len(stages), 4)
        else:
            assert queries is None
        built = [i for i, x in enumerate(module.fusions) if x.with_query]
        assert built == list(stages)
