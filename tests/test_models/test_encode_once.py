# Licensed under the Apache License, Version 2.0.
"""Images encoded once and asked several times; each part runs once a call."""

import copy

import pytest
import torch

from mmrefseg.models import BSAM
from mmrefseg.structures import Pairs, PredictOptions

RESNET = dict(
    type='ResNet',
    depth=18,
    base_channels=4,
    stem_channels=4,
    norm_cfg=dict(type='BN'))
WIDTHS = [4, 8, 16, 32]
CHANGES = {
    'early': {},
    'late': dict(
        backbone=dict(
            _delete_=True,
            type='LateFusionBackbone',
            backbone=RESNET,
            in_channels=WIDTHS,
            fusion=dict(type='BSAM'),
            query_channels=16),
        neck=dict(in_channels=WIDTHS)),
    'none': dict(
        backbone=dict(RESNET, _delete_=True),
        neck=dict(in_channels=WIDTHS, out_indices=(0, )),
        decode_head=dict(
            _delete_=True, type='CoordMaskHead', in_channels=16, channels=8)),
}
EVERYTHING = PredictOptions(return_prior=True, return_attention=True)


def _close(got, expected):
    for name in ('seg_logits', 'mask_prior', 'word_attention'):
        assert (name in got) == (name in expected)
        if name in got:
            torch.testing.assert_close(
                got.get(name).data, expected.get(name).data, atol=1e-5,
                rtol=0)


@pytest.mark.parametrize('name', CHANGES)
def test_segment_equals_predict(name, tiny_segmentor, make_batch):
    """Two images, of which the second is asked three times, in two calls."""
    model = tiny_segmentor(**CHANGES[name]).eval()
    rows = [1, 0, 1, 1]
    batch = make_batch([(64, 96)] * 4, ori_shapes=[(40, 50 + r) for r in rows])
    batch['inputs'] = [batch['inputs'][row] for row in rows]
    samples = [x.clone() for x in batch['data_samples']]
    data = model.data_preprocessor(batch)
    with torch.no_grad():
        expected = model.predict(**data, options=EVERYTHING)
        image = model.encode_images(data['inputs'][[1, 0]])
        assert image.size == (64, 96)
        for part in ([0, 1], [2, 3]):
            found = model.segment(
                image, [samples[i] for i in part],
                Pairs(image=torch.tensor([rows[i] for i in part])),
                EVERYTHING)
            for i, sample in zip(part, found):
                _close(sample, expected[i])


@pytest.mark.parametrize('name', CHANGES)
def test_many_views_of_one_sentence(name, tiny_segmentor, make_batch):
    model = tiny_segmentor(**CHANGES[name]).eval()
    inputs = model.data_preprocessor(make_batch([(64, 64)] * 3))['inputs']
    with torch.no_grad():
        together = model.extract_feat(
            inputs, ['the star'], Pairs(sentence=torch.zeros(3).long()))
        alone = model.extract_feat(inputs, ['the star'] * 3)
    for got, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert len(together.language.words) == 3


def test_each_part_runs_once(tiny_segmentor, make_batch, monkeypatch):
    """Head, prior and similarity, with everything asked for at once."""
    model = tiny_segmentor(
        decode_head=dict(existence=dict(channels=8)),
        test_cfg=dict(return_prior=True, return_attention=True)).eval()
    calls = dict(prior=0, similarity=0, head=0)
    model.decode_head.prior_generator.register_forward_hook(
        lambda *_: calls.update(prior=calls['prior'] + 1))
    model.decode_head.coord_conv.register_forward_hook(
        lambda *_: calls.update(head=calls['head'] + 1))
    similarity = BSAM._similarity

    def counted(*args):
        calls['similarity'] += 1
        return similarity(*args)

    monkeypatch.setattr(BSAM, '_similarity', counted)
    with torch.no_grad():
        samples = model.test_step(make_batch([(64, 64)] * 2))
    assert 'mask_prior' in samples[0] and 'word_attention' in samples[0]
    assert 'existence_score' in samples[0].metainfo
    assert calls == dict(prior=1, similarity=4, head=1)


def test_options_travel_with_the_call(tiny_segmentor, make_batch):
    model = tiny_segmentor().eval()
    before = copy.deepcopy(model.test_cfg)
    data = model.data_preprocessor(
        make_batch([(64, 64)] * 2, ori_shapes=[(30, 40)] * 2))
    with torch.no_grad():
        plain = model.predict(
            data['inputs'], [x.clone() for x in data['data_samples']])
        samples = model.predict(
            **data,
            options=PredictOptions(
                output_size='input', return_prior=True, threshold=0.9))
    assert model.test_cfg == before
    assert tuple(plain[0].pred_sem_seg.data.shape) == (1, 30, 40)
    assert 'mask_prior' not in plain[0]
    for sample in samples:
        assert tuple(sample.mask_prior.data.shape) == (1, 64, 64)
        probability = sample.seg_logits.data.softmax(dim=0)[1]
        assert torch.equal(sample.pred_sem_seg.data[0] == 1, probability > 0.9)
