# Licensed under the Apache License, Version 2.0.
"""The second pass on masked images and sentences (MaskedTraining)."""

import copy
import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim import SGD

from mmrefseg.engine.hooks import seed_generators
from mmrefseg.models import BertLanguageEncoder, MaskedTraining
from mmrefseg.models.language_encoders import ReplacementIds, TokenReplacement
from mmrefseg.models.segmentors.loss_hooks import two_channels
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures

# Without dropout a pass can be repeated.
STILL = dict(
    arch=dict(hidden_dropout_prob=0., attention_probs_dropout_prob=0.))
DICE = dict(
    type='DiceLoss', use_sigmoid=False, naive_dice=True, ignore_index=0)
CE = dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=2.)


def masked(**changes):
    return dict(masked=dict(type='MaskedTraining', patch_size=8, **changes))


@pytest.fixture(scope='module')
def build(tiny_segmentor):
    """``tiny_segmentor`` without dropout, in float64, in training."""

    def build(train_cfg=None, **parts):
        parts.setdefault('language_encoder', STILL)
        return tiny_segmentor(train_cfg=train_cfg or {}, **parts).double()

    return build


@pytest.fixture
def batch(make_batch, build):
    """(images, samples) of two images, the second with two sentences."""
    data = make_batch([(64, 48)] * 3)
    data['inputs'][2] = data['inputs'][1]
    data['data_samples'][2].set_metainfo(
        dict(img_path=data['data_samples'][1].img_path))
    data = build().data_preprocessor(data)
    return data['inputs'].double(), data['data_samples']


def value(losses):
    return sum(v for k, v in losses.items() if 'loss' in k)


# --------------------------------------------------------------- equations


def slow_soft_cross_entropy(logits, target, weights):
    """Pixel by pixel, from the equation."""
    total, (b, _, h, w) = 0., logits.shape
    for i in range(b):
        for y in range(h):
            for x in range(w):
                scores = [math.exp(v) for v in logits[i, :, y, x].tolist()]
                for c in range(2):
                    total -= weights[c] * float(target[i, c, y, x]) * math.log(
                        scores[c] / sum(scores))
    return total / (b * h * w)


def resize(x, size):
    return nn.functional.interpolate(x, size=size, mode='bilinear')


@pytest.mark.parametrize('loss_decode', [CE, [CE, DICE]])
def test_transcription(loss_decode, build, batch, monkeypatch):
    """The second pass, with given patches and tokens, from the equations."""
    model = build(
        masked(class_weight=(0.7, 1.3), loss_weights=(0.25, 2.)),
        decode_head=dict(loss_decode=loss_decode, prior_loss_weight=0.3))
    images, samples = batch
    texts = [x.text for x in samples]
    hidden = torch.zeros(64, 48, dtype=torch.bool)
    hidden[8:32, 16:40] = True
    monkeypatch.setattr(MaskedTraining, 'hide_patches',
                        lambda self, x: x.masked_fill(hidden, 0.))
    monkeypatch.setattr(TokenReplacement, '__call__',
                        lambda self, ids: [ids[0], 4, *ids[2:]])
    got = model.train().loss(images, samples)

    encoder, head = model.language_encoder, model.decode_head
    with torch.no_grad():
        features = model.extract_feat(images, texts)
        first = resize(head(features), (64, 48)).softmax(dim=1)
        plain = head.loss(features, samples, {})
        ids = [encoder.tokenizer.encode(x) for x in texts]
        language = encoder._encode([[x[0], 4, *x[2:]] for x in ids])
        image = images.clone()
        image[:, :, 8:32, 16:40] = 0
        features = model.backbone(image, language)
        logits, priors = head.forward_with_priors(model.neck(features))
        second = slow_soft_cross_entropy(
            resize(logits, (64, 48)), first, (0.7, 1.3))
        prior = sum(
            slow_soft_cross_entropy(resize(x, (64, 48)), first, (0.7, 1.3))
            for x in priors) / len(priors)
    expected = {k: 0.25 * v for k, v in plain.items() if 'loss' in k}
    expected['masked.loss_ce'] = 2. * second
    expected['masked.loss_prior'] = 2. * 0.3 * prior
    expected = {
        k if 'masked' in k else f'decode.{k}': float(v)
        for k, v in expected.items()
    }
    got = {k: float(v.detach()) for k, v in got.items() if 'loss' in k}
    assert got == pytest.approx(expected, rel=0, abs=1e-10)


