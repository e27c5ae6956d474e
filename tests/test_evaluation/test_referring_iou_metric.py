# Licensed under the Apache License, Version 2.0.
"""The metric against an independent, slow reference, and its edges."""

import csv
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.evaluation import ReferringIoUMetric
from mmrefseg.evaluation.conventions import Convention
from mmrefseg.evaluation.counts import Counts
from mmrefseg.evaluation.report import Row, format_table
from mmrefseg.evaluation.sample_masks import resize_nearest
from mmrefseg.evaluation.scores import score

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def make_sample(pred, gt, *, ori_shape=None, img_shape=None, **meta):
    """A data sample as it leaves the model, from two HxW arrays."""
    meta = dict(
        dict(text='left man', ref_id=1, sent_id=2, img_path='a.jpg'), **meta)
    if ori_shape is not None:
        meta['ori_shape'] = ori_shape
    if img_shape is not None:
        meta['img_shape'] = img_shape
    sample = SegDataSample(metainfo=meta)
    sample.pred_sem_seg = PixelData(data=torch.as_tensor(pred).long()[None])
    sample.gt_sem_seg = PixelData(data=torch.as_tensor(gt).long()[None])
    return sample


def run(samples, batch_size=1, **kwargs):
    """Evaluate through mmengine's Evaluator."""
    evaluator = Evaluator(ReferringIoUMetric(**kwargs))
    for start in range(0, len(samples), batch_size):
        evaluator.process(samples[start:start + batch_size])
    return evaluator.evaluate(len(samples))


def reference(pairs, strict=False):
    """Pure Python, pixel by pixel, in exact fractions."""
    sum_i = sum_u = 0
    ious = []
    for pred, gt in pairs:
        inter = union = 0
        for row_p, row_g in zip(np.asarray(pred).tolist(),
                                np.asarray(gt).tolist()):
            for p, g in zip(row_p, row_g):
                if p == 1 and g == 1:
                    inter += 1
                if p == 1 or g == 1:
                    union += 1
        sum_i += inter
        sum_u += union
        ious.append(Fraction(inter, union) if union else Fraction(0))
    out = {
        'oIoU': 100 * float(Fraction(sum_i, sum_u)) if sum_u else 0.,
        'mIoU': 100 * float(sum(ious) / len(ious))
    }
    for tenths in (5, 6, 7, 8, 9):
        if strict:
            hits = sum(iou > Fraction(tenths, 10) for iou in ious)
        else:
            hits = sum(iou >= Fraction(tenths, 10) for iou in ious)
        out[f'P0.{tenths}'] = 100 * hits / len(ious)
    return out


def tied_pair(inter, union):
    """Masks of given areas of intersection and union (union <= 100)."""
    pred = np.zeros(100, int)
    gt = np.zeros(100, int)
    gt[:union] = 1
    pred[:inter] = 1
    return pred.reshape(10, 10), gt.reshape(10, 10)


