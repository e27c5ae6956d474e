# Licensed under the Apache License, Version 2.0.
"""Losses from parts of their own, and necks that speak of words."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper
from torch import nn

from mmrefseg.models.language_channels import with_language_channels
from mmrefseg.registry import MODELS


@pytest.fixture(autouse=True, scope='module')
def parts():
    """Registers the parts of this file, and takes them away again."""

    class AlignmentLoss(BaseModule):
        """Text to image: the sentence is near the pixels of its mask."""

        def __init__(self, *, channels, language_channels, loss_weight=0.1):
            super().__init__()
            self.text = nn.Linear(language_channels, channels)
            self.loss_weight = loss_weight

        def forward(self, features, data_samples):
            sentence = self.text(features.language.sentence)
            similarity = torch.einsum('bchw,bc->bhw', features[0], sentence)
            masks = torch.stack([x.gt_sem_seg.data for x in data_samples])
            masks = F.adaptive_avg_pool2d(masks.to(similarity.dtype),
                                          similarity.shape[1:])[:, 0]
            raw = F.binary_cross_entropy_with_logits(similarity, masks)
            return dict(
                loss_alignment=self.loss_weight * raw,
                alignment_bce=raw.detach())

    class AuxiliaryMask(BaseModule):
        """A mask from one map before fusion."""
        needs_visual = True

        def __init__(self, *, channels, stage):
            super().__init__()
            self.stage = stage
            self.conv = nn.Conv2d(channels, 2, 1)

        def forward(self, features, data_samples):
            logits = self.conv(features.visual[self.stage])
            masks = torch.stack([x.gt_sem_seg.data for x in data_samples])
            logits = F.interpolate(logits, size=masks.shape[2:])
            return dict(loss_mask=F.cross_entropy(logits, masks[:, 0]))

    class WordNeck(BaseModule):
        """Replaces the sentences, as a neck that updates words does."""

        def forward(self, features):
            language = features.language
            language = replace(
                language,
                words=language.words * 0 + 1,
                sentence=language.sentence * 0 + 7)
            attention = [x.flip(1) for x in features.attention or ()]
            return replace(
                features, language=language,
                attention=tuple(attention) or None)

    made = (AlignmentLoss, AuxiliaryMask, WordNeck)
    for part in made:
        MODELS.register_module(module=part)
    yield
    for part in made:
        MODELS.module_dict.pop(part.__name__)


LOSSES = [
    dict(type='AlignmentLoss', channels=16),
    dict(type='AuxiliaryMask', channels=32, stage=2)
]


def test_losses_of_two_parts(tiny_segmentor, make_batch):
    model = tiny_segmentor(auxiliary_losses=LOSSES)
    before = {k: v.clone() for k, v in model.auxiliary_losses.state_dict().
              items()}
    log = model.train().train_step(
        make_batch([(64, 64)] * 2),
        OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01)))
    assert {x for x in log if x.startswith('auxiliary')} == {
        'auxiliary_0.loss_alignment', 'auxiliary_0.alignment_bce',
        'auxiliary_1.loss_mask'
    }
    assert log['loss'].item() == pytest.approx(
        sum(v.item() for k, v in log.items() if 'loss_' in k), rel=1e-5)
    for name, value in model.auxiliary_losses.state_dict().items():
        assert not torch.equal(value, before[name]), name


def test_they_are_trained_and_play_no_part_in_prediction(
        tiny_segmentor, make_batch):
    """The parameters of all other parts come first, as without them."""
    plain = tiny_segmentor().eval()
    model = tiny_segmentor(auxiliary_losses=LOSSES).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    batch = make_batch([(64, 64)] * 2)
    with torch.no_grad():
        expected = plain.test_step(batch)[0].seg_logits.data.clone()
        found = model.test_step(batch)[0].seg_logits.data
    assert torch.equal(found, expected)


def test_maps_before_fusion_only_when_asked(tiny_segmentor, make_batch):
    model = tiny_segmentor().eval()
    data = model.data_preprocessor(make_batch([(64, 64)] * 2))
    texts = ['the star', 'red circle']
    with torch.no_grad():
        plain = model.extract_feat(data['inputs'], texts)
        asked = model.extract_feat(data['inputs'], texts, keep_visual=True)
    assert plain.visual is None and plain.attention is None
    assert [tuple(x.shape) for x in asked.visual] == [
        (2, 8, 16, 16), (2, 16, 8, 8), (2, 32, 4, 4), (2, 64, 2, 2)
    ]
    for got, expected in zip(asked, plain, strict=True):
        assert torch.equal(got, expected)


def test_what_a_neck_says_of_words_holds(tiny_segmentor, make_batch):
    """Existence and attention take the neck's."""
    parts = dict(
        backbone=dict(query_stages=()),
        decode_head=dict(
            _delete_=True,
            type='CoordMaskHead',
            in_channels=8,
            channels=8,
            existence=dict(channels=8, language_channels='auto')),
        test_cfg=dict(return_attention=True))
    batch = make_batch([(64, 64)] * 2)
    plain = tiny_segmentor(neck=None, **parts).eval()
    model = tiny_segmentor(
        neck=dict(_delete_=True, type='WordNeck'), **parts).eval()
    model.load_state_dict(plain.state_dict())
    sentences = []
    model.decode_head.existence.layers.register_forward_pre_hook(
        lambda _, args: sentences.append(args[0][:, -16:]))
    with torch.no_grad():
        expected = plain.test_step(batch)
        attention = [x.word_attention.data.clone() for x in expected]
        found = model.test_step(batch)
    assert torch.equal(sentences[0], torch.full((2, 16), 7.))
    for sample, before in zip(found, attention):
        assert not torch.equal(sample.word_attention.data, before)


def test_width_of_the_words():
    config = dict(
        backbone=dict(type='LanguageSwinTransformer'),
        neck=dict(type='ReferringPixelDecoder'),
        decode_head=dict(existence=dict(language_channels='auto')),
        auxiliary_losses=[
            dict(type='AlignmentLoss'),
            dict(type='AlignmentLoss', language_channels=3)
        ])
    wide = with_language_channels(config, 9)
    assert wide['backbone']['language_channels'] == 9
    assert 'language_channels' not in wide['neck']
    assert wide['decode_head']['existence']['language_channels'] == 9
    assert [x['language_channels'] for x in wide['auxiliary_losses']] == [9, 3]
    assert 'language_channels' not in config['backbone']
