# Licensed under the Apache License, Version 2.0.
"""Every module of the methods against its equations, written as loops.

One sample at a time, pixel by pixel and word by word, in float64.
"""

import math

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.models.backbones import SwinTransformer

from mmrefseg.models import (BSAM, CAFG, PWAM, VLTF, WGFM, LanguageGate,
                             LanguageSwinTransformer, LQPGHead,
                             ReferringPixelDecoder)
from mmrefseg.models.decode_heads.coord_mask_head import CoordMaskHead
from mmrefseg.structures import LanguageFeatures, MultimodalFeatures, Pairs

WORDS, C, C_L, C_Q = 5, 8, 6, 4
EPS = 1e-5  # of every norm


def _randomise(module: BaseModule) -> BaseModule:
    """Random parameters and statistics, so that none is 0 or 1."""
    rng = torch.Generator().manual_seed(7)
    for name, tensor in module.double().state_dict().items():
        if name.endswith('running_var'):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng))
        elif tensor.is_floating_point():
            tensor.copy_(0.4 * torch.randn(
                tensor.shape, generator=rng, dtype=torch.float64))
    return module.eval()


def _random(*shape):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _language(lengths=(3, 5), total=WORDS):
    mask = torch.arange(total) < torch.tensor(lengths)[:, None]
    # What stands at padding must not matter: let it be wild.
    words = _random(len(lengths), WORDS, C_L)
    words = torch.cat(
        [words, words.new_full((len(lengths), total - WORDS, C_L), 50.)], 1)
    return LanguageFeatures(words=words.masked_fill(~mask[..., None], 50.),
                            mask=mask)


def _close(got, expected):
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


def _relu(x):
    return x.clamp(min=0)


def _sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def _gelu(x):
    """The exact one: x times the normal distribution up to x."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def _linear(layer, x):
    y = layer.weight.flatten(1) @ x
    return y if layer.bias is None else y + layer.bias


def _softmax(logits):
    """Of a list of numbers."""
    powers = [math.exp(z - max(logits)) for z in logits]
    return [p / sum(powers) for p in powers]


def _normalise(values):
    """A list of vectors to mean 0 and variance 1 over the list."""
    mean = sum(values) / len(values)
    variance = sum((v - mean)**2 for v in values) / len(values)
    return [(v - mean) / torch.sqrt(variance + EPS) for v in values]


def _batch_norm(norm, x):
    """Of a vector, by the statistics that the norm keeps."""
    x = (x - norm.running_mean) / torch.sqrt(norm.running_var + EPS)
    return x * norm.weight + norm.bias


def _layer_norm(norm, x):
    mean = x.mean()
    variance = ((x - mean)**2).mean()
    return (x - mean) / torch.sqrt(variance + EPS) * norm.weight + norm.bias


def _group_norm(norm, x):
    """Of a map, C x H x W."""
    result = torch.empty_like(x)
    size = len(x) // norm.num_groups
    for start in range(0, len(x), size):
        group = x[start:start + size]
        mean = group.mean()
        variance = ((group - mean)**2).mean()
        result[start:start + size] = (group - mean) / torch.sqrt(variance +
                                                                 EPS)
    return result * norm.weight[:, None, None] + norm.bias[:, None, None]


def _conv3x3(conv, x):
    """Of a map, C x H x W, with zeros around it."""
    _, height, width = x.shape
    result = x.new_zeros(len(conv.weight), height, width)
    for r in range(height):
        for c in range(width):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if 0 <= r + i < height and 0 <= c + j < width:
                        result[:, r, c] += (
                            conv.weight[:, :, i + 1, j + 1] @ x[:, r + i,
                                                                c + j])
    assert conv.bias is None
    return result


def _everywhere(function, x):
    """A function of a pixel's vector on every pixel of a map."""
    return torch.stack([
        torch.stack([function(x[:, r, c]) for c in range(x.shape[2])], dim=1)
        for r in range(x.shape[1])
    ], dim=1)


