# Licensed under the Apache License, Version 2.0.
"""What every backbone that uses language keeps to: images first, sentences
afterwards, fusions and gates for each stage, no trace of the batch."""

import copy

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from torch import nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures, Pairs


class Reader(BaseModule):
    """A fusion that gives attention."""
    gives_attention = True

    def __init__(self, *, channels, language_channels, query_channels, out=0):
        super().__init__()
        self.key = nn.Linear(language_channels, channels)
        self.out = nn.Conv2d(channels, channels + out, 1)
        if query_channels is not None:
            self.query = nn.Linear(channels, query_channels)

    def forward(self, visual, language, return_attention=False):
        scores = torch.einsum('bchw,btc->bthw', visual,
                              self.key(language.words))
        attention = scores.masked_fill(~language.mask[..., None, None],
                                       -torch.inf).softmax(dim=1)
        words = torch.einsum('bthw,btc->bchw', attention,
                             self.key(language.words))
        query = None
        if hasattr(self, 'query'):
            query = self.query(words.mean(dim=(2, 3)))
        fused = self.out(visual * words)
        return (fused, query, attention) if return_attention else (fused,
                                                                   query)


RESNET = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
EARLY = {
    'swin':
    dict(
        type='LanguageSwinTransformer',
        embed_dims=4,
        depths=(1, 2, 1, 1),
        num_heads=(1, 1, 2, 2),
        window_size=4,
        drop_path_rate=0.),
    'resnet':
    dict(type='EarlyFusionBackbone', backbone=RESNET),
    'resnet_v1c':
    dict(type='EarlyFusionBackbone', backbone=dict(RESNET, type='ResNetV1c')),
    'convnext':
    dict(type='EarlyFusionBackbone', backbone=dict(type='StandInConvNeXt')),
    'named':
    dict(
        type='EarlyFusionBackbone',
        backbone=dict(type='StandInNamed'),
        stem=['start'],
        stages=['body.a', ['body.b', 'body.c']]),
}
ALL = {
    **EARLY, 'late':
    dict(
        type='LateFusionBackbone', backbone=RESNET, in_channels=[4, 8, 16, 32])
}


def _build(name, **changes):
    init_default_scope('mmrefseg')
    gate = {} if name == 'late' else dict(gate=dict(type='LanguageGate'))
    module = MODELS.build({
        'language_channels': 6,
        'fusion': dict(type='BSAM'),
        'query_channels': 5,
        **gate,
        **copy.deepcopy(ALL[name]),
        **changes
    }).double()
    rng = torch.Generator().manual_seed(0)
    for key, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=rng).double()
        if parameter.dim() > 1:
            parameter.data = noise * (1.5 / noise[0].numel())**0.5
        else:
            parameter.data = key.endswith('weight') + 0.2 * noise
    return module


@pytest.fixture(params=ALL)
def backbone(request):
    return _build(request.param).eval()


@pytest.fixture(params=EARLY)
def early(request):
    return request.param


def _random(*shape, seed=2):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _images(batch, size=(64, 96)):
    return _random(batch, 3, *size)


def _language(batch, tokens=5):
    """Sentences of different lengths."""
    mask = torch.arange(tokens) < torch.arange(2, 2 + batch)[:, None]
    return LanguageFeatures(_random(batch, tokens, 6, seed=1), mask)


def _close(got, expected):
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


def _same(got, expected):
    """Features are equal in maps and queries."""
    for ours, theirs in zip(got.maps, expected.maps, strict=True):
        _close(ours, theirs)
    _close(got.queries, expected.queries)


def test_sentences_matter(backbone):
    images = _images(2)
    first = backbone(images, _language(2))
    second = backbone(images, _language(2).select(torch.tensor([1, 0])))
    for one, other in zip(first, second, strict=True):
        assert (one - other).abs().max() > 1e-3
    assert first.queries.shape == (2, len(first), 5)


