# Licensed under the Apache License, Version 2.0.
"""Language-driven attention: its equations as loops, what must not matter,
and how its attention gets into a picture."""

import copy
import math

import numpy as np
import pytest
import torch

from mmrefseg.models import LDA, ASPPNeck
from mmrefseg.structures import (LanguageFeatures, MultimodalFeatures,
                                 PredictOptions, SentenceAttention)
from mmrefseg.visualization import RefSegVisualizer

C, C_L = 8, 6


def _random(*shape):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _build(kind, **settings):
    torch.manual_seed(0)
    module = kind(**settings).double().eval()
    for name, tensor in module.state_dict().items():
        if name.endswith('running_var'):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(std=0.4)
    return module


def _lda(**settings):
    return _build(LDA, channels=C, language_channels=C_L, **settings)


def _language(total=5):
    mask = torch.arange(total) < torch.tensor([[3], [5]])
    words = torch.cat([_random(2, 5, C_L), _random(2, total - 5, C_L)], 1)
    return LanguageFeatures(
        words=words.masked_fill(~mask[..., None], 50.), mask=mask)


def _close(got, expected):
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


def _linear(layer, x):
    y = layer.weight.flatten(1) @ x
    return y if layer.bias is None else y + layer.bias


def _relu(x):
    return x.clamp(min=0)


def _sigmoid(x):
    return 1 / (1 + torch.exp(-x))


SETTINGS = {
    'product': dict(),
    'mean': dict(integration='mean'),
    'max': dict(integration='max'),
    'channels only': dict(spatial_attention=False),
    'pixels only': dict(channel_attention=False),
    'wide': dict(reduction=1),
}


def _transcribed(module, settings, visual, words):
    """Of one map and the real words of one sentence: F, a, b."""
    _, height, width = visual.shape
    places = [(r, c) for r in range(height) for c in range(width)]
    sentence = _linear(module.sentence, sum(words) / len(words))
    sentence = sentence / torch.sqrt((sentence**2).sum())
    columns, cosines = [], []
    for r, c in places:
        v = _linear(module.visual, visual[:, r, c])
        v = v / torch.sqrt((v**2).sum())
        columns.append(
            torch.stack([math.sqrt(C) * x * y for x, y in zip(v, sentence)]))
        cosines.append(v @ sentence)
    a = b = None
    if settings.get('channel_attention', True):
        first, _, second = module.to_channels
        mean = sum(columns) / len(columns)
        most = torch.stack([max(x[k] for x in columns) for k in range(C)])
        a = _sigmoid(
            sum(_linear(second, _relu(_linear(first, x)))
                for x in (mean, most)))
    if settings.get('spatial_attention', True):
        b = [
            _sigmoid(_linear(module.to_pixels, torch.stack([cos, max(x)])))[0]
            for cos, x in zip(cosines, columns)
        ]
    fused = torch.empty_like(visual)
    for n, (r, c) in enumerate(places):
        v = visual[:, r, c]
        if a is None:
            weight = b[n]
        elif b is None:
            weight = a
        else:
            weight = dict(
                product=a * b[n], mean=(a + b[n]) / 2,
                max=torch.stack([max(x, b[n]) for x in a]))[
                    settings.get('integration', 'product')]
        fused[:, r, c] = _relu(
            _linear(module.out, torch.cat([weight * v, v])))
    return fused, a, None if b is None else torch.stack(b).view(height, width)


@pytest.mark.parametrize('name', SETTINGS)
@pytest.mark.parametrize('height, width', [(3, 4), (1, 1)])
def test_equations(name, height, width):
    module, settings = _lda(**SETTINGS[name]), SETTINGS[name]
    visual, language = _random(2, C, height, width), _language()
    fused, query, attention = module(visual, language, return_attention=True)
    assert query is None
    for i in range(2):
        expected, a, b = _transcribed(module, settings, visual[i],
                                      language.words[i][language.mask[i]])
        _close(fused[i], expected)
        for got, part in ((attention.channels, a), (attention.pixels, b)):
            assert (got is None) == (part is None)
            if part is not None:
                _close(got[i], part)
                assert 0 < got.min() and got.max() < 1
    plain = module(visual, language)
    assert plain.attention is None and torch.equal(plain.fused, fused)


@pytest.mark.parametrize('name', SETTINGS)
def test_padding_order_and_batch_change_nothing(name):
    module = _lda(**SETTINGS[name])
    visual, language = _random(2, C, 3, 4), _language()
    fused = module(visual, language).fused
    _close(module(visual, _language(total=9)).fused, fused)
    turned = language.select(torch.tensor([1, 0]))
    _close(module(visual.flip(0), turned).fused.flip(0), fused)
    for i in range(2):
        rows = torch.tensor([i])
        _close(module(visual[rows], language.select(rows)).fused[0], fused[i])


