# Licensed under the Apache License, Version 2.0.
"""Heads of one channel and of two, boxes, and stock heads that give logits
alone."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmrefseg.models import LQPGHead
from mmrefseg.models.segmentors.results import write_results
from mmrefseg.structures import (MultimodalFeatures, Prediction,
                                 PredictOptions, referent_probability)

BCE = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=False)
HEADS = {
    'lqpg': dict(out_channels=1, loss_decode=BCE),
    'coord': dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=16,
        channels=8,
        out_channels=1,
        loss_decode=BCE),
    'stock': dict(
        _delete_=True,
        type='FCNHead',
        in_channels=16,
        channels=8,
        in_index=0,
        num_convs=1,
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        concat_input=False,
        loss_decode=BCE),
}


@pytest.mark.parametrize('name', HEADS)
def test_one_channel_learns_and_predicts(name, tiny_segmentor, make_batch):
    changes = dict(decode_head=HEADS[name])
    if name != 'lqpg':
        changes['backbone'] = dict(query_stages=())
    if name == 'coord':
        changes['neck'] = dict(out_indices=(0, ))
    model = tiny_segmentor(randomise=False, **changes).train()
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-2))
    losses = [
        model.train_step(make_batch([(64, 64)] * 4), wrapper)['loss'].item()
        for _ in range(15)
    ]
    assert losses[-1] < 0.7 * losses[0]
    with torch.no_grad():
        samples = model.eval().test_step(
            make_batch([(64, 64)] * 2, ori_shapes=[(30, 40)] * 2))
    for sample in samples:
        logits, mask = sample.seg_logits.data, sample.pred_sem_seg.data
        assert tuple(logits.shape) == tuple(mask.shape) == (1, 30, 40)
        assert torch.equal(mask == 1, logits > 0)


def test_threshold_of_a_stock_head(tiny_segmentor, make_batch):
    model = tiny_segmentor(
        backbone=dict(query_stages=()),
        decode_head=dict(HEADS['stock'], threshold=0.8)).eval()
    with torch.no_grad():
        sample, = model.test_step(make_batch([(64, 64)]))
    assert torch.equal(sample.pred_sem_seg.data == 1,
                       sample.seg_logits.data.sigmoid() > 0.8)


def test_boxes_existence_and_threshold(make_batch):
    samples = make_batch([(8, 8)] * 2, ori_shapes=[(20, 40)] * 2)
    samples = samples['data_samples']
    prediction = Prediction(
        logits=torch.full((2, 1, 8, 8), 1.),
        existence=torch.tensor([0.6, 0.7]),
        boxes=torch.tensor([[0., 0.25, 0.5, 1.]] * 2),
        threshold=0.7,
        existence_threshold=0.65)
    write_results(prediction, samples, PredictOptions())
    assert [x.pred_no_target for x in samples] == [True, False]
    assert samples[0].pred_sem_seg.data.sum() == 0
    assert samples[1].pred_sem_seg.data.sum() == 800  # sigmoid(1) > 0.7
    assert samples[1].pred_box == [0., 5., 20., 20.]
    write_results(prediction, samples, PredictOptions(threshold=0.75))
    assert samples[1].pred_sem_seg.data.sum() == 0

@pytest.mark.parametrize('out_channels, losses', [
    (2, dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    (1, BCE),
])
def test_initial_share(out_channels, losses):
    """Mask and priors start with the share, nearly; its bounds are told."""
    settings = dict(
        in_channels=8, channels=8, num_layers=2, out_channels=out_channels,
        loss_decode=losses)
    torch.manual_seed(0)
    head = LQPGHead(**settings, initial_share=0.05).eval()
    head.init_weights()
    features = MultimodalFeatures(
        maps=tuple(torch.rand(1, 8, n, n) for n in (16, 8, 4, 2)),
        queries=torch.rand(1, 4, 8))
    logits, priors = head.forward_with_priors(features)
    share = referent_probability(logits).mean().item()
    assert share == pytest.approx(0.05, abs=0.005)
    for prior in priors:
        assert referent_probability(prior).mean().item() < 0.2
    with pytest.raises(ValueError, match='initial_share=5'):
        LQPGHead(**settings, initial_share=5)
