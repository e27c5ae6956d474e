# Licensed under the Apache License, Version 2.0.
"""Two-stage interaction: its equations as loops, what must not matter, and
what the alignment learns."""

import math
from dataclasses import replace

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.models import (CoordMaskHead, GlobalAlignment,
                             MultiLevelInteraction)
from mmrefseg.models.language_channels import with_language_channels
from mmrefseg.structures import (LanguageFeatures, MultimodalFeatures,
                                 PredictOptions)

C, C_L, HEADS, EPS = 8, 6, 2, 1e-5
WIDTHS, SIZES = (3, 4, 5), ((4, 6), (2, 3), (1, 2))


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


def _neck(**settings):
    return _build(
        MultiLevelInteraction, **{
            'in_channels': WIDTHS,
            'language_channels': C_L,
            'channels': C,
            'num_heads': HEADS,
            'ffn_channels': 5,
            **settings
        })


def _language(total=5):
    mask = torch.arange(total) < torch.tensor([[3], [5]])
    words = torch.cat([_random(2, 5, C_L), _random(2, total - 5, C_L)], 1)
    return LanguageFeatures(
        words=words.masked_fill(~mask[..., None], 50.), mask=mask)


def _features(total=5, attention=None):
    return MultimodalFeatures(
        maps=tuple(_random(2, w, *size) for w, size in zip(WIDTHS, SIZES)),
        language=_language(total),
        attention=attention)


def _close(got, expected):
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


# ------------------------------------------------------- stage one, by loops


def _linear(layer, x):
    y = layer.weight.flatten(1) @ x
    return y if layer.bias is None else y + layer.bias


def _norm(norm, x):
    mean = x.mean()
    variance = ((x - mean)**2).mean()
    return (x - mean) / torch.sqrt(variance + EPS) * norm.weight + norm.bias


def _softmax(logits):
    powers = [torch.exp(z - max(logits)) for z in logits]
    return [p / sum(powers) for p in powers]


def _attend(layer, asking, places, source):
    """What becomes of a list of vectors, and the weights that they gave."""
    width, found, weights = C // HEADS, [], []
    keys = [_linear(layer.attention.key, s) for s in source]
    values = [_linear(layer.attention.value, s) for s in source]
    for x, place in zip(asking, places):
        query, parts, given = _linear(layer.attention.query, x + place), [], 0
        for h in range(HEADS):
            own = slice(h * width, (h + 1) * width)
            attention = _softmax(
                [query[own] @ k[own] / math.sqrt(width) for k in keys])
            parts.append(sum(a * v[own] for a, v in zip(attention, values)))
            given = given + torch.stack(attention) / HEADS
        heard = _linear(layer.attention.out, torch.cat(parts))
        x = _norm(layer.norm1, x + heard)
        hidden = _linear(layer.ffn[0], x).clamp(min=0)
        found.append(_norm(layer.norm2, x + _linear(layer.ffn[2], hidden)))
        weights.append(given)
    return found, weights