def test_padding_words_change_nothing(backbone):
    images, language = _images(3), _language(3)
    longer = LanguageFeatures(
        torch.cat([language.words, _random(3, 4, 6)], dim=1),
        nn.functional.pad(language.mask, (0, 4)))
    _same(backbone(images, longer), backbone(images, language))


def test_batch_does_not_matter(backbone):
    """Neither the order of a batch nor what else is in it."""
    images, language = _images(3), _language(3)
    features = backbone(images, language)
    order = torch.tensor([2, 0, 1])
    moved = backbone(images[order], language.select(order))
    for i, row in enumerate(order.tolist()):
        alone = backbone(images[row:row + 1],
                         language.select(torch.tensor([row])))
        for all_, permuted, one in zip(features, moved, alone, strict=True):
            _close(all_[row], one[0])
            _close(permuted[i], one[0])
        _close(moved.queries[i], alone.queries[0])


def test_many_sentences_on_one_image(backbone):
    """One after the other or all at once, with what was computed before."""
    images, language = _images(2), _language(4)
    index = torch.tensor([1, 0, 1, 1])
    encoded = backbone.encode_images(images)
    assert encoded.size == (64, 96) and len(encoded.maps[0]) == 2
    expected = backbone(images[index], language)
    _same(backbone.fuse(encoded, language, Pairs(image=index)), expected)
    _same(backbone(images, language, Pairs(image=index)), expected)
    for i, row in enumerate(index):
        one = backbone.fuse(
            encoded, language,
            Pairs(image=row[None], sentence=torch.tensor([i])))
        for got, wanted in zip(one, expected, strict=True):
            _close(got[0], wanted[i])


def test_one_sentence_for_many_images(backbone):
    images, language = _images(3), _language(2)
    index = torch.tensor([1, 1, 0])
    features = backbone(images, language, Pairs(sentence=index))
    _same(features, backbone(images, language.select(index)))
    assert torch.equal(features.language.words, language.words[index])


def test_no_pairs(backbone):
    """One image would be broadcast over three sentences."""
    with pytest.raises(ValueError, match=r'1 images and 3 sentences are no '
                       r'pairs: say with pairs=Pairs\(\.\.\.\)'):
        backbone(_images(1), _language(3))


def test_images_alone_hold_no_sentence(early):
    """What encode_images gives ends with the first stage that fuses."""
    for first in range(2):
        fusion = [None] * len(_build(early).fusions)
        fusion[first] = dict(type='BSAM')
        module = _build(early, fusion=fusion).eval()
        images, language = _images(2), _language(2)
        encoded = module.encode_images(images)
        assert len(encoded.maps) == first + 1
        features = module(images, language, keep_visual=True)
        for got, wanted in zip(encoded.maps, features.visual):
            assert torch.equal(got, wanted)


def test_late_fusion_encodes_all_maps():
    module, images = _build('late').eval(), _images(2)
    encoded = module.encode_images(images)
    for got, wanted in zip(encoded.maps, module.backbone(images), strict=True):
        assert torch.equal(got, wanted)