def test_the_sentence_is_that_of_the_language_encoder():
    """However it pools words, and every pixel hears it."""
    module, visual = _lda(), _random(2, C, 3, 4)
    language = _language()
    other = LanguageFeatures(language.words, language.mask, _random(2, C_L))
    changed = module(visual, other).fused != module(visual, language).fused
    assert changed.any(dim=1).all()


def test_a_pixel_of_zeros_has_no_endless_gradient():
    module, visual = _lda(), _random(2, C, 3, 4)
    visual[:, :, 0, 0] = 0
    visual.requires_grad_()
    module(visual, _language()).fused.sum().backward()
    assert visual.grad.abs().max() < 1e4


@pytest.mark.parametrize('settings, message', [
    (dict(query_channels=4), r'LDA makes no language query: set query_stages'),
    (dict(integration='sum'), "'product', 'mean' or 'max', not 'sum'"),
    (dict(channel_attention=False, spatial_attention=False),
     'needs channel_attention or spatial_attention'),
])
def test_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LDA(channels=C, language_channels=C_L, **settings)


# ----------------------------------------------------------------- ASPPNeck


def _conv(block, x):
    """A dilated convolution of one map with zeros around it, norm, ReLU."""
    conv, norm = block.conv, block.norm
    _, height, width = x.shape
    step, reach = conv.dilation[0], conv.kernel_size[0] // 2
    result = x.new_zeros(len(conv.weight), height, width)
    for r in range(height):
        for c in range(width):
            for i in range(-reach, reach + 1):
                for j in range(-reach, reach + 1):
                    row, column = r + i * step, c + j * step
                    if 0 <= row < height and 0 <= column < width:
                        result[:, r, c] += conv.weight[
                            :, :, i + reach, j + reach] @ x[:, row, column]
    shape = (-1, 1, 1)
    result = (result - norm.running_mean.view(shape)) / torch.sqrt(
        norm.running_var.view(shape) + 1e-5)
    return _relu(result * norm.weight.view(shape) + norm.bias.view(shape))


def _enlarged(x, times):
    """Bilinear."""
    return torch.nn.functional.interpolate(
        x[None], scale_factor=times, mode='bilinear')[0]


RATES = [(1, 2, 3), (1, 2), (1, )]


def _aspp(**settings):
    return _build(
        ASPPNeck, in_channels=[3, 4, 5], **{
            'dilations': RATES,
            'channels': 4,
            **settings
        })


def _levels(batch=2):
    return tuple(
        _random(batch, width, size, size)
        for width, size in ((3, 8), (4, 4), (5, 2)))


def test_aspp_and_levels():
    module, maps = _aspp(), _levels()
    found = module(MultimodalFeatures(maps))
    assert len(found) == 1
    for b in range(2):
        levels = []
        for level, rates, x in zip(module.levels, RATES, maps):
            assert [y.conv.dilation[0] for y in level.branches] == list(rates)
            seen = torch.cat([_conv(y, x[b]) for y in level.branches])
            if len(rates) > 1:
                seen = _conv(level.project, seen)
            else:
                assert level.project is None
            levels.append(seen)
        top = levels[2]
        middle = levels[1] + _enlarged(top, 2)
        finest = levels[0] + _enlarged(middle, 2)
        _close(
            found[0][b],
            torch.cat([finest, _enlarged(middle, 2),
                       _enlarged(top, 4)]))


def test_levels_of_one_stride_are_not_resized():
    module = _aspp()
    maps = tuple(_random(1, width, 4, 4) for width in (3, 4, 5))
    one, two, three = (level(x) for level, x in zip(module.levels, maps))
    _close(
        module(MultimodalFeatures(maps))[0],
        torch.cat([one + two + three, two + three, three], dim=1))


def test_a_single_level():
    module = _build(
        ASPPNeck, in_channels=[3], dilations=[(1, 2)], channels=4)
    x = _random(2, 3, 4, 4)
    assert torch.equal(
        module(MultimodalFeatures((x, )))[0], module.levels[0](x))


@pytest.mark.parametrize('decoder', [
    dict(
        type='ReferringPixelDecoder', in_channels=[3, 4, 4], channels=4,
        out_channels=4, out_norm_cfg=None, out_indices=(0, )),
    dict(type='mmseg.FPN', in_channels=[3, 4, 4], out_channels=6, num_outs=3),
])
def test_a_decoder_takes_the_levels(decoder):
    """One of ours, and a stock one, which gives a plain tuple."""
    module = _aspp(dilations=[None, *RATES[1:]], decoder=decoder)
    assert module.widths == decoder['in_channels']
    features = MultimodalFeatures(_levels(), language=_language())
    found = module(features)
    assert found.language is features.language
    levels = tuple(level(x) for level, x in zip(module.levels, features))
    assert torch.equal(levels[0], features[0])
    expected = module.decoder(MultimodalFeatures(levels))
    for got, wanted in zip(found, expected, strict=True):
        _close(got, wanted)


