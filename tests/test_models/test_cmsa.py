# Licensed under the Apache License, Version 2.0.
"""CMSA and GMLF against their equations, written as loops over pixels and
words in float64, and against ``f`` made whole."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmrefseg.models import CMSA, CoordMaskHead, GatedMultiLevelFusion
from mmrefseg.models.layers import cell_coordinates
from mmrefseg.structures import LanguageFeatures, MultimodalFeatures

WORDS, C, C_L = 5, 6, 4
VARIANTS = {
    'level_5': dict(lateral_channels=5),
    'level_4': dict(reduce_to=5),
    'no_lateral': dict(),
    'sqrt': dict(reduce_to=5, scale='sqrt'),
    'scale': dict(scale=2.5),
    'no_pool': dict(pool=False),
    'no_pool_reduced': dict(pool=False, reduce_to=5),
    'no_relu': dict(relu=False),
    'no_relu_reduced': dict(relu=False, reduce_to=5),
    'linear': dict(relu=False, pool=False, scale='sqrt'),
}


def _random(*shape):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _randomise(module, scale=0.7):
    rng = torch.Generator().manual_seed(7)
    for tensor in module.double().state_dict().values():
        tensor.copy_(scale * torch.randn(
            tensor.shape, generator=rng, dtype=torch.float64))
    return module.eval()


def _language(lengths=(3, 5), total=WORDS):
    """What stands at padding must not matter: it is wild."""
    mask = torch.arange(total) < torch.tensor(lengths)[:, None]
    words = _random(len(lengths), WORDS, C_L)
    words = torch.cat(
        [words, words.new_full((len(lengths), total - WORDS, C_L), 50.)], 1)
    words = words.masked_fill(~mask[..., None], float('nan'))
    return LanguageFeatures(
        words=words, mask=mask, sentence=words.new_zeros(len(lengths), C_L))


def _close(got, expected):
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


def _fusion(**kwargs):
    return _randomise(
        CMSA(channels=C, language_channels=C_L, dim=3, out_channels=7,
             **kwargs))


def _unit(vector):
    return vector / math.sqrt(sum(x.item()**2 for x in vector))


def _linear(layer, x):
    y = layer.weight @ x
    return y if layer.bias is None else y + layer.bias


def _place(row, column, height, width):
    left, top = 2 * column / width - 1, 2 * row / height - 1
    right, bottom = 2 * (column + 1) / width - 1, 2 * (row + 1) / height - 1
    return torch.tensor([
        left, top, right, bottom, (left + right) / 2, (top + bottom) / 2,
        1 / width, 1 / height
    ], dtype=torch.float64)  # yapf: disable


def _pooled(values, shape, pool):
    """Dict of (word, row, column) to the maximum over 2 x 2 x 2."""
    if not pool:
        return values
    result = {}
    for place, value in values.items():
        cell = tuple(i // 2 for i in place)
        result[cell] = torch.maximum(result.get(cell, value), value)
    assert len(result) == math.prod(math.ceil(n / 2) for n in shape)
    return result


def _cmsa(module, visual, words, *, pool=True, relu=True, scale=1., **_):
    """Of one map and the real words of one sentence: x and the attention of
    each pixel to each word (or pair of words)."""

    def act(x):
        return x.clamp(min=0) if relu else x

    height, width = visual.shape[1:]
    if scale == 'sqrt':
        scale = 1 / math.sqrt(3)
    f = {}
    for n, word in enumerate(words):
        for r in range(height):
            for c in range(width):
                pixel = visual[:, r, c]
                if module.lateral is not None:
                    pixel = _linear(module.lateral, pixel)
                f[n, r, c] = torch.cat(
                    [_unit(pixel), _unit(word),
                     _place(r, c, height, width)])
                if module.reduce is not None:
                    f[n, r, c] = _linear(module.reduce, f[n, r, c]).clamp(
                        min=0)
    shape = (len(words), height, width)
    keys = _pooled({i: act(_linear(module.key, x)) for i, x in f.items()},
                   shape, pool)
    values = _pooled({i: act(_linear(module.value, x)) for i, x in f.items()},
                     shape, pool)
    fused = visual.new_zeros(7, height, width)
    attention = visual.new_zeros(1 + max(n for n, _, _ in keys), height, width)
    for r in range(height):
        for c in range(width):
            mean = 0
            for n in range(len(words)):
                query = act(_linear(module.query, f[n, r, c]))
                powers = {
                    i: math.exp(scale * (query @ key).item())
                    for i, key in keys.items()
                }
                total = sum(powers.values())
                heard = sum(powers[i] / total * values[i] for i in keys)
                mean = mean + act(_linear(module.attention_out,
                                          heard)) + f[n, r, c]
                for (word, _, _), power in powers.items():
                    attention[word, r, c] += power / total / len(words)
            fused[:, r, c] = _linear(module.out,
                                     mean / len(words)).clamp(min=0)
    return fused, attention


@pytest.mark.parametrize('height, width', [(3, 4), (5, 3), (1, 1)])
@pytest.mark.parametrize('variant', VARIANTS)
def test_cmsa(variant, height, width):
    kwargs = VARIANTS[variant]
    module = _fusion(**kwargs)
    visual, language = _random(2, C, height, width), _language()
    fused, query, none = module(visual, language)
    assert query is None and none is None
    attention = module(visual, language, return_attention=True).attention
    assert attention.shape == (2, WORDS, height, width)
    for i, length in enumerate((3, 5)):
        expected, shares = _cmsa(module, visual[i],
                                 language.words[i, :length], **kwargs)
        assert expected.abs().max() > 0
        _close(fused[i], expected)
        if kwargs.get('pool', True):
            # Equal parts of a pair; the last word of an odd number has all.
            parts = [2.] * (length // 2) + [1.] * (length % 2)
            shares = torch.stack([
                shares[n // 2] / parts[n // 2] for n in range(length)
            ])
        _close(attention[i, :length], shares)
        assert not attention[i, length:].any()
        _close(attention[i].sum(0), torch.ones_like(visual[i, 0]))


def _whole(module, visual, language, pool=True):
    """CMSA with ``f`` made whole and every projection applied to it."""
    size, mask = visual.shape[2:], language.mask
    v, e, s = module._parts(visual, language)
    v = v[:, None].expand(-1, mask.shape[1], -1, -1)
    f = torch.cat([
        v, e[:, :, None].expand(*v.shape[:3], -1), s.expand(*v.shape[:3], -1)
    ], -1)
    if module.reduce is not None:
        f = F.relu(module.reduce(f))
    q, k, u = (
        module._act(layer(f))
        for layer in (module.query, module.key, module.value))
    kept = mask[:, :, None].expand(f.shape[:3])
    fused = []
    for i, length in enumerate(mask.sum(1).tolist()):  # real words alone
        pair = (k[i, :length], u[i, :length])
        if pool:
            pair = [
                F.max_pool3d(
                    x.movedim(2, 0).unflatten(2, size), 2,
                    ceil_mode=True).flatten(1).t() for x in pair
            ]
        keys, values = (x.reshape(-1, 3) for x in pair)
        logits = module.scale * q[i].flatten(0, 1) @ keys.t()
        heard = logits.softmax(-1) @ values
        g = module._act(module.attention_out(heard))
        g = g.unflatten(0, f.shape[1:3]) + f[i]
        fused.append(F.relu(module.out(g[kept[i, :, 0]].mean(0))))
    return torch.stack(fused).transpose(1, 2).unflatten(2, size)


@pytest.mark.parametrize('variant', VARIANTS)
def test_projections_in_parts_equal_the_whole(variant):
    """With all gradients."""
    kwargs = VARIANTS[variant]
    module, language = _fusion(**kwargs), _language(lengths=(3, 5, 1))
    visual = _random(3, C, 7, 6)
    results = []
    for run in (lambda: module(visual, language).fused,
                lambda: _whole(module, visual, language,
                               kwargs.get('pool', True))):
        module.zero_grad()
        fused = run()
        (fused * _random(*fused.shape)).sum().backward()
        results.append((fused.detach(),
                        {k: p.grad for k, p in module.named_parameters()}))
    assert results[0][0].abs().max() > 0
    _close(results[0][0], results[1][0])
    _close(results[0][1], results[1][1])


@pytest.mark.parametrize('variant', VARIANTS)
def test_cmsa_ignores_padding_order_and_company(variant):
    module, visual = _fusion(**VARIANTS[variant]), _random(2, C, 5, 4)
    language = _language()
    fused, _, attention = module(visual, language, return_attention=True)
    for total in (6, 9):
        more = module(visual, _language(total=total), return_attention=True)
        _close(more.fused, fused)
        _close(more.attention[:, :WORDS], attention)
        assert not more.attention[:, WORDS:].any()
    turned = LanguageFeatures(language.words.flip(0), language.mask.flip(0),
                              language.sentence)
    _close(module(visual.flip(0), turned).fused.flip(0), fused)
    for i, length in enumerate((3, 5)):
        alone = LanguageFeatures(language.words[i:i + 1, :length],
                                 language.mask[i:i + 1, :length])
        _close(module(visual[i:i + 1], alone).fused, fused[i:i + 1])


@pytest.mark.parametrize('variant', VARIANTS)
def test_cmsa_trains_all_that_it_builds(variant):
    module = _fusion(**VARIANTS[variant])
    module(_random(2, C, 5, 4), _language()).fused.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.abs().max() > 1e-12, name
    assert (module.key.bias is None) == ('relu' in VARIANTS[variant])


def test_a_key_bias_without_relu_would_be_cancelled():
    module = _fusion(relu=False)
    module.key.bias = torch.nn.Parameter(_random(3))
    module(_random(2, C, 5, 4), _language()).fused.sum().backward()
    assert module.key.bias.grad.abs().max() < 1e-12


def test_cmsa_reads_order_of_words_only_in_pairs():
    """The two words of a pair may change places, pairs may too."""
    module, visual = _fusion(), _random(1, C, 4, 4)
    words = _random(1, 4, C_L)
    mask = torch.ones(1, 4, dtype=torch.bool)
    fused = module(visual, LanguageFeatures(words, mask)).fused
    for order, same in (([1, 0, 3, 2], True), ([2, 3, 0, 1], True),
                        ([0, 2, 1, 3], False)):
        other = module(visual, LanguageFeatures(words[:, order], mask)).fused
        assert torch.allclose(other, fused, atol=1e-10) == same


def test_cmsa_runs_without_the_matrix_of_all_pairs():
    """In float32 with the fused kernel alone, which keeps no such matrix."""
    module = _fusion().float()
    language = _language()
    language = LanguageFeatures(language.words.float(), language.mask,
                                language.sentence.float())
    visual = _random(2, C, 5, 4).float()
    expected = module(visual, language).fused
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        torch.testing.assert_close(module(visual, language).fused, expected)


def test_zero_pixels_and_words_are_no_error():
    language = LanguageFeatures(
        torch.zeros(1, 3, C_L, dtype=torch.float64),
        torch.ones(1, 3, dtype=torch.bool))
    visual = torch.zeros(1, C, 3, 3, dtype=torch.float64, requires_grad=True)
    fused = _fusion()(visual, language).fused
    fused.sum().backward()
    assert fused.isfinite().all() and visual.grad.isfinite().all()


@pytest.mark.parametrize('kwargs, message', [
    (dict(query_channels=4), r'CMSA makes no .* set query_stages=\(\)'),
    (dict(scale='root'), "a number or 'sqrt', not 'root'"),
])
def test_cmsa_refuses(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CMSA(channels=C, language_channels=C_L, **kwargs)


@pytest.mark.parametrize('height, width', [(3, 4), (1, 1), (2, 5)])
def test_cell_coordinates(height, width):
    got = cell_coordinates(height, width, torch.float64, torch.device('cpu'))
    expected = [
        _place(r, c, height, width) for r in range(height)
        for c in range(width)
    ]
    _close(got, torch.stack(expected))


# ---------------------------------------------------------------- GMLF


def _conv3x3(conv, x):
    _, height, width = x.shape
    result = conv.bias[:, None, None].expand(-1, height, width).clone()
    for r in range(height):
        for c in range(width):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if 0 <= r + i < height and 0 <= c + j < width:
                        result[:, r, c] += (
                            conv.weight[:, :, i + 1, j + 1] @ x[:, r + i,
                                                                c + j])
    return result


def _sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def _gmlf(module, x3, x4, x5):
    total = 0
    for level, (x, j, k) in enumerate(((x3, x5, x4), (x4, x5, x3),
                                       (x5, x4, x3))):
        parts = _conv3x3(module.convs[level], x)
        new, m, r = parts[:C], parts[C:2 * C], parts[2 * C:]
        m, r = _sigmoid(m + 1), _sigmoid(r + 1)
        a = module.shares[level].item()
        g = (1 - m) * new + m * (a * j + (1 - a) * k)
        g = (torch.exp(g) - torch.exp(-g)) / (torch.exp(g) + torch.exp(-g))
        total = total + r * g + (1 - r) * x
    return total


def _maps():
    return tuple(_random(2, C, 3 + i, 4).flatten(2)[..., :12].unflatten(
        2, (3, 4)) for i in range(3))


def test_gated_multi_level_fusion():
    module, maps = _randomise(GatedMultiLevelFusion(channels=C)), _maps()
    language = _language()
    features = MultimodalFeatures(maps=maps, language=language)
    out = module(features)
    assert len(out) == 1 and out.language is language
    for b in range(2):
        _close(out[0][b], _gmlf(module, *(x[b] for x in maps)))
    turned = module(MultimodalFeatures(tuple(x.flip(0) for x in maps)))
    _close(turned[0].flip(0), out[0])
    out[0].sum().backward()
    assert all(p.grad.abs().min() > 1e-12 for p in module.parameters())


def test_closed_gates_give_the_maps_themselves():
    module, maps = _randomise(GatedMultiLevelFusion(channels=C)), _maps()
    for conv in module.convs:
        conv.weight.data[2 * C:] = 0
        conv.bias.data[2 * C:] = -60  # reset gate
    _close(module(maps_of(maps))[0], sum(maps))
    for conv in module.convs:  # open, and the memory gate closed
        conv.bias.data[2 * C:] = 60
        conv.weight.data[C:2 * C] = 0
        conv.bias.data[C:2 * C] = -60
    expected = sum(
        torch.tanh(conv(x)[:, :C]) for conv, x in zip(module.convs, maps))
    _close(module(maps_of(maps))[0], expected)


def maps_of(maps):
    return MultimodalFeatures(tuple(maps))


def test_shares_begin_at_a_half():
    module = GatedMultiLevelFusion(channels=C)
    module.init_weights()
    assert module.shares.tolist() == [0.5] * 3


@pytest.mark.parametrize('maps', [_maps()[:2], (*_maps(), _maps()[0]),
                                  (*_maps()[:2], _random(2, C, 2, 2))])
def test_gated_multi_level_fusion_refuses(maps):
    with pytest.raises(ValueError, match='three maps of one shape and got'):
        _randomise(GatedMultiLevelFusion(channels=C))(maps_of(maps))


# ---------------------------------------------------------------- head


def test_head_of_one_3x3_convolution():
    module = _randomise(
        CoordMaskHead(
            in_channels=C,
            kernel_size=1,
            logit_kernel_size=3,
            with_coords=False))
    assert {k for k, _ in module.named_parameters()
            } == {'conv_seg.weight', 'conv_seg.bias'}
    maps = _maps()[:1]
    logits = module(maps_of(maps))
    assert logits.shape == (2, 2, 3, 4)
    for b in range(2):
        _close(logits[b], _conv3x3(module.conv_seg, maps[0][b]))
    with pytest.raises(ValueError, match='logit_kernel_size=2 must be odd'):
        CoordMaskHead(in_channels=C, logit_kernel_size=2)
