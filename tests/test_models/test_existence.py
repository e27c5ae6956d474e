# Licensed under the Apache License, Version 2.0.
"""A head that can also say that nothing is there."""

import math

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.models.decode_heads import ExistencePredictor
from mmrefseg.structures import LanguageFeatures, MultimodalFeatures

C, QUERIES, C_L = 6, 3, 5
TEXTS = ('star', 'the small red square to the left of the blue circle',
         'leftmost object', 'black triangle at the top')
CE = dict(type='CrossEntropyLoss', avg_non_ignore=True)
DICE = dict(
    type='DiceLoss', use_sigmoid=False, naive_dice=True, ignore_index=0)
COORD = dict(
    _delete_=True,
    type='CoordMaskHead',
    in_channels=16,
    channels=8,
    loss_decode=CE)


def _random(*shape):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _predictor(**kwargs):
    module = ExistencePredictor(in_channels=C, channels=7, **kwargs).double()
    for value in module.parameters():
        value.data.copy_(_random(*value.shape))
    return module


def _features(total=6):
    mask = torch.arange(total) < torch.tensor([4, 6])[:, None]
    words = torch.cat([_random(2, 6, C_L), _random(2, total - 6, C_L)], 1)
    # What stands at padding must not matter.
    words = words.masked_fill(~mask[..., None], math.nan)
    return MultimodalFeatures(
        maps=(_random(2, C, 3, 4), _random(2, C, 2, 2)),
        queries=_random(2, QUERIES, C),
        language=LanguageFeatures(words=words, mask=mask))


@pytest.mark.parametrize('queries', [None, QUERIES * C])
@pytest.mark.parametrize('words', [None, C_L])
def test_transcription(queries, words):
    """One sentence, pixel by pixel and word by word."""
    module = _predictor(query_channels=queries, language_channels=words)
    features = _features()
    found = module(features)
    for b in range(2):
        finest = features.maps[0][b]
        pixels = [finest[:, r, c] for r in range(3) for c in range(4)]
        seen = list(sum(pixels) / 12)
        seen += [max(p[k] for p in pixels) for k in range(C)]
        if queries:
            seen += [x for query in features.queries[b] for x in query]
        if words:
            said = features.language.words[b][features.language.mask[b]]
            seen += list(sum(said) / len(said))
        first, _, last = module.layers
        hidden = [
            max(sum(w * x for w, x in zip(row, seen)) + bias, 0)
            for row, bias in zip(first.weight, first.bias)
        ]
        expected = sum(w * x for w, x in zip(last.weight[0], hidden))
        torch.testing.assert_close(
            found[b], expected + last.bias[0], atol=1e-12, rtol=0)
    scores = [1 / (1 + math.exp(-x)) for x in found.tolist()]
    assert module.predict(features).tolist() == pytest.approx(scores)


def test_padding_changes_nothing():
    module = _predictor(
        query_channels=QUERIES * C, language_channels=C_L)
    torch.testing.assert_close(
        module(_features(total=11)), module(_features()), atol=0, rtol=0)


def _sample(area, **metainfo):
    mask = torch.zeros(1, 4, 4, dtype=torch.int64)
    mask.view(-1)[:area] = 1
    sample = SegDataSample(gt_sem_seg=PixelData(data=mask))
    sample.set_metainfo(metainfo)
    return sample


def test_loss_is_the_weighted_cross_entropy():
    module = _predictor(loss_weight=0.25)
    features = _features()
    samples = [_sample(3), _sample(0)]
    losses = module.loss(features, samples)
    there, gone = (1 / (1 + math.exp(-x)) for x in module(features).tolist())
    raw = -(math.log(there) + math.log(1 - gone)) / 2
    assert losses['existence_bce'].item() == pytest.approx(raw, abs=1e-12)
    assert losses['loss_existence'].item() == pytest.approx(raw / 4, abs=1e-12)
    assert losses['loss_existence'].requires_grad
    assert not losses['existence_bce'].requires_grad


def test_what_the_annotation_says_goes_before_the_mask():
    """A mask of two pixels may be gone after resizing."""
    module, features = _predictor(), _features()
    by_mask = module.loss(features, [_sample(3), _sample(0)])
    said = module.loss(
        features,
        [_sample(0, no_target=False),
         _sample(0, no_target=True)])
    assert said == by_mask
    other = module.loss(
        features,
        [_sample(0, no_target=True),
         _sample(0, no_target=True)])
    assert other['existence_bce'] != said['existence_bce']


def test_loss_in_half_precision_is_computed_in_float32():
    module = _predictor().bfloat16()
    with torch.no_grad():
        module.layers[2].bias.fill_(40.)
    features = MultimodalFeatures(maps=(0 * _random(2, C, 3, 4).bfloat16(), ))
    losses = module.loss(features, [_sample(1), _sample(1)])
    assert losses['existence_bce'].dtype == torch.float32
    assert losses['loss_existence'].isfinite()


@pytest.mark.parametrize('wrong, said', [
    (dict(threshold=1.5), 'threshold=1.5.*between 0 and 1'),
    (dict(loss_weight=0), 'loss_weight=0.*positive'),
])
def test_wrong_arguments(wrong, said):
    with pytest.raises(ValueError, match=said):
        ExistencePredictor(in_channels=C, **wrong)


# ------------------------------------------------------- in the segmentor