def test_one_channel_is_two():
    """softmax([0, y]) is sigmoid(y): the loss is that of two logits."""
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    both = two_channels(logits)
    torch.testing.assert_close(both.softmax(1)[:, 1:], logits.sigmoid())
    target = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    loss = MaskedTraining(class_weight=(1., 1.)).soft_cross_entropy(
        logits, torch.cat([1 - target, target], 1))
    torch.testing.assert_close(
        loss,
        nn.functional.binary_cross_entropy_with_logits(logits, target))


def test_first_pass_is_plain_training(build, batch, tiny_segmentor):
    """With dropout, too: nothing is drawn before it."""
    images, samples = batch
    plain, model = (
        tiny_segmentor(
            train_cfg=cfg, backbone=dict(drop_path_rate=0.3)).train()
        for cfg in ({}, masked()))
    losses = []
    for each in (plain, model):
        seed_generators(0, 5, 0, 0)
        losses.append(each.loss(images.float(), samples))
    assert set(losses[0]) == {
        k for k in losses[1] if not k.startswith('masked.')
    }
    for name, wanted in losses[0].items():
        factor = 0.5 if 'loss' in name else 1.
        assert torch.equal(losses[1][name], factor * wanted), name


def test_gradients_are_the_sum_of_two_passes(build, batch, monkeypatch):
    images, samples = batch
    model = build(masked()).train()
    compare = MaskedTraining.soft_cross_entropy

    def watched(self, logits, target):
        assert logits.requires_grad and not target.requires_grad
        return compare(self, logits, target)

    monkeypatch.setattr(MaskedTraining, 'soft_cross_entropy', watched)

    def gradients(*parts):
        model.zero_grad()
        for part in parts:
            seed_generators(0, 0, 0, 0)
            losses = model.loss(images, samples)
            value({k: v for k, v in losses.items() if part(k)}).backward()
        return {
            k: p.grad.clone()
            for k, p in model.named_parameters() if p.grad is not None
        }

    def second(name):
        return name.startswith('masked.')

    one = gradients(lambda name: True)
    two = gradients(lambda name: not second(name), second)
    assert one.keys() == two.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(
            gradient, two[name], rtol=1e-9, atol=1e-12, msg=name)
    # The target is a constant: the first pass's half is plain training's.
    plain = build().train()
    half = gradients(lambda name: not second(name))
    (0.5 * value(plain.loss(images, samples))).backward()
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(
                half[name], parameter.grad, rtol=1e-9, atol=1e-12, msg=name)


# ------------------------------------------------------------------- masks


@pytest.mark.parametrize('height, width, patches', [(448, 448, 196),
                                                    (64, 100, 8)])
def test_share_of_patches(height, width, patches):
    seed_generators(0, 0, 0, 0)
    rows, columns = math.ceil(height / 32), math.ceil(width / 32)
    assert rows * columns == patches
    hidden = MaskedTraining().hide_patches(
        torch.ones(40, 3, height, width)) == 0
    assert torch.equal(hidden[:, :1].expand_as(hidden), hidden)
    whole = torch.zeros(40, rows, columns)
    for i in range(rows):
        for j in range(columns):
            patch = hidden[:, 0, 32 * i:32 * i + 32, 32 * j:32 * j + 32]
            whole[:, i, j] = patch.flatten(1).float().mean(1)
    assert set(whole.unique().tolist()) == {0., 1.}
    assert torch.equal(whole.sum((1, 2)), torch.full((40, ), .75 * patches))
    # Each image has its own, and each place is as likely as another.
    assert len({tuple(x.flatten().tolist()) for x in whole}) > 15
    assert whole.mean(0).min() > 0.4
    assert whole.mean(0).max() <= 1


@pytest.mark.parametrize('ratio', [0., 1.])
def test_no_patch_and_all(ratio):
    images = torch.ones(2, 3, 20, 20)
    hidden = MaskedTraining(
        image_ratio=ratio, patch_size=8).hide_patches(images)
    assert hidden.eq(1 - ratio).all() and images.eq(1).all()


def test_share_of_tokens():
    ids = ReplacementIds(4, list(range(5, 105)), frozenset(range(5)))
    replace = TokenReplacement(ids, ratio=0.15)
    seed_generators(0, 0, 0, 0)
    sentence = [2, *range(5, 55), 1, 0, 3]  # with [UNK] and [PAD]
    draws = 2000
    n = draws * 50
    became = dict(mask=0, other=0)
    for _ in range(draws):
        got = replace(sentence)
        assert len(got) == len(sentence)
        for old, new in zip(sentence, got):
            if old < 5:
                assert new == old
            elif new != old:
                assert new == 4 or new in ids.words
                became['mask' if new == 4 else 'other'] += 1
    # Standard deviations here: 0.0010 and 0.0004; a random token may be the
    # old one, in 1 of 100.
    assert became['mask'] / n == pytest.approx(0.15 * 0.8, abs=0.004)
    assert became['other'] / n == pytest.approx(0.15 * 0.1 * .99, abs=0.0015)