@pytest.mark.parametrize('settings, message', [
    (dict(dilations=RATES[:2]), 'lists 2 levels, in_channels 3'),
    (dict(dilations=[None, *RATES[1:]]), 'needs a decoder'),
])
def test_aspp_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _aspp(**settings)


# -------------------------------------------------------- to be looked at

EARLY = dict(
    backbone=dict(fusion=dict(type='LDA'), gate=None, query_stages=()),
    neck=dict(
        _delete_=True,
        type='ASPPNeck',
        in_channels=[8, 16, 32, 64],
        dilations=[(1, ), (1, 2), (1, 2), (1, 2)],
        channels=4),
    decode_head=dict(
        _delete_=True, type='CoordMaskHead', in_channels=16, channels=8))


@pytest.fixture(scope='module')
def early(tiny_segmentor):
    return tiny_segmentor(**EARLY).eval()


def test_attention_reaches_the_samples(early, make_batch):
    shapes = [(50, 70), (64, 40)]
    data = early.data_preprocessor(
        make_batch([(64, 64)] * 2, ori_shapes=shapes))
    texts = [x.text for x in data['data_samples']]
    with torch.no_grad():
        kept = early.extract_feat(
            data['inputs'], texts, keep_attention=True).attention
        samples = early.predict(**data)
        assert 'sentence_attention' not in samples[0]
        samples = early.predict(
            **data, options=PredictOptions(return_attention=True))
    assert [tuple(x.pixels.shape) for x in kept] == [
        (2, n, n) for n in (16, 8, 4, 2)
    ]
    for i, (sample, shape) in enumerate(zip(samples, shapes)):
        heat = sample.sentence_attention.data
        assert tuple(heat.shape) == (1, *shape)
        assert 0 < heat.min() < heat.max() < 1
        # no word is named as if the attention were its own
        assert 'word_attention' not in sample and 'tokens' not in sample
        expected = torch.nn.functional.interpolate(
            kept[-2].pixels[i, None, None], shape, mode='bilinear')[0]
        torch.testing.assert_close(heat, expected)
        assert sample.channel_attention == pytest.approx(
            kept[-2].channels[i].tolist())
        assert len(sample.channel_attention) == 32


@pytest.mark.parametrize('settings, keys', [
    (dict(channel_attention=False), {'sentence_attention'}),
    (dict(spatial_attention=False), {'channel_attention'}),
])
def test_one_attention_alone(settings, keys, tiny_segmentor, make_batch):
    parts = dict(EARLY, backbone=dict(
        EARLY['backbone'], fusion=dict(type='LDA', **settings)))
    model = tiny_segmentor(
        **parts, test_cfg=dict(return_attention=True)).eval()
    with torch.no_grad():
        sample, = model.test_step(make_batch([(64, 64)]))
    assert {x for x in ('sentence_attention', 'channel_attention')
            if x in sample} == keys
    image = np.full((60, 90, 3), 128, np.uint8)
    plain = RefSegVisualizer().draw_sample(image, sample)
    picture = RefSegVisualizer(draw_attention=True).draw_sample(image, sample)
    assert picture.shape[0] > plain.shape[0]


def test_attention_in_the_picture(early, make_batch):
    """Below the picture: places on the left, channels on the right."""
    with torch.no_grad():
        sample, = early.predict(
            **early.data_preprocessor(make_batch([(64, 64)])),
            options=PredictOptions(return_attention=True))
    image = np.full((60, 90, 3), 128, np.uint8)
    visualizer = RefSegVisualizer(draw_attention=True)
    plain = RefSegVisualizer().draw_sample(image, sample)
    picture = visualizer.draw_sample(image, sample)
    height, width = plain.shape[:2]
    assert picture.shape[1] == width and picture.shape[0] > 1.4 * height
    assert np.array_equal(picture[:height], plain)
    half = width // 2
    for key, value, changed in (
        ('sentence_attention', None, slice(0, half - 3)),
        ('channel_attention', [0.] * 32, slice(half + 3, width))):
        other = copy.deepcopy(sample)
        if key == 'sentence_attention':
            other.sentence_attention.data = torch.zeros(1, 64, 64)
        else:
            other.set_metainfo({key: value})
        different = (visualizer.draw_sample(image, other) != picture).any(2)
        assert different[:, changed].any()
        different[:, changed] = False
        assert not different.any()


def test_sentences_attend_to_other_places(early, make_batch):
    batch = make_batch([(64, 64)] * 2)
    batch['inputs'][1] = batch['inputs'][0]
    with torch.no_grad():
        first, second = early.predict(
            **early.data_preprocessor(batch),
            options=PredictOptions(return_attention=True))
    assert not torch.equal(first.sentence_attention.data,
                           second.sentence_attention.data)


def test_sentence_attention_is_empty_by_default():
    assert SentenceAttention() == SentenceAttention(None, None)