def adversarial_pairs():
    empty, full = np.zeros((6, 9), int), np.ones((6, 9), int)
    one, other = empty.copy(), empty.copy()
    one[5, 8] = other[0, 0] = 1
    pairs = [(empty, empty), (empty, full), (full, empty), (full, full),
             (one, one), (one, other), (one, full), (full, one)]
    pairs += [tied_pair(k * u // 10, u) for k in range(11)
              for u in (10, 20, 70, 100)]
    pairs += [tied_pair(k * 7 + d, 70) for k in range(5, 10) for d in (-1, 1)]
    return pairs


@pytest.mark.parametrize('compare', ['>=', '>'])
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_equals_slow_reference(seed, compare):
    rng = np.random.default_rng(seed)
    pairs = adversarial_pairs()
    for _ in range(30):
        shape = rng.integers(1, 12, 2)
        share = rng.random(2)
        pairs.append(tuple((rng.random(shape) < s).astype(int)
                           for s in share))
    order = rng.permutation(len(pairs))
    samples = [make_sample(*pairs[k]) for k in order]
    metrics = run(samples, precision_compare=compare)
    expected = reference(pairs, strict=compare == '>')
    assert set(metrics) == set(expected)
    for key, value in expected.items():
        assert metrics[key] == pytest.approx(value, rel=1e-14, abs=0)


def test_threshold_ties_follow_the_comparison():
    samples = [make_sample(*tied_pair(k, 10)) for k in range(5, 10)]
    at_least = run(samples, precision_compare='>=')
    above = run(samples, precision_compare='>')
    for index, threshold in enumerate(THRESHOLDS):
        assert at_least[f'P{threshold:g}'] == 20. * (5 - index)
        assert above[f'P{threshold:g}'] == 20. * (4 - index)


def test_sums_beyond_float32():
    """float32 cannot hold odd numbers above 2 ** 24."""
    metric = ReferringIoUMetric()
    areas = [(2**24 - 1, 2**24 + 1)] * 3 + [(2, 2)]
    metrics = metric.compute_metrics(
        [(Counts(i, u, u), (), ()) for i, u in areas])
    inter, union = 3 * (2**24 - 1) + 2, 3 * (2**24 + 1) + 2
    assert metrics['oIoU'] == 100 * (inter / union)
    assert int(np.float32(inter)) != inter


def test_large_masks_are_counted_exactly():
    gt = torch.ones(4097, 4097, dtype=torch.uint8)
    pred = gt.clone()
    pred[0, 0] = 0
    metric = ReferringIoUMetric()
    metric.process(None, [make_sample(pred, gt).to_dict()])
    assert metric.results[0][0][:3] == (4097**2 - 1, 4097**2, 4097**2)


def test_batch_size_and_order_do_not_matter():
    rng = np.random.default_rng(3)
    samples = [
        make_sample(*(rng.random((2, 7, 5)) < 0.6).astype(int))
        for _ in range(23)
    ]
    alone = run(samples)
    assert run(samples, batch_size=4) == alone
    assert run(samples[::-1], batch_size=5) == alone


def test_mean_does_not_depend_on_the_order():
    rng = np.random.default_rng(0)
    areas = [(k % 97, 97 + k % 89) for k in range(500)]
    means = {
        score([areas[k] for k in rng.permutation(500)], (), '>=')['mIoU']
        for _ in range(20)
    }
    assert len(means) == 1


def test_results_are_small_whatever_the_image_size():
    metric = ReferringIoUMetric(breakdown=('kind', 'length'))
    big = np.ones((300, 300), int)
    metric.process(None, [make_sample(big, big, kind='location').to_dict()])
    assert metric.results == [((90000, 90000, 90000, False, False, None, None),
                               ('location', '1-2'), ())]
    assert all(type(value) is int for value in metric.results[0][0][:3])


def test_breakdown_by_field_and_length():
    good, bad = tied_pair(9, 10), tied_pair(1, 10)
    texts = ['star', 'the red star', 'a b c d e f', 'left star']
    kinds = ['location', 'relation', 'relation', 'location']
    pairs = [good, good, bad, bad]
    samples = [
        make_sample(*pair, text=text, kind=kind)
        for pair, text, kind in zip(pairs, texts, kinds)
    ]
    metrics = run(samples, breakdown=('kind', 'length'))
    assert metrics['kind/location/oIoU'] == 50.
    assert metrics['kind/relation/P0.5'] == 50.
    assert metrics['length/1-2/mIoU'] == pytest.approx(50.)
    assert metrics['length/3-5/oIoU'] == 90.
    assert metrics['length/6-up/oIoU'] == 10.
    assert metrics['oIoU'] == 50.


def test_breakdown_by_a_field_that_no_sample_has(caplog):
    metrics = run([make_sample(*tied_pair(9, 10))], breakdown=('kind', ))
    assert not any('/' in key for key in metrics)


def test_breakdown_values_make_clean_keys():
    metrics = run([make_sample(*tied_pair(9, 10), kind='left/right of @')],
                  breakdown=('kind', ))
    assert 'kind/left_right_of_/oIoU' in metrics


def test_table_is_readable():
    table = format_table([
        Row('all', 3, {'oIoU': 12.345, 'mIoU': 1., 'P0.5': 100.}),
        Row('length: 6-up', 1, {'oIoU': 1., 'mIoU': 1., 'P0.5': 0.}),
        Row('size: 20-up', 1, {'gIoU': 7.}),
    ], Convention())
    assert 'P@0.5' in table and ('12.35' in table or '12.34' in table)
    assert 'length: 6+ ' in table and 'size: 20+ % ' in table
    assert 'size of the image' in table and ' - |' in table


def test_prefix_and_thresholds():
    metrics = run([make_sample(*tied_pair(9, 10))],
                  prefix='val',
                  thresholds=(0.25, 0.9))
    assert set(metrics) == {'val/oIoU', 'val/mIoU', 'val/P0.25', 'val/P0.9'}
    assert metrics['val/P0.9'] == 100.


# --- sizes and conventions


def checker(height, width, seed):
    return (np.random.default_rng(seed).random((height, width)) < 0.5
            ).astype(int)


def test_nearest_equals_pillow():
    from PIL import Image
    for (h, w), size in (((5, 7), (11, 3)), ((97, 64), (48, 48)),
                         ((480, 640), (480, 480)), ((427, 640), (448, 448)),
                         ((4, 4), (4, 4))):
        mask = checker(h, w, h * w).astype(np.uint8)
        ours = resize_nearest(torch.from_numpy(mask), size).numpy()
        theirs = np.asarray(
            Image.fromarray(mask).resize(size[::-1], Image.NEAREST))
        assert (ours == theirs).all()


def test_input_size_compares_there():
    gt = checker(20, 30, 0)
    pred = resize_nearest(torch.from_numpy(gt), (12, 12)).numpy()
    shapes = dict(ori_shape=(20, 30), img_shape=(12, 12))
    metrics = run([make_sample(pred, gt, **shapes)], eval_size='input')
    assert metrics['oIoU'] == 100.
    # a true mask that was resized with the image is taken as it is
    metrics = run([make_sample(pred, pred, **shapes)], eval_size='input')
    assert metrics['oIoU'] == 100.


@pytest.mark.parametrize('eval_size, pred_size, gt_size, message', [
    ('input', (20, 30), (20, 30), r"output_size='input'"),
    ('original', (12, 12), (20, 30), r"output_size='original'"),
    ('original', (12, 12), (12, 12), r"output_size='original'"),
    ('original', (20, 30), (12, 12), 'LoadRefMask comes after Resize'),
    ('input', (12, 12), (13, 13), 'differ in size'),
])
def test_sizes_that_do_not_fit(eval_size, pred_size, gt_size, message):
    sample = make_sample(
        np.ones(pred_size, int),
        np.ones(gt_size, int),
        ori_shape=(20, 30),
        img_shape=(12, 12))
    with pytest.raises(ValueError, match=message):
        run([sample], eval_size=eval_size)


def test_absent_masks_and_fields():
    sample = make_sample(*tied_pair(1, 2))
    del sample.gt_sem_seg
    with pytest.raises(KeyError, match='ref 1, sentence 2.*LoadRefMask'):
        run([sample])
    sample = make_sample(*tied_pair(1, 2))
    del sample.pred_sem_seg
    with pytest.raises(KeyError, match='did not predict'):
        run([sample])
    with pytest.raises(KeyError, match='img_shape.*meta_keys'):
        run([make_sample(*tied_pair(1, 2))], eval_size='input')


@pytest.mark.parametrize('label', [2, 255])
def test_other_labels_are_refused(label):
    pred, gt = tied_pair(1, 2)
    with pytest.raises(ValueError, match=f'0 to {label}; it must be 1'):
        run([make_sample(pred, gt * label)])


def test_empty_split_and_lost_results():
    with pytest.raises(ValueError, match='the split holds no sentence'):
        run([])
    evaluator = Evaluator(ReferringIoUMetric())
    evaluator.process([make_sample(*tied_pair(1, 2))])
    with pytest.raises(ValueError, match='1 results for 3 sentences'):
        evaluator.evaluate(3)


def test_output_file(tmp_path):
    path = tmp_path / 'deep' / 'per_sentence.csv'
    samples = [
        make_sample(*tied_pair(1, 3), sent_id=1, kind='location',
                    text='the "café", left'),
        make_sample(*tied_pair(0, 0), sent_id=2, kind='relation', text='x')
    ]
    run(samples, output_file=str(path), breakdown=('kind', ))
    with open(path, encoding='utf-8', newline='') as f:
        rows = list(csv.DictReader(f))
    assert [row['sent_id'] for row in rows] == ['1', '2']
    assert rows[0]['text'] == 'the "café", left'
    assert rows[0]['kind'] == 'location'
    assert (rows[0]['intersection'], rows[0]['union']) == ('1', '3')
    assert math.isclose(float(rows[0]['iou']), 1 / 3, abs_tol=1e-6)
    assert float(rows[1]['iou']) == 0
    assert [p.name for p in path.parent.iterdir()] == ['per_sentence.csv']


def test_found_through_the_registry():
    from mmrefseg.registry import METRICS
    metric = METRICS.build(dict(type='ReferringIoUMetric', convention='lavt'))
    assert metric.convention.eval_size == 'input'


def test_three_transfers_from_the_device_a_sentence(make_sample, monkeypatch):
    """Each waits for the GPU: the labels of two masks, and the areas."""
    calls = []
    for name in ('tolist', 'item', '__bool__', '__int__'):
        real = getattr(torch.Tensor, name)

        def call(tensor, real=real, name=name):
            calls.append(name)
            return real(tensor)

        monkeypatch.setattr(torch.Tensor, name, call)
    sample = make_sample([[1, 0]], [[1, 1]]).to_dict()
    ReferringIoUMetric().process(None, [sample])
    assert calls == ['tolist'] * 3