def _bilinear(x, size):
    """Resize a map; the corners of corner pixels are aligned."""
    result = x.new_zeros(len(x), *size)
    for r in range(size[0]):
        for c in range(size[1]):
            y = max((r + 0.5) * x.shape[1] / size[0] - 0.5, 0)
            z = max((c + 0.5) * x.shape[2] / size[1] - 0.5, 0)
            for i in (0, 1):
                for j in (0, 1):
                    row = min(int(y) + i, x.shape[1] - 1)
                    column = min(int(z) + j, x.shape[2] - 1)
                    weight = (y % 1 if i else 1 - y % 1) * (
                        z % 1 if j else 1 - z % 1)
                    result[:, r, c] += weight * x[:, row, column]
    return result


def _logits(query, key, heads):
    """Of two vectors: of each group of channels one number."""
    width = len(query) // heads
    return [(a @ b).item() / math.sqrt(width)
            for a, b in zip(query.split(width), key.split(width))]


def _heard(logits, values, heads):
    """Of vectors, their weighted sum, each group of channels by itself.

    ``logits`` has of each vector what ``_logits`` gives.
    """
    width = len(values[0]) // heads
    parts = []
    for g in range(heads):
        weights = _softmax([row[g] for row in logits])
        parts.append(
            sum(a * v[g * width:(g + 1) * width]
                for a, v in zip(weights, values)))
    return torch.cat(parts)


# ---------------------------------------------------------------- BSAM


def _bsam(module, visual, words):
    """Of one map and the real words of one sentence: F and Q."""
    _, height, width = visual.shape
    places = [(r, c) for r in range(height) for c in range(width)]
    pixels = [visual[:, r, c] for r, c in places]
    v_q = _normalise([_linear(module.visual_query, v) for v in pixels])
    l_k = [_linear(module.word_key, word) for word in words]
    l_v = [_linear(module.word_value, word) for word in words]
    heads = module.num_heads
    s = [[_logits(p, w, heads) for w in l_k] for p in v_q]
    fused = torch.empty_like(visual)
    for (r, c), pixel, query, logits in zip(places, pixels, v_q, s):
        from_words = _heard(logits, l_v, heads)
        parts = [pixel, from_words]
        if module.product:
            parts.append(torch.stack([a * b
                                      for a, b in zip(query, from_words)]))
        fused[:, r, c] = _relu(_linear(module.visual_out, torch.cat(parts)))
    if not module.with_query:
        return fused, None
    v_v = _normalise([_linear(module.visual_value, v) for v in pixels])
    query = 0
    for t, word in enumerate(words):
        from_pixels = _heard([row[t] for row in s], v_v, heads)
        query = query + _relu(
            _linear(module.query_out, torch.cat([word, from_pixels])))
    return fused, query / len(words)


@pytest.mark.parametrize('heads', [1, 2, 8])
@pytest.mark.parametrize('product', [False, True])
@pytest.mark.parametrize('query_channels', [C_Q, None])
@pytest.mark.parametrize('height, width', [(3, 4), (1, 2)])
def test_bsam(query_channels, height, width, product, heads):
    module = _randomise(
        BSAM(
            channels=C,
            language_channels=C_L,
            query_channels=query_channels,
            product=product,
            num_heads=heads))
    visual, language = _random(2, C, height, width), _language()
    fused, query, _ = module(visual, language)
    for i in range(2):
        expected, expected_query = _bsam(module, visual[i],
                                         language.words[i][language.mask[i]])
        _close(fused[i], expected)
        if query_channels is None:
            assert query is None
        else:
            _close(query[i], expected_query)


@pytest.mark.parametrize('kind', [BSAM, PWAM])
def test_word_attention_of_several_heads_is_their_mean(kind):
    module = _randomise(
        kind(
            channels=C,
            language_channels=C_L,
            query_channels=None,
            num_heads=2))
    visual, language = _random(2, C, 2, 3), _language()
    attention = module(visual, language, return_attention=True).attention
    for i, length in enumerate((3, 5)):
        pixels = list(visual[i].flatten(1).t())
        v_q = _normalise([_linear(module.visual_query, v) for v in pixels])
        for n, pixel in enumerate(v_q):
            logits = [
                _logits(pixel, _linear(module.word_key, word), 2)
                for word in language.words[i, :length]
            ]
            heads = [_softmax([row[g] for row in logits]) for g in (0, 1)]
            expected = [(a + b) / 2 for a, b in zip(*heads)]
            expected += [0.] * (WORDS - length)
            _close(attention[i].flatten(1)[:, n],
                   torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize('kind', [BSAM, PWAM])
def test_heads_are_no_parameters(kind):
    shapes = [{
        name: x.shape
        for name, x in kind(
            channels=C, language_channels=C_L, query_channels=None,
            **kwargs).state_dict().items()
    } for kwargs in (dict(), dict(num_heads=4))]
    assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match='num_heads=3 of .* choose a divisor'):
        kind(
            channels=C,
            language_channels=C_L,
            query_channels=None,
            num_heads=3)