def test_all_is_hidden_but_special_tokens(tiny_arch, tiny_vocab):
    encoder = BertLanguageEncoder(vocab=tiny_vocab, arch=tiny_arch)
    ids = encoder.replacement_ids
    assert ids.mask == 4 and ids.special == frozenset(range(5))
    assert list(ids.words) == list(range(5, 23))
    replace = TokenReplacement(ids, ratio=1., shares=(1., 0., 0.))
    tokens = encoder.tokenizer.encode('the red circle')
    assert replace(tokens) == [2, 4, 4, 4, 3]


# ----------------------------------------------------------- what it leaves


def test_files_are_those_of_plain_training(build, batch):
    images, samples = batch
    plain, model = build(), build(masked())
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.1))
    wrapper.update_params(value(model.train().loss(images, samples)))
    assert list(plain.state_dict()) == list(model.state_dict())
    plain.load_state_dict(model.state_dict())
    model.load_state_dict(plain.state_dict())
    results = []
    for each in (plain, model):
        with torch.no_grad():
            results.append(each.eval().predict(
                images, [x.clone() for x in samples]))
    for a, b in zip(*results):
        assert torch.equal(a.seg_logits.data, b.seg_logits.data)


def test_no_hook_is_left(build, batch):
    model = build(masked(masked_statistics=False)).train()
    model.loss(*batch)
    assert not any(x._forward_hooks for x in model.modules())
    assert all(
        x.track_running_stats for x in model.modules()
        if isinstance(x, nn.BatchNorm2d))


@pytest.mark.parametrize('both', [True, False])
def test_statistics(both, build, batch):
    """Running means see the second pass only where they shall."""
    plain, model = build(), build(masked(masked_statistics=both))
    for each in (plain, model):
        each.train().loss(*batch)
    buffers = dict(plain.named_buffers())
    same = [
        torch.equal(buffers[k], v) for k, v in model.named_buffers()
        if 'running' in k or 'num_batches' in k
    ]
    assert same and (all(same) is not both)


def test_random_numbers_follow_the_seed(build, batch):
    model = build(masked()).train()
    drawn = []
    for seed, iteration, rank in ((0, 7, 0), (0, 7, 0), (0, 8, 0), (1, 7, 0),
                                  (0, 7, 1)):
        seed_generators(seed, iteration, rank, 0)
        drawn.append(model.loss(*batch)['masked.loss_ce'].item())
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


# --------------------------------------------------------- with other parts


def test_shared_images_are_masked_once(build, batch, monkeypatch):
    images, samples = batch
    rows = []
    hide = MaskedTraining.hide_patches
    monkeypatch.setattr(
        MaskedTraining, 'hide_patches',
        lambda self, x: rows.append(len(x)) or hide(self, x))
    for share in (True, False):
        cfg = dict(share_images=share, **masked())
        value(build(cfg).train().loss(images, samples)).backward()
    assert rows == [2, 3]


def test_losses_of_other_parts_have_one_pass(build, batch):
    """Existence, Dice, an auxiliary head: in the first pass alone; and a
    sentence without target is a sentence like others."""
    images, samples = batch
    samples[0].gt_sem_seg.data = torch.zeros_like(samples[0].gt_sem_seg.data)
    samples[0].set_metainfo(dict(no_target=True))
    model = build(
        masked(),
        decode_head=dict(
            existence=dict(channels=8), loss_decode=[CE, DICE], loss_stride=2),
        auxiliary_head=dict(
            type='FCNHead',
            in_channels=16,
            in_index=2,
            channels=8,
            num_convs=1,
            num_classes=2,
            concat_input=False,
            loss_decode=CE)).train()
    losses = model.loss(images, samples)
    value(losses).backward()
    assert {k for k in losses if 'masked' in k} == {
        'masked.loss_ce', 'masked.loss_prior'
    }
    assert {'decode.loss_existence', 'decode.loss_dice',
            'aux.loss_ce'} <= set(losses)