def test_encoded_images_stay_as_they_are(backbone):
    """Each sentence finds the maps that the one before found."""
    encoded = backbone.encode_images(_images(1))
    before = [x.clone() for x in encoded.maps]
    backbone.fuse(encoded, _language(1))
    for got, wanted in zip(encoded.maps, before, strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize('name', ALL)
def test_every_parameter_gets_a_gradient(name):
    """Through encode_images and fuse, as through forward."""
    module = _build(name).train()
    images, language = _images(4), _language(4)
    gradients = []
    for features in (module(images, language),
                     module.fuse(module.encode_images(images), language)):
        module.zero_grad()
        loss = sum((x * _random(*x.shape, seed=i)).sum()
                   for i, x in enumerate((*features, features.queries)))
        loss.backward()
        gradients.append(
            {key: p.grad.clone()
             for key, p in module.named_parameters()})
    for key, gradient in gradients[0].items():
        assert gradient.abs().max() > 1e-12, key
        _close(gradients[1][key], gradient)


# ------------------------------------------------- fusion for each stage


def test_fusion_and_gate_for_each_stage(early):
    """As written out: F = V where there is no fusion, nothing added."""
    number = len(_build(early).fusions)
    fusion = [dict(type='BSAM'), None, dict(type=Reader),
              dict(type='TileConcat')][:number]
    gate = [None, dict(type='LanguageGate'), dict(type='LanguageGate'),
            None][:number]
    gate[-1] = None
    module = _build(
        early,
        fusion=fusion,
        gate=gate,
        query_stages=[i for i in (0, 2) if i < number]).eval()
    images, language = _images(2), _language(2)
    x, maps, queries = images, [], []
    for i, part in enumerate(module.fusions):
        x = module.run_stage(i, x)
        fused = x
        if fusion[i] is not None:
            assert type(part).__name__ in str(fusion[i]['type'])
            fused, query = part(x, language)[:2]
            queries += [] if query is None else [query]
            increment = fused
            if i + 1 < number and gate[i] is not None:
                increment = module.gates[i](fused, x)
            x = x + increment
        maps.append(fused)
    features = module(images, language)
    for got, wanted in zip(features, maps, strict=True):
        _close(got, wanted)
    _close(features.queries, torch.stack(queries, dim=1))
    names = {key.rsplit('.', 2)[0] for key in module.state_dict()}
    assert not any(key.startswith('fusions.1') for key in names)
    assert not any(key.startswith('gates.1') for key in names)
    assert ('gates.2.hidden.weight' in module.state_dict()) == (number == 4)


def test_stages_that_fuse_give_queries():
    module = _build('resnet', fusion=[None, dict(type='BSAM')] * 2).eval()
    assert module(_images(1), _language(1)).queries.shape == (1, 2, 5)
    assert [name for name, _ in module.fusions.named_parameters()
            if name.endswith('query_out.bias')] == [
                '1.query_out.bias', '3.query_out.bias']


@pytest.mark.parametrize('name', ['swin', 'resnet', 'late'])
@pytest.mark.parametrize('changes, message', [
    (dict(fusion=[dict(type='BSAM')] * 3),
     'fusion lists 3 entries for 4 stages'),
    (dict(fusion=[None] * 4), 'fusion is None for every stage'),
    (dict(fusion=[None] + [dict(type='BSAM')] * 3, query_stages=(0, 1)),
     r'query_stages names stage 0 .* that fuse are \[1, 2, 3\]'),
    (dict(query_stages=(3, 4)), 'query_stages names stage 4'),
    (dict(gate=[None] * 2), 'gate lists 2 entries for 3 stages'),
    (dict(gate=[dict(type='LanguageGate')] * 4),
     'gate lists 4 entries for 3 stages'),
])
def test_settings_that_do_not_fit(name, changes, message):
    if name == 'late' and 'gate' in changes:
        pytest.skip('has no gates')
    with pytest.raises(ValueError, match=message):
        _build(name, **changes)


def test_late_fusion_changes_the_width():
    fusion = [dict(type=Reader, out=i) for i in range(3)] + [None]
    module = _build('late', fusion=fusion).eval()
    features = module(_images(2), _language(2), keep_visual=True)
    assert [x.shape[1] for x in features] == [4, 9, 18, 32]
    assert [x.shape[1] for x in features.visual] == [4, 8, 16, 32]
    assert features.queries.shape == (2, 3, 5)


def test_early_fusion_keeps_the_width(early):
    """Of all stages but the last, whose map is not passed on."""
    number = len(_build(early).fusions)
    fusion = [dict(type=Reader)] * (number - 1) + [dict(type=Reader, out=3)]
    module = _build(early, fusion=fusion).eval()
    assert module(_images(1), _language(1))[-1].shape[1] == (
        module.fusions[-1].out.in_channels + 3)
    module = _build(early, fusion=dict(type=Reader, out=1), gate=None)
    with pytest.raises(ValueError, match='cannot be added to that of its '
                       'stage, .* keep the channels'):
        module.eval()(_images(1), _language(1))


# ------------------------------------------------------ what is kept


def test_nothing_is_kept_unasked(backbone):
    features = backbone(_images(1), _language(1))
    assert features.visual is None and features.attention is None


@pytest.mark.parametrize('name', ALL)
def test_kept_maps_and_attention(name):
    number = len(_build(name).fusions)
    fusion = [dict(type=Reader), None, dict(type='TileConcat'),
              dict(type=Reader)][:number]
    module = _build(name, fusion=fusion, query_stages=()).eval()
    images, language = _images(1), _language(3)
    pairs = Pairs(image=torch.tensor([0, 0, 0]))
    plain = module(images, language, pairs)
    features = module(
        images, language, pairs, keep_visual=True, keep_attention=True)
    assert len(features.visual) == len(features.attention) == number
    for i, (kept, attention) in enumerate(
            zip(features.visual, features.attention)):
        assert torch.equal(features[i], plain[i])
        _close(kept if fusion[i] is None else module.fusions[i](
            kept, language)[0], features[i])
        if i in (0, 3):
            assert attention.shape == (3, 5, *kept.shape[2:])
            _close(attention.sum(dim=1), torch.ones_like(kept[:, 0]))
            assert not attention[~language.mask].any()
        else:
            assert attention is None


# ------------------------------------------------------ small images


@pytest.mark.parametrize('name, changes, size, stage, least', [
    ('swin', {}, (32, 32), 3, 33),
    ('swin', {}, (20, 32), 3, 33),
    ('swin', dict(patch_size=2), (16, 9), 3, 17),
    ('swin', dict(depths=(1, 1), num_heads=(1, 1)), (8, 8), 1, 9),
    ('swin', dict(fusion=[dict(type='BSAM'), None] * 2), (16, 16), 2, 17),
    ('resnet', {}, (32, 32), 3, 33),
    ('resnet_v1c', dict(backbone=dict(
        RESNET, type='ResNetV1c', strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2))), (16, 16), 2, 17),
    ('convnext', {}, (63, 63), 3, 64),
    ('late', {}, (32, 32), 3, 33),
])
@pytest.mark.parametrize('training', [True, False])
def test_smallest_images(name, changes, size, stage, least, training):
    """Refused in one sentence; the size that it names runs."""
    module = _build(name, **changes).train(training)
    modes = [x.training for x in module.modules()]
    statistics = copy.deepcopy(dict(module.named_buffers()))
    height, width = size
    with pytest.raises(
            ValueError,
            match=f'^Images of {height} x {width} pixels .* one pixel to '
            rf'stage {stage} \(from 0\), .* give it at least {least} x '
            rf'{least} \(scale of Resize in the pipelines\)\.$'):
        module(_images(2, size), _language(2))
    assert [x.training for x in module.modules()] == modes
    if not training:
        for key, value in module.named_buffers():
            assert torch.equal(value, statistics[key])
    module(_images(2, (least, least)), _language(2))


def test_one_pixel_is_enough_for_some_fusions():
    module = _build('swin', fusion=dict(type='TileConcat'), query_stages=())
    assert module(_images(2, (32, 32)), _language(2))[-1].shape[2:] == (1, 1)


def test_other_errors_of_a_fusion_pass():

    class Broken(Reader):

        def forward(self, visual, language):
            raise ValueError('broken')

    module = _build('swin', fusion=dict(type=Broken), gate=None)
    with pytest.raises(ValueError, match='^broken$'):
        module(_images(2, (32, 32)), _language(2))


def test_tokens_of_swin_are_contiguous():
    """Passing maps between stages copies none."""
    module, seen = _build('swin').eval(), []
    for stage in module.stages:
        stage.blocks[0].register_forward_pre_hook(
            lambda block, args: seen.append(args[0].is_contiguous()))
        if stage.downsample is not None:
            stage.downsample.register_forward_pre_hook(
                lambda block, args: seen.append(args[0].is_contiguous()))
    module(_images(1), _language(3), Pairs(image=torch.tensor([0, 0, 0])))
    assert len(seen) == 7 and all(seen)