def test_bsam_word_attention():
    module = _randomise(BSAM(channels=C, language_channels=C_L))
    visual, language = _random(2, C, 2, 3), _language()
    attention = module(visual, language, return_attention=True).attention
    for i, length in enumerate((3, 5)):
        pixels = list(visual[i].flatten(1).t())
        v_q = _normalise([_linear(module.visual_query, v) for v in pixels])
        for n, pixel in enumerate(v_q):
            logits = [(pixel @ _linear(module.word_key, word) /
                       math.sqrt(C)).item()
                      for word in language.words[i, :length]]
            expected = _softmax(logits) + [0.] * (WORDS - length)
            _close(attention[i].flatten(1)[:, n],
                   torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize('heads', [1, 2])
def test_bsam_ignores_padding_and_order(heads):
    module = _randomise(
        BSAM(
            channels=C,
            language_channels=C_L,
            query_channels=C_Q,
            num_heads=heads))
    visual = _random(2, C, 3, 4)
    fused, query, _ = module(visual, _language())
    padded_fused, padded_query, _ = module(visual, _language(total=9))
    _close(padded_fused, fused)
    _close(padded_query, query)
    language = _language()
    turned_fused, turned_query, _ = module(
        visual.flip(0),
        LanguageFeatures(
            words=language.words.flip(0), mask=language.mask.flip(0)))
    _close(turned_fused.flip(0), fused)
    _close(turned_query.flip(0), query)


# ---------------------------------------------------------------- CAFG


def _parts(attention):
    """Convolutions and norms of a channel attention, in order."""
    parts = [x for x in attention if isinstance(x, torch.nn.Conv2d)]
    norms = [x for x in attention if isinstance(x, torch.nn.BatchNorm2d)]
    assert len(parts) == len(norms) == 2
    assert all(conv.bias is None for conv in parts)
    return parts[0], norms[0], parts[1], norms[1]


def _trained_batch_norm(norm, batch):
    """Of a list of vectors, by the statistics of the list."""
    return [x * norm.weight + norm.bias for x in _normalise(batch)]


def _channel_attention(attention, maps, training):
    """Of a batch of maps; one vector each."""
    conv1, norm1, conv2, norm2 = _parts(attention)
    batch = [
        sum(x[:, r, c] for r in range(x.shape[1])
            for c in range(x.shape[2])) / (x.shape[1] * x.shape[2])
        for x in maps
    ]
    for conv, norm in ((conv1, norm1), (conv2, norm2)):
        batch = [_linear(conv, x) for x in batch]
        if training:
            batch = _trained_batch_norm(norm, batch)
        else:
            batch = [_batch_norm(norm, x) for x in batch]
        if norm is norm1:
            batch = [_relu(x) for x in batch]
    return batch


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('combine', ['sum', 'literal', 'single'])
@pytest.mark.parametrize('channels, reduction', [(32, 16), (8, 4)])
def test_cafg(combine, training, channels, reduction):
    module = _randomise(
        CAFG(channels=channels, reduction=reduction, combine=combine))
    assert _parts(module.attentions[0])[0].weight.shape[:2] == (
        channels // reduction, channels)
    module.train(training)
    fused = _random(4, channels, 2, 3)
    visual = _random(4, channels, 2, 3) * 0.3 + 0.5
    maps = [f + v for f, v in zip(fused, visual)]
    paths = [
        _channel_attention(attention, maps, training)
        for attention in module.attentions
    ]
    increment = module(fused, visual)
    for i in range(4):
        first = paths[0][i]
        for r in range(2):
            for c in range(3):
                f = fused[i, :, r, c]
                if combine == 'sum':
                    expected = f * _sigmoid(first + paths[1][i])
                elif combine == 'literal':
                    expected = f * _sigmoid(first) + paths[1][i]
                else:
                    expected = f * _sigmoid(first)
                _close(increment[i, :, r, c], expected)


@pytest.mark.parametrize('pool', [(True, False), (False, False)])
def test_cafg_without_pooling(pool):
    """Table 4's spatial paths weigh every pixel by itself."""
    module = _randomise(CAFG(channels=C, reduction=2, pool=pool))
    fused, visual = _random(2, C, 2, 3), _random(2, C, 3, 2).view(2, C, 2, 3)
    increment = module(fused, visual)
    for i in range(2):
        mixed = fused[i] + visual[i]
        gates = []
        for attention, pooled in zip(module.attentions, pool):
            if pooled:
                vector = _channel_attention(attention, [mixed], False)[0]
                gates.append(vector[:, None, None].expand_as(mixed))
            else:
                gates.append(
                    _everywhere(
                        lambda x, a=attention: _channel_attention(
                            a, [x[:, None, None]], False)[0], mixed))
        _close(increment[i], fused[i] * _sigmoid(gates[0] + gates[1]))


@pytest.mark.parametrize('training', [False, True])
def test_cafg_ignores_order(training):
    module = _randomise(CAFG(channels=C, reduction=2)).train(training)
    fused, visual = _random(4, C, 2, 3), _random(4, C, 3, 2).view(4, C, 2, 3)
    _close(
        module(fused.flip(0), visual.flip(0)).flip(0), module(fused, visual))


# ---------------------------------------------------------- PWAM and gate


def _pwam(module, visual, words):
    """Of one map and the real words of one sentence."""
    _, height, width = visual.shape
    places = [(r, c) for r in range(height) for c in range(width)]
    pixels = [visual[:, r, c] for r, c in places]
    v_q = _normalise([_linear(module.visual_query, v) for v in pixels])
    l_k = [_linear(module.word_key, word) for word in words]
    l_v = [_linear(module.word_value, word) for word in words]
    from_words = []
    for query in v_q:
        logits = [_logits(query, key, module.num_heads) for key in l_k]
        from_words.append(_heard(logits, l_v, module.num_heads))
    from_words = _normalise([_linear(module.heard_out, h) for h in from_words])
    fused = torch.empty_like(visual)
    for (r, c), pixel, h in zip(places, pixels, from_words):
        seen = _gelu(_linear(module.visual_branch, pixel))
        fused[:, r, c] = _gelu(_linear(module.out, seen * h))
    return fused


@pytest.mark.parametrize('heads', [1, 2, 8])
@pytest.mark.parametrize('height, width', [(3, 4), (1, 2)])
def test_pwam(height, width, heads):
    module = _randomise(
        PWAM(channels=C, language_channels=C_L, num_heads=heads))
    assert all(module.get_parameter(f'{name}.bias').abs().min() > 0
               for name, _ in module.named_children())
    visual, language = _random(2, C, height, width), _language()
    fused, query, attention = module(visual, language)
    assert query is None and attention is None
    for i in range(2):
        _close(
            fused[i],
            _pwam(module, visual[i], language.words[i][language.mask[i]]))


def test_pwam_word_attention():
    module = _randomise(PWAM(channels=C, language_channels=C_L))
    visual, language = _random(2, C, 2, 3), _language()
    attention = module(visual, language, return_attention=True).attention
    for i, length in enumerate((3, 5)):
        pixels = list(visual[i].flatten(1).t())
        v_q = _normalise([_linear(module.visual_query, v) for v in pixels])
        for n, pixel in enumerate(v_q):
            logits = [(pixel @ _linear(module.word_key, word) /
                       math.sqrt(C)).item()
                      for word in language.words[i, :length]]
            expected = _softmax(logits) + [0.] * (WORDS - length)
            _close(attention[i].flatten(1)[:, n],
                   torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize('heads', [1, 2])
def test_pwam_ignores_padding_and_order(heads):
    module = _randomise(
        PWAM(channels=C, language_channels=C_L, num_heads=heads))
    visual, language = _random(2, C, 3, 4), _language()
    fused = module(visual, language).fused
    _close(module(visual, _language(total=9))[0], fused)
    turned = LanguageFeatures(
        words=language.words.flip(0), mask=language.mask.flip(0))
    _close(module(visual.flip(0), turned)[0].flip(0), fused)


def test_pwam_makes_no_query():
    with pytest.raises(ValueError, match=r'PWAM .* set query_stages=\(\)'):
        PWAM(channels=C, language_channels=C_L, query_channels=C_Q)


def _language_gate(module, fused):
    """Of one map."""
    assert module.hidden.bias is module.out.bias is None
    return _everywhere(
        lambda f: f * torch.tanh(
            _linear(module.out, _relu(_linear(module.hidden, f)))), fused)


def test_language_gate():
    module = _randomise(LanguageGate(channels=C))
    fused, visual = _random(2, C, 2, 3), _random(2, C, 3, 2).view(2, C, 2, 3)
    increment = module(fused, visual)
    for i in range(2):
        _close(increment[i], _language_gate(module, fused[i]))
    _close(module(fused, visual * 3), increment)


# ---------------------------------------------------------------- VLTF


def _multi_head(module, queries, memory):
    """Of lists of vectors."""
    assert module.key.bias is None
    keys = [_linear(module.key, x) for x in memory]
    values = [_linear(module.value, x) for x in memory]
    result = []
    for query in queries:
        query = _linear(module.query, query)
        logits = [_logits(query, key, module.num_heads) for key in keys]
        result.append(
            _linear(module.out, _heard(logits, values, module.num_heads)))
    return result


def _vltf(module, visual, words):
    """Of one map and the real words of one sentence: F and Z."""
    _, height, width = visual.shape
    places = [(r, c) for r in range(height) for c in range(width)]
    pixels = [
        _batch_norm(module.visual_norm,
                    _linear(module.visual, visual[:, r, c]))
        for r, c in places
    ]
    memory = _multi_head(module.memory, module.memory_queries,
                         [_linear(module.words, word) for word in words])
    tokens = _normalise([*module.blank_tokens, *memory])
    heard = _normalise(_multi_head(module.attention, pixels, tokens))
    fused = torch.empty_like(visual)
    for (r, c), h in zip(places, heard):
        fused[:, r, c] = _batch_norm(module.out_norm, _linear(module.out, h))
    return fused, torch.stack(tokens)


@pytest.mark.parametrize('heads', [1, 4])
@pytest.mark.parametrize('memory, blank', [(20, 10), (1, 3)])
@pytest.mark.parametrize('height, width', [(3, 4), (1, 2)])
def test_vltf(height, width, memory, blank, heads):
    module = _randomise(
        VLTF(
            channels=C,
            language_channels=C_L,
            query_channels=C,
            num_heads=heads,
            num_memory_tokens=memory,
            num_blank_tokens=blank))
    visual, language = _random(2, C, height, width), _language()
    output = module(visual, language)
    assert output.query.shape == (2, memory + blank, C)
    for i in range(2):
        fused, tokens = _vltf(module, visual[i],
                              language.words[i][language.mask[i]])
        _close(output.fused[i], fused)
        _close(output.query[i], tokens)


def test_vltf_ignores_padding_and_order():
    module = _randomise(
        VLTF(
            channels=C, language_channels=C_L, query_channels=C, num_heads=2))
    visual, language = _random(2, C, 3, 4), _language()
    output = module(visual, language)
    padded = module(visual, _language(total=9))
    turned = module(
        visual.flip(0),
        LanguageFeatures(
            words=language.words.flip(0), mask=language.mask.flip(0)))
    for i in range(2):
        _close(padded[i], output[i])
        _close(turned[i].flip(0), output[i])


# ---------------------------------------------------------------- WGFM


def _wgfm(module, visual, words, sentence):
    """Of one map, the real words of one sentence and the sentence."""
    _, height, width = visual.shape
    places = [(r, c) for r in range(height) for c in range(width)]
    pixels = [visual[:, r, c] for r, c in places]
    normed = _normalise(pixels)
    keys = [_linear(module.word_key, word) for word in words]
    scales = [_linear(module.word_scale, word) for word in words]
    shifts = [_linear(module.word_shift, word) for word in words]
    asked = _linear(module.sentence_query, sentence)
    found = _softmax([_logits(asked, v, 1)[0] for v in pixels])
    context = sum(a * v for a, v in zip(found, pixels))
    fused = torch.empty_like(visual)
    for (r, c), v in zip(places, normed):
        query = _linear(module.visual_query, v)
        logits = [_logits(query, key, 1) for key in keys]
        modulated = (1 + _heard(logits, scales, 1)) * v + _heard(
            logits, shifts, 1)
        fused[:, r, c] = _relu(
            _linear(module.out, torch.cat([modulated, context])))
    return fused


@pytest.mark.parametrize('height, width', [(3, 4), (1, 2)])
def test_wgfm(height, width):
    module = _randomise(WGFM(channels=C, language_channels=C_L))
    visual, language = _random(2, C, height, width), _language()
    fused, query, attention = module(visual, language, return_attention=True)
    assert query is None
    _close(attention.sum(dim=1), torch.ones_like(attention[:, 0]))
    for i in range(2):
        assert not attention[i][~language.mask[i]].any()
        _close(
            fused[i],
            _wgfm(module, visual[i], language.words[i][language.mask[i]],
                  language.sentence[i]))


def test_wgfm_ignores_padding_and_order():
    module = _randomise(WGFM(channels=C, language_channels=C_L))
    visual, language = _random(2, C, 3, 4), _language()
    fused = module(visual, language).fused
    _close(module(visual, _language(total=9)).fused, fused)
    turned = LanguageFeatures(
        words=language.words.flip(0), mask=language.mask.flip(0))
    _close(module(visual.flip(0), turned).fused.flip(0), fused)
    with pytest.raises(ValueError, match=r'WGFM .* set query_stages=\(\)'):
        WGFM(channels=C, language_channels=C_L, query_channels=C_Q)


# ------------------------------------------------ language-conditioned Swin


def _language_swin(**kwargs):
    return _randomise(
        LanguageSwinTransformer(
            language_channels=C_L,
            fusion=dict(type='BSAM'),
            gate=dict(type='CAFG', reduction=4),
            query_channels=C_Q,
            query_stages=(0, 1, 2),
            embed_dims=C,
            depths=(1, 2, 1),
            num_heads=(1, 2, 4),
            window_size=3,
            **kwargs))


@pytest.mark.parametrize('with_grad', [False, True])
def test_language_swin(with_grad):
    """Blocks and merging by mmseg's Swin, what is between them by loops."""
    module = _language_swin()
    swin = SwinTransformer(
        embed_dims=C,
        depths=(1, 2, 1),
        num_heads=(1, 2, 4),
        window_size=3,
        strides=(4, 2, 2),
        out_indices=()).double()
    swin.eval()
    own = {
        k: v
        for k, v in module.state_dict().items()
        if not k.startswith(('fusions.', 'gates.'))
    }
    result = swin.load_state_dict(own, strict=False)
    assert result.unexpected_keys == []
    assert all('relative_position_index' in k for k in result.missing_keys)
    images, language = _random(2, 3, 33, 28), _language()
    with torch.set_grad_enabled(with_grad):
        features = module(images, language)
    assert features.language is language
    assert [tuple(x.shape[1:]) for x in features.maps] == [
        (8, 9, 7), (16, 5, 4), (32, 3, 2)
    ]
    for b in range(2):
        words = language.words[b][language.mask[b]]
        x, size = swin.patch_embed(images[b:b + 1])
        for i, stage in enumerate(swin.stages):
            for block in stage.blocks:
                x = block(x, size)
            visual = x[0].t().view(-1, *size)
            fused, query = _bsam(module.fusions[i], visual, words)
            _close(features.maps[i][b], fused)
            _close(features.queries[b, i], query)
            if i == 2:
                break
            paths = [
                _channel_attention(attention, [fused + visual], False)[0]
                for attention in module.gates[i].attentions
            ]
            gate = _sigmoid(paths[0] + paths[1])[:, None, None]
            visual = visual + fused * gate
            x, size = stage.downsample(visual.flatten(1).t()[None], size)


def test_language_swin_ignores_padding_and_order():
    module, images = _language_swin(), _random(2, 3, 33, 28)
    language = _language()
    features = module(images, language)
    padded = module(images, _language(total=8))
    turned = module(
        images.flip(0),
        LanguageFeatures(
            words=language.words.flip(0), mask=language.mask.flip(0)))
    for other, flip in ((padded, ()), (turned, (0, ))):
        _close(other.queries.flip(flip), features.queries)
        for got, expected in zip(other.maps, features.maps):
            _close(got.flip(flip), expected)


def test_sentences_share_an_image():
    module, images = _language_swin(), _random(2, 3, 33, 28)
    language = _language(lengths=(3, 5, 4))
    index = torch.tensor([1, 0, 1])
    together = module(images, language, Pairs(image=index))
    alone = module(images[index], language)
    _close(together.queries, alone.queries)
    for got, expected in zip(together.maps, alone.maps):
        _close(got, expected)


# ------------------------------------------------------- pixel decoder

WIDTHS = (3, 4, 5, 6)
SIZES = ((7, 8), (4, 4), (2, 3), (1, 2))


def _maps(widths=WIDTHS, sizes=SIZES, batch=2):
    return tuple(_random(batch, w, *size) for w, size in zip(widths, sizes))


def _decoder(**kwargs):
    return _randomise(
        ReferringPixelDecoder(
            in_channels=WIDTHS,
            channels=6,
            out_channels=4,
            out_norm_cfg=dict(type='GN', num_groups=2),
            **kwargs))


def _conv_norm_relu(block, x):
    x = _conv3x3(block.conv, x)
    return _everywhere(lambda v: _relu(_batch_norm(block.norm, v)), x)


def test_pixel_decoder():
    module = _decoder()
    maps = _maps()
    queries = _random(2, 4, 4)
    decoded = module(MultimodalFeatures(maps=maps, queries=queries))
    assert decoded.queries is queries
    for b in range(2):
        x = maps[3][b]
        outputs = {3: x}
        for i in (2, 1, 0):
            x = torch.cat([_bilinear(x, SIZES[i]), maps[i][b]])
            for block in module.blocks[i]:
                x = _conv_norm_relu(block, x)
            outputs[i] = x
        for i in range(4):
            projection = module.projections[str(i)]
            assert projection.conv.bias is None
            x = _everywhere(lambda v, p=projection: _linear(p.conv, v),
                            outputs[i])
            _close(decoded.maps[i][b], _group_norm(projection.norm, x))


def test_pixel_decoder_ignores_order():
    module, maps = _decoder(), _maps()
    straight = module(MultimodalFeatures(maps=maps))
    turned = module(MultimodalFeatures(maps=tuple(x.flip(0) for x in maps)))
    for got, expected in zip(turned, straight):
        _close(got.flip(0), expected)


# ------------------------------------------------------------- LQPG head

QUERIES, HEADS = 4, 2


def _sine(row, column, height, width, channels):
    """Position of one pixel: y in the first half, x in the second."""
    half, result = channels // 2, []
    for place, last in ((row + 1, height), (column + 1, width)):
        angle = place / last * 2 * math.pi
        for k in range(half):
            turn = angle / 10000**(2 * (k // 2) / half)
            result.append(math.cos(turn) if k % 2 else math.sin(turn))
    return torch.tensor(result, dtype=torch.float64)


def _prior_layer(layer, queries, image, last):
    """Refined queries, and the logits as heads x queries x pixels."""
    width = len(image[0]) // HEADS
    q = [_linear(layer.query, x) for x in queries]
    k = [_linear(layer.key, x) for x in image]
    logits = [[[(a[h * width:(h + 1) * width] @ b[h * width:(h + 1) * width] /
                 math.sqrt(width)).item() for b in k] for a in q]
              for h in range(HEADS)]
    if last:
        return None, logits
    v = [_linear(layer.value, x) for x in image]
    refined = []
    for n, query in enumerate(queries):
        seen = torch.cat([
            sum(a * x[h * width:(h + 1) * width]
                for a, x in zip(_softmax(logits[h][n]), v))
            for h in range(HEADS)
        ])
        query = _layer_norm(layer.norm1, query + _linear(layer.out, seen))
        hidden = _relu(_linear(layer.ffn[0], query))
        refined.append(
            _layer_norm(layer.norm2, query + _linear(layer.ffn[2], hidden)))
    return refined, logits


def _prior(part, logits, sizes, size):
    """A mask prior from an attention map, heads x queries x pixels."""
    resized, start = [], 0
    for i, (height, width) in enumerate(sizes):
        # Channels: the queries of the first head, of the second, ...
        a = torch.stack([
            torch.tensor(logits[h][n][start:start + height * width],
                         dtype=torch.float64).view(height, width)
            for h in range(HEADS) for n in range(QUERIES)
        ])
        start += height * width
        a = _everywhere(lambda v, s=part.scales[i]: _relu(_linear(s, v)), a)
        resized.append(_bilinear(a, sizes[0]))
    x = _everywhere(lambda v: _linear(part.out, v), torch.cat(resized))
    return _bilinear(x, size)


def _priors(generator, queries, maps, size, after=False):
    """Of one sample: a prior of each layer that makes one."""
    image = []
    for x in maps:
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                image.append(x[:, r, c] +
                             _sine(r, c, x.shape[1], x.shape[2], len(x)))
    queries, priors = list(queries), []
    for i, (layer, part) in enumerate(zip(generator.layers,
                                          generator.priors)):
        last = i == len(generator.layers) - 1
        queries, attention = _prior_layer(layer, queries, image, last)
        if after:
            attention = [[_softmax(row) for row in head]
                         for head in attention]
        if hasattr(part, 'scales'):
            priors.append(
                _prior(part, attention, [x.shape[1:] for x in maps], size))
    return priors


def _mask_head(module, finest, *beside):
    _, height, width = finest.shape
    x = [[2 * c / (width - 1) - 1 for c in range(width)]
         for _ in range(height)]
    y = [[2 * r / (height - 1) - 1 for _ in range(width)]
         for r in range(height)]
    seen = [finest, *beside]
    if module.with_coords:
        seen.append(torch.tensor([x, y], dtype=torch.float64))
    seen = torch.cat(seen)
    if module.coord_conv is not None:
        seen = _conv_norm_relu(module.coord_conv, seen)
    return _everywhere(lambda v: _linear(module.conv_seg, v), seen)


HEAD_SIZES = ((6, 5), (4, 3), (2, 2), (1, 2))


def _features(batch=2):
    return MultimodalFeatures(
        maps=_maps((C, ) * 4, HEAD_SIZES, batch),
        queries=_random(batch, QUERIES, C))


def _lqpg_head(**kwargs):
    return _randomise(
        LQPGHead(
            in_channels=C,
            channels=4,
            num_queries=QUERIES,
            num_layers=3,
            num_heads=HEADS,
            ffn_channels=5,
            **kwargs))


@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(attention_map='after'),
    dict(prior_loss_weight=0.),
    dict(kernel_size=1),
    dict(with_coords=False),
])
def test_lqpg_head(kwargs):
    module, features = _lqpg_head(**kwargs), _features()
    logits, priors = module.forward_with_priors(features)
    assert len(priors) == (1 if kwargs.get('prior_loss_weight') == 0 else 3)
    _close(module(features), logits)
    for b in range(2):
        expected = _priors(
            module.prior_generator,
            features.queries[b], [x[b] for x in features.maps[1:]],
            HEAD_SIZES[0],
            after=kwargs.get('attention_map') == 'after')
        for got, prior in zip(priors, expected, strict=True):
            _close(got[b], prior)
        _close(logits[b],
               _mask_head(module, features.maps[0][b], expected[-1]))


def test_lqpg_head_ignores_order():
    module, features = _lqpg_head(), _features()
    logits, priors = module.forward_with_priors(features)
    turned_logits, turned_priors = module.forward_with_priors(
        MultimodalFeatures(
            maps=tuple(x.flip(0) for x in features.maps),
            queries=features.queries.flip(0)))
    _close(turned_logits.flip(0), logits)
    for got, expected in zip(turned_priors, priors):
        _close(got.flip(0), expected)


@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(kernel_size=1),
    dict(with_coords=False),
])
def test_coord_mask_head(kwargs):
    module = _randomise(CoordMaskHead(in_channels=C, channels=4, **kwargs))
    features = _features()
    logits = module(features)
    for b in range(2):
        _close(logits[b], _mask_head(module, features.maps[0][b]))