@pytest.fixture(scope='module')
def model(tiny_segmentor):
    model = tiny_segmentor(
        decode_head=dict(
            existence=dict(channels=8, language_channels=16))).double().eval()
    for name, value in model.named_buffers():
        if name.endswith('running_var'):
            value.uniform_(0.5, 1.5)
    return model


def _results(model, batch):
    with torch.no_grad():
        return model.test_step(batch)


def test_off_by_default_and_checkpoints_fit(tiny_segmentor, make_batch):
    plain, able = (
        tiny_segmentor(decode_head=dict(existence=x), randomise=False)
        for x in (None, dict(channels=8)))
    own, more = (set(x.state_dict()) for x in (plain, able))
    assert own < more
    assert all(x.startswith('decode_head.existence.') for x in more - own)
    # A model that was trained without it gives the same logits with it.
    result = able.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys
    batch = make_batch([(64, 64)] * 2)
    first, second = (_results(x.eval(), batch) for x in (plain, able))
    assert torch.equal(first[0].seg_logits.data, second[0].seg_logits.data)
    bare = _results(plain, make_batch([(64, 64)]))[0]
    assert 'existence_score' not in bare and 'pred_no_target' not in bare
    assert 'loss_existence' not in plain.train().loss(
        **plain.data_preprocessor(batch, training=True))


@pytest.mark.parametrize('threshold', [0., 1.])
def test_the_mask_is_empty_where_nothing_is_there(threshold, model,
                                                  make_batch, monkeypatch):
    everywhere = torch.tensor([-90., 90.], dtype=torch.float64)
    monkeypatch.setattr(model.decode_head.existence, 'threshold', threshold)
    monkeypatch.setattr(model.decode_head.conv_seg.bias, 'data', everywhere)
    for sample in _results(model, make_batch([(64, 64)] * 4, TEXTS)):
        assert 0 < sample.existence_score < 1
        assert sample.pred_no_target is (threshold == 1)
        mask = sample.pred_sem_seg.data
        assert mask.dtype == torch.int64
        assert mask.all() if threshold == 0 else not mask.any()
        # What the mask would have been can still be seen.
        assert sample.seg_logits.data.argmax(dim=0).all()


def test_score_depends_neither_on_batch_order_nor_on_padding(
        model, make_batch, monkeypatch):

    def scores(batch):
        return torch.tensor(
            [x.existence_score for x in _results(model, batch)])

    batch = make_batch([(64, 64), (64, 97), (64, 64), (100, 64)], TEXTS)
    together = scores(batch)
    order = [2, 0, 3, 1]
    turned = {k: [v[i] for i in order] for k, v in batch.items()}
    torch.testing.assert_close(
        scores(turned), together[order], atol=1e-6, rtol=0)
    for i in range(4):
        alone = scores({k: [v[i]] for k, v in batch.items()})
        torch.testing.assert_close(
            alone, together[i:i + 1], atol=1e-6, rtol=0)
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    torch.testing.assert_close(scores(batch), together, atol=1e-6, rtol=0)
    assert together.unique().numel() == 4


def _empty(batch, rows):
    for row in rows:
        batch['data_samples'][row].gt_sem_seg.data.zero_()
        batch['data_samples'][row].set_metainfo(dict(no_target=True))
    return batch


@pytest.mark.parametrize('rows', [[], [1], [0, 1, 2, 3]])
@pytest.mark.parametrize('changes', [
    dict(decode_head=dict(loss_decode=CE)),
    dict(decode_head=dict(loss_decode=[CE, DICE])),
    dict(
        decode_head=dict(
            loss_decode=dict(
                type='CrossEntropyLoss',
                # mmseg's loss cannot do both
                class_weight=[0.9, 1.1],
                avg_non_ignore=False))),
    dict(decode_head=COORD, neck=dict(out_indices=(0, )),
         backbone=dict(query_stages=())),
])
def test_empty_masks_train(rows, changes, tiny_segmentor, make_batch):
    """A batch may hold some sentences without a target, or nothing else."""
    changes = dict(changes, decode_head=dict(
        changes['decode_head'], existence=dict(loss_weight=0.5)))
    model = tiny_segmentor(randomise=False, **changes).train()
    batch = _empty(make_batch([(64, 64)] * 4, TEXTS), rows)
    losses = model.loss(**model.data_preprocessor(batch, training=True))
    total, log = model.parse_losses(losses)
    assert log['decode.loss_existence'] == log['decode.existence_bce'] / 2
    total.backward()
    for name, value in model.named_parameters():
        if value.requires_grad:
            assert value.grad.isfinite().all(), name


def test_it_learns_what_is_there(tiny_segmentor, make_batch):
    """A few steps on one batch tell its two sentences without target from
    the others, and their masks become empty."""
    torch.manual_seed(0)
    model = tiny_segmentor(
        randomise=False,
        decode_head=dict(existence=dict(channels=16))).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(25):
        batch = _empty(make_batch([(64, 64)] * 4, TEXTS), [1, 2])
        optimizer.zero_grad()
        model.parse_losses(
            model.loss(**model.data_preprocessor(
                batch, training=True)))[0].backward()
        optimizer.step()
    # Batch norm's statistics have not caught up: as in training.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    results = _results(model, make_batch([(64, 64)] * 4, TEXTS))
    assert [x.pred_no_target for x in results] == [False, True, True, False]
    assert not results[1].pred_sem_seg.data.any()