def _sine(row, column, height, width):
    half, result = C // 2, []
    for place, last in ((row + 1, height), (column + 1, width)):
        angle = place / last * 2 * math.pi
        for k in range(half):
            turn = angle / 10000**(2 * (k // 2) / half)
            result.append(math.cos(turn) if k % 2 else math.sin(turn))
    return torch.tensor(result, dtype=torch.float64)


def _interact(neck, maps, words, start):
    """Of one pair: pixels of all levels, words, weights of the last layer."""
    pixels, places = [], []
    for i, x in enumerate(maps[start:]):
        linear, norm = neck.to_pixels[i]
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                pixels.append(_norm(norm, _linear(linear, x[:, r, c])))
                places.append(_sine(r, c, *x.shape[1:]) + neck.level[i])
    linear, norm = neck.to_words
    words = [_norm(norm, _linear(linear, word)) for word in words]
    for layer in neck.layers:
        words, _ = _attend(layer.words, words, [0] * len(words),
                           [x + e for x, e in zip(pixels, places)])
        pixels, weights = _attend(layer.pixels, pixels, places, words)
    return torch.stack(pixels), torch.stack(words), torch.stack(weights)


@pytest.mark.parametrize('start', [0, 1, 2])
def test_interaction(start):
    neck = _neck(start_level=start)
    features = _features(attention=(None, ) * 3)
    found = neck(features)
    assert neck.widths == [*WIDTHS[:start], *[C] * (3 - start)]
    for i in range(start):
        assert found[i] is features[i] and found.attention[i] is None
    for b in range(2):
        length = (3, 5)[b]
        pixels, words, weights = _interact(
            neck, [x[b] for x in features],
            features.language.words[b, :length], start)
        _close(found.language.words[b, :length], words)
        assert not found.language.words[b, length:].any()
        _close(found.language.sentence[b], words.mean(dim=0))
        first = 0
        for got, seen in zip(found.maps[start:], found.attention[start:]):
            own = slice(first, first := first + got[b, 0].numel())
            _close(got[b].flatten(1).t(), pixels[own])
            _close(seen[b, :length].flatten(1).t(), weights[own])
            assert not seen[b, length:].any()
    assert torch.equal(found.language.mask, features.language.mask)


def test_interaction_ignores_padding_order_and_batch():
    neck, features = _neck(), _features()
    found = neck(features)
    padded = neck(_features(total=9))
    turned = neck(
        replace(
            features,
            maps=tuple(x.flip(0) for x in features),
            language=features.language.select(torch.tensor([1, 0]))))
    _close(padded.language.words[:, :5], found.language.words)
    _close(turned.language.words.flip(0), found.language.words)
    for i, expected in enumerate(found):
        _close(padded[i], expected)
        _close(turned[i].flip(0), expected)
        for b in range(2):
            rows = torch.tensor([b])
            alone = neck(
                replace(
                    features,
                    maps=tuple(x[rows] for x in features),
                    language=features.language.select(rows)))
            _close(alone[i][0], expected[b])


def test_places_and_levels_are_told_apart():
    """Turned round, a map gives other words; so do levels exchanged."""
    neck = _neck(in_channels=(4, 4), start_level=0)
    maps = _random(4, 4, 2, 3).split(2)
    words = neck(MultimodalFeatures(maps, language=_language())).language.words
    for other in (tuple(x.flip(3) for x in maps), maps[::-1]):
        changed = neck(
            MultimodalFeatures(other, language=_language())).language.words
        assert (changed - words).abs().max() > 1e-3


@pytest.mark.parametrize('decoder', [
    dict(
        type='ReferringPixelDecoder', in_channels=[3, C, C], channels=4,
        out_channels=4, out_norm_cfg=None, out_indices=(0, )),
    dict(type='mmseg.FPN', in_channels=[3, C, C], out_channels=6, num_outs=3),
])
def test_a_neck_within(decoder):
    neck, features = _neck(decoder=decoder), _features()
    found, inner = neck(features), neck.decoder
    neck.decoder = None
    between = neck(features)
    assert torch.equal(found.language.words, between.language.words)
    expected = inner(between)
    for got, wanted in zip(found, expected, strict=True):
        _close(got, wanted)


def test_interaction_refused():
    with pytest.raises(ValueError, match='start_level=3 .* take 0 to 2'):
        _neck(start_level=3)
    with pytest.raises(ValueError, match='num_heads=3 .* 8 channels'):
        _neck(num_heads=3)
    with pytest.raises(ValueError, match='reads the words'):
        _neck()(replace(_features(), language=None))


# ----------------------------------------------------------- stage two


def _alignment(**settings):
    module = _build(
        GlobalAlignment, in_channels=3, language_channels=C_L, channels=4,
        **settings)
    module.log_temperature.data.fill_(math.log(0.2))
    return module


def _unit(x):
    return x / torch.sqrt((x**2).sum())


def _align(module, finest, words):
    """Of one pair: S, z as a list of rows, t."""
    scores = _softmax([_linear(module.pool, word)[0] for word in words])
    pooled = sum(a * word for a, word in zip(scores, words))
    t = _unit(_linear(module.sentence, pooled))
    z = [[
        _unit(_linear(module.pixels, finest[:, r, c]))
        for c in range(finest.shape[2])
    ] for r in range(finest.shape[1])]
    tau = math.exp(module.log_temperature.item())
    return [[x @ t / tau for x in row] for row in z], z, t


SIDE = 8  # of the masks; the maps have half of it
MASKS = {
    'left': (slice(0, 8), slice(0, 3)),
    'right': (slice(2, 7), slice(5, 8)),
    'dot': (slice(2, 4), slice(2, 4)),
    'nothing': (slice(0, 0), slice(0, 0)),
}


def _samples(*pairs):
    """Data samples of (image, mask)."""
    samples = []
    for image, name in pairs:
        mask = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
        mask[0][MASKS[name]] = 1
        sample = SegDataSample(gt_sem_seg=PixelData(data=mask))
        sample.set_metainfo(dict(img_path=image))
        samples.append(sample)
    return samples


def _pairs(number):
    mask = torch.arange(6) < torch.tensor([[2 + i % 4] for i in range(number)])
    return MultimodalFeatures(
        maps=(_random(number, 3, SIDE // 2, SIDE // 2), ),
        language=LanguageFeatures(_random(number, 6, C_L), mask))


def _losses(module, features, masks, pairs):
    """Both raw losses, by loops."""
    found = [
        _align(module, features[0][i], features.language.words[i][
            features.language.mask[i]]) for i in range(len(pairs))
    ]
    shares = [x[0].view(4, 2, 4, 2).double().mean(dim=(1, 3)) for x in masks]
    pixels, regions = [], []
    for (logits, z, _), share in zip(found, shares):
        region = 0
        for r in range(4):
            for c in range(4):
                p = 1 / (1 + torch.exp(-logits[r][c]))
                y = share[r, c]
                pixels.append(-y * torch.log(p) - (1 - y) * torch.log(1 - p))
                region = region + y * z[r][c]
        regions.append(_unit(region) if share.any() else None)
    tau, rows = math.exp(module.log_temperature.item()), []
    for i, (image, mask) in enumerate(pairs):
        if mask == 'nothing':
            continue
        t = found[i][2]
        wrong = [
            t @ regions[j] / tau for j, other in enumerate(pairs)
            if other != (image, mask) and other[1] != 'nothing'
        ]
        if wrong:
            rows.append(-torch.log(_softmax([t @ regions[i] / tau, *wrong])[0])
                        )
    return sum(pixels) / len(pixels), sum(rows) / len(rows) if rows else 0.


@pytest.mark.parametrize('pairs', [
    [('a', 'left'), ('b', 'right'), ('c', 'dot')],
    [('a', 'left'), ('a', 'right'), ('a', 'dot'), ('b', 'dot')],
    # a second sentence about the same thing is no wrong answer
    [('a', 'left'), ('a', 'left'), ('b', 'left'), ('b', 'right')],
    [('a', 'left'), ('b', 'nothing'), ('b', 'dot')],
    [('a', 'left'), ('a', 'left')],
    [('a', 'nothing'), ('b', 'left')],
    [('a', 'nothing'), ('b', 'nothing')],
    [('a', 'left')],
], ids=str)
def test_alignment(pairs):
    module, features = _alignment(), _pairs(len(pairs))
    samples = _samples(*pairs)
    aligned = module.align(features)
    for i in range(len(pairs)):
        logits, z, t = _align(
            module, features[0][i],
            features.language.words[i][features.language.mask[i]])
        _close(aligned.logits[i, 0],
               torch.stack([torch.stack(row) for row in logits]))
        _close(aligned.sentence[i], t)
        _close(aligned.pixels[i, :, 1, 2], z[1][2])
    losses = module.loss(aligned, samples)
    pixels, regions = _losses(module, features,
                              [x.gt_sem_seg.data for x in samples], pairs)
    _close(losses['alignment_bce'], pixels.detach())
    assert losses['region_nce'].item() == pytest.approx(
        float(torch.as_tensor(regions).detach()), abs=1e-10)
    _close(losses['loss_alignment'], 0.1 * pixels)
    assert losses['loss_region'].item() == pytest.approx(
        0.1 * losses['region_nce'].item())
    assert module(features, samples) == losses
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())


def test_order_and_batch_of_sentences():
    """No order changes a loss; alone, a pair has the same map."""
    pairs = [('a', 'left'), ('a', 'left'), ('b', 'left'), ('b', 'right')]
    module, features, samples = _alignment(), _pairs(4), _samples(*pairs)
    aligned, order = module.align(features), torch.tensor([2, 0, 3, 1])
    turned = replace(
        features,
        maps=(features[0][order], ),
        language=features.language.select(order))
    _close(module.align(turned).logits, aligned.logits[order])
    got = module(turned, [samples[i] for i in order])
    for name, value in module.loss(aligned, samples).items():
        _close(got[name], value)
    for i in range(4):
        rows = torch.tensor([i])
        alone = replace(
            features,
            maps=(features[0][rows], ),
            language=features.language.select(rows))
        _close(module.align(alone).logits[0], aligned.logits[i])


def test_losses_of_two_processes():
    """Nothing is gathered: the loss of pixels of a batch is the mean of those
    of its halves, that of regions is not."""
    pairs = [('a', 'left'), ('b', 'right'), ('c', 'left'), ('d', 'dot')]
    module, features, samples = _alignment(), _pairs(4), _samples(*pairs)
    whole = module(features, samples)
    halves = [
        module(
            replace(
                features,
                maps=(features[0][rows], ),
                language=features.language.select(rows)),
            [samples[i] for i in rows])
        for rows in (torch.tensor([0, 1]), torch.tensor([2, 3]))
    ]
    mean = {k: (halves[0][k] + halves[1][k]) / 2 for k in whole}
    _close(mean['loss_alignment'], whole['loss_alignment'])
    assert abs(mean['loss_region'] - whole['loss_region']) > 1e-3


def test_padding_changes_no_alignment():
    module, features = _alignment(), _pairs(3)
    language = features.language
    longer = LanguageFeatures(
        torch.cat([language.words,
                   language.words.new_full((3, 4, C_L), 50.)], 1),
        torch.cat([language.mask, torch.zeros(3, 4).bool()], 1))
    _close(
        module.align(replace(features, language=longer)).logits,
        module.align(features).logits)


def test_without_regions():
    module = _alignment(region_weight=0.)
    losses = module(_pairs(2), _samples(('a', 'left'), ('b', 'dot')))
    assert set(losses) == {'loss_alignment', 'alignment_bce'}


@pytest.mark.parametrize('settings, message', [
    (dict(temperature=0.), 'temperature=0.0 of GlobalAlignment'),
    (dict(pixel_weight=-1.), 'pixel_weight=-1.0 of GlobalAlignment'),
    (dict(region_weight=-1.), 'region_weight=-1.0 of GlobalAlignment'),
])
def test_alignment_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _alignment(**settings)
    with pytest.raises(ValueError, match='reads the words'):
        _alignment().align(replace(_pairs(1), language=None))


# ---------------------------------------------------------------- the head


@pytest.mark.parametrize('out_channels', [1, 2])
def test_the_map_stands_beside_the_finest_map(out_channels):
    head = _build(
        CoordMaskHead, in_channels=3, channels=4, out_channels=out_channels,
        alignment=dict(language_channels=C_L, channels=4))
    features = _pairs(2)
    runs = []
    head.alignment.pixels.register_forward_hook(
        lambda *_: runs.append('computed'))
    found = head.predict(features, [dict(img_shape=(16, 16))], {})
    assert runs == ['computed']
    logits = head.alignment.align(features).logits
    _close(head(features), head._segment(features[0], logits))
    assert head.coord_conv.conv.weight.shape[1] == 3 + 1 + 2
    # as a mask prior: the probability of S
    assert found.prior.shape[1] == out_channels
    prior = found.prior.sigmoid() if out_channels == 1 else (
        found.prior.softmax(dim=1)[:, 1:])
    _close(prior, logits.sigmoid())


def test_the_head_adds_its_losses_from_one_map():
    head = _build(
        CoordMaskHead, in_channels=3, channels=4,
        alignment=dict(language_channels=C_L, channels=4))
    features, samples = _pairs(2), _samples(('a', 'left'), ('b', 'dot'))
    runs = []
    head.alignment.pixels.register_forward_hook(
        lambda *_: runs.append('computed'))
    losses = head.loss(features, samples, {})
    assert runs == ['computed']
    own = head.alignment(features, samples)
    for name, value in own.items():
        _close(losses[name], value)
    _close(losses['loss_ce'],
           head.loss_by_feat(head(features), samples)['loss_ce'])


# --------------------------------------------------------- the whole model

SWIN = dict(
    _delete_=True,
    type='SwinTransformer',
    embed_dims=8,
    depths=[2, 1, 2, 1],
    num_heads=[1, 2, 4, 8],
    window_size=4,
    drop_path_rate=0.)
NECK = dict(
    _delete_=True,
    type='MultiLevelInteraction',
    in_channels=[8, 16, 32, 64],
    channels=32,
    num_heads=4,
    ffn_channels=24,
    decoder=dict(
        type='ReferringPixelDecoder',
        in_channels=[8, 32, 32, 32],
        channels=16,
        out_channels=16,
        out_indices=(0, ),
        out_norm_cfg=dict(type='GN', num_groups=4)))
HEAD = dict(
    _delete_=True, type='CoordMaskHead', in_channels=16, channels=8)
ALIGNMENT = dict(language_channels='auto', channels=8)
MODEL = dict(
    backbone=SWIN, neck=NECK, decode_head=dict(HEAD, alignment=ALIGNMENT))


def test_what_comes_after_the_neck_takes_its_words(tiny_segmentor, make_batch):
    """Existence, alignment and the pictures of attention."""
    model = tiny_segmentor(
        backbone=SWIN,
        neck=NECK,
        decode_head=dict(
            HEAD,
            alignment=ALIGNMENT,
            existence=dict(channels=8, language_channels='auto'))).eval()
    head = model.decode_head
    assert model.neck.to_words[0].in_features == 16
    assert head.alignment.sentence.in_features == 32
    assert head.existence.layers[0].in_features == 2 * 16 + 32
    given, words = [], []
    head.existence.layers.register_forward_pre_hook(
        lambda _, args: given.append(args[0][:, -32:]))
    head.alignment.pool.register_forward_pre_hook(
        lambda _, args: words.append(args[0]))
    data = model.data_preprocessor(make_batch([(64, 64)] * 2))
    texts = [x.text for x in data['data_samples']]
    with torch.no_grad():
        samples = model.predict(
            **data,
            options=PredictOptions(return_attention=True, return_prior=True))
        features = model.extract_feat(
            data['inputs'], texts, keep_attention=True)
        plain = model.extract_feat(data['inputs'], texts)
    assert plain.attention is None
    torch.testing.assert_close(given[0], features.language.sentence)
    torch.testing.assert_close(words[0], features.language.words)
    assert features.language.words.shape[2] == 32
    # The words of pixels at stride 16 are drawn, under their own names.
    assert features.attention[0] is None
    for i, sample in enumerate(samples):
        assert len(sample.tokens) == features.language.mask[i].sum()
        attention = sample.word_attention.data
        assert tuple(attention.shape) == (len(sample.tokens), 64, 64)
        torch.testing.assert_close(
            attention.sum(dim=0), torch.ones(64, 64), atol=1e-5, rtol=0)
        expected = torch.nn.functional.interpolate(
            features.attention[-2][i, None, :len(sample.tokens)], (64, 64),
            mode='bilinear')[0]
        torch.testing.assert_close(attention, expected)
        assert 'mask_prior' in sample


def test_width_of_the_words_after_a_neck():
    config = dict(
        backbone=dict(type='LanguageSwinTransformer'),
        neck=dict(type='MultiLevelInteraction'),
        decode_head=dict(alignment=dict(language_channels='auto')),
        auxiliary_losses=[
            dict(type='GlobalAlignment'),
            dict(type='GlobalAlignment', language_channels=3)
        ])
    for settings, width in ((dict(), 256), (dict(channels=40), 40)):
        config['neck'].update(settings)
        wide = with_language_channels(config, 9)
        assert wide['backbone']['language_channels'] == 9
        assert wide['neck']['language_channels'] == 9
        head = wide['decode_head']['alignment']
        assert head['language_channels'] == width
        assert [x['language_channels']
                for x in wide['auxiliary_losses']] == [width, 3]


def test_the_whole_model_ignores_padding_and_batch(tiny_segmentor, make_batch,
                                                   monkeypatch):
    model = tiny_segmentor(**MODEL).double().eval()
    batch = make_batch([(65, 97)] * 4)

    def run(rows):
        chosen = {k: [v[i] for i in rows] for k, v in batch.items()}
        with torch.no_grad():
            return model(**model.data_preprocessor(chosen), mode='tensor')

    expected = run(range(4))
    _close(run([2, 0, 3, 1]), expected[[2, 0, 3, 1]])
    for i in range(4):
        _close(run([i]), expected[i:i + 1])
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    _close(run(range(4)), expected)


def test_alignment_alone_makes_a_mask(tiny_segmentor, make_batch):
    """Trained by the loss of pixels alone, S > 0 is the mask: through
    ``auxiliary_losses``, on four scenes."""
    model = tiny_segmentor(
        randomise=False, backbone=SWIN, neck=NECK, decode_head=HEAD,
        auxiliary_losses=[
            dict(
                type='GlobalAlignment', in_channels=16, channels=8,
                pixel_weight=1., region_weight=0.)
        ]).train()
    data = model.data_preprocessor(make_batch([(64, 64)] * 4), training=True)
    alignment, = model.auxiliary_losses
    masks = torch.stack([x.gt_sem_seg.data for x in data['data_samples']])
    texts = [x.text for x in data['data_samples']]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def iou():
        with torch.no_grad():
            found = alignment.align(model.extract_feat(data['inputs'], texts))
        found = torch.nn.functional.interpolate(
            found.logits, (64, 64), mode='bilinear') > 0
        return ((found & (masks > 0)).sum() / (found | (masks > 0)).sum()
                ).item()

    assert iou() < 0.6
    for _ in range(20):
        losses = model.loss(**data)
        optimizer.zero_grad()
        losses['auxiliary_0.loss_alignment'].backward()
        optimizer.step()
    assert iou() > 0.85