def test_lavt_and_a_single_channel(build, batch, tiny_lavt):
    parts = copy.deepcopy(tiny_lavt)
    parts['language_encoder'].update(copy.deepcopy(STILL))
    parts['decode_head'].update(
        out_channels=1,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    losses = build(masked(), **parts).train().loss(*batch)
    assert {k for k in losses if 'masked' in k} == {'masked.loss_ce'}
    value(losses).backward()


def test_a_cache_neither_gives_nor_keeps(build, batch):
    images, samples = batch
    encoder = dict(frozen=True, cache=True, **STILL)
    model = build(masked(), language_encoder=encoder).train()
    seed_generators(0, 0, 0, 0)
    first = model.loss(images, samples)
    kept = dict(model.language_encoder._cache)
    assert len(kept) == 3
    seed_generators(0, 0, 0, 0)
    again = model.loss(images, samples)
    assert model.language_encoder._cache == kept
    # What was kept is of the sentences as they are.
    model.language_encoder.forget_features()
    plain = model.language_encoder([samples[0].text])
    torch.testing.assert_close(
        kept[next(iter(kept))][0], plain.words[0])
    assert first['masked.loss_ce'] == again['masked.loss_ce']


@MODELS.register_module('StandInWordVectors')
class WordVectors(nn.Module):
    """An encoder of one's own, word by word, as in docs/own_parts.md."""

    def __init__(self, with_replacement=True):
        super().__init__()
        words = 'the red circle small blue square star left'.split()
        self.numbers = {word: i for i, word in enumerate(words, 2)}
        self.out_channels, self.max_tokens = 16, 16
        self.vectors = nn.Embedding(len(words) + 2, 16)
        self.seen = []
        if with_replacement:
            self.replacement_ids = ReplacementIds(
                1, list(self.numbers.values()), frozenset((0, 1)))

    def forward(self, texts, *, replace=None):
        rows = [[self.numbers.get(x, 0) for x in text.split()]
                for text in texts]
        if replace is not None:
            rows = [replace(row) for row in rows]
        self.seen.append(rows)
        ids = pad_sequence([torch.tensor(x) for x in rows], True, -1)
        words = self.vectors(ids.clamp(min=0)) * (ids >= 0)[..., None]
        return LanguageFeatures(words=words, mask=ids >= 0)


def _own(**arguments):
    return dict(_delete_=True, type='StandInWordVectors', **arguments)


def test_an_encoder_of_ones_own(build, batch):
    model = build(
        masked(token_ratio=1., token_shares=(1., 0., 0.)),
        language_encoder=_own()).train()
    value(model.loss(*batch)).backward()
    plain, replaced = model.language_encoder.seen
    assert replaced == [[1 if x > 1 else x for x in row] for row in plain]


def test_an_encoder_that_cannot_replace_is_refused(build, batch):
    own = _own(with_replacement=False)
    with pytest.raises(ValueError, match='WordVectors cannot replace'):
        build(masked(), language_encoder=own)
    build(masked(token_ratio=0.), language_encoder=own).train().loss(*batch)


def test_a_vocabulary_without_mask_token():
    ids = ReplacementIds(None, [5, 6], frozenset((0, 1)))
    with pytest.raises(ValueError, match=r'token_shares=\(0\., 0\.9, 0\.1\)'):
        TokenReplacement(ids, ratio=0.1)
    replace = TokenReplacement(ids, ratio=1., shares=(0., 1., 0.))
    assert set(replace([0, 5, 5, 5, 1])) <= {0, 1, 5, 6}
    with pytest.raises(ValueError, match='no token but special ones'):
        TokenReplacement(ReplacementIds(1, [], frozenset()), ratio=0.1)


def test_kept_maps_are_refused(build):
    backbone = dict(
        _delete_=True,
        type='LateFusionBackbone',
        backbone=dict(type='mmseg.ResNet', depth=18),
        in_channels=[64, 128, 256, 512],
        fusion=dict(type='BSAM'),
        query_channels=16,
        frozen=True,
        cache=True)
    parts = dict(
        backbone=backbone, neck=dict(in_channels=[64, 128, 256, 512]))
    with pytest.raises(ValueError, match='keeps the maps of every image'):
        build(masked(), **parts)
    build(masked(image_ratio=0.), **parts)


@pytest.mark.parametrize('wrong, message', [
    (dict(image_ratio=1.2), 'image_ratio=1.2'),
    (dict(token_ratio=-.1), 'token_ratio=-0.1'),
    (dict(patch_size=0), 'patch_size=0'),
    (dict(token_shares=(0.8, 0.1)), 'three shares'),
    (dict(token_shares=(0.8, 0.1, 0.2)), 'sum to 1'),
    (dict(class_weight=(1., 0.)), 'class_weight'),
    (dict(loss_weights=(1., )), 'two positive numbers'),
])
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        MaskedTraining(**wrong)
