# Licensed under the Apache License, Version 2.0.
"""No-target sentences: the rules of gRefCOCO and of R-RIS against
slow transcriptions, pixel by pixel and in exact fractions."""

import csv
from fractions import Fraction

import numpy as np
import pytest

F = Fraction


def pixels(mask):
    return {(y, x)
            for y, row in enumerate(np.asarray(mask).tolist())
            for x, value in enumerate(row) if value}


def mean(values):
    return 100 * float(sum(values) / F(len(values)))


def slow_rela(cases):
    """gRefCOCO's rules, as they are written."""
    ious, sum_i, sum_u = [], 0, 0
    tp = fn = tn = fp = 0
    for pred, gt, flag, _ in cases:
        pred, gt = pixels(pred), pixels(gt)
        rejected = not pred if flag is None else flag
        if not gt:
            if rejected:  # IoU 1, the sums are unchanged
                tp += 1
                ious.append(F(1))
            else:  # IoU 0, the predicted area added to the unions
                fn += 1
                ious.append(F(0))
                sum_u += len(pred)
        elif rejected:  # intersection 0, union kept
            fp += 1
            ious.append(F(0))
            sum_u += len(pred | gt)
        else:
            tn += 1
            ious.append(F(len(pred & gt), len(pred | gt)))
            sum_i += len(pred & gt)
            sum_u += len(pred | gt)
    out = dict(gIoU=mean(ious), cIoU=100 * float(F(sum_i, sum_u or 1)))
    if tp + fn:
        out['N-acc'] = 100 * float(F(tp, tp + fn))
    if tn + fp:
        out['T-acc'] = 100 * float(F(tn, tn + fp))
    return out


def slow_rris(cases):
    """R-RIS' rules, ref by ref."""
    robust, riou, miou = [], [], []
    for ref in sorted({case[3] for case in cases}):
        inter = union = false_area = 0
        ious, kept_empty = [], []
        for pred, gt, flag, its_ref in cases:
            if its_ref != ref:
                continue
            pred, gt = set() if flag else pixels(pred), pixels(gt)
            if gt:
                inter += len(pred & gt)
                union += len(pred | gt)
                ious.append(F(len(pred & gt), len(pred | gt)))
            else:
                kept_empty.append(F(not pred))
                false_area += len(pred)
        if ious:
            miou.append(sum(ious) / len(ious))
            riou.append(F(inter, union + false_area))
        if kept_empty:
            robust.append(sum(kept_empty) / len(kept_empty))
    out = {}
    for key, values in (('mRR', robust), ('rIoU', riou), ('mIoU_ref', miou)):
        if values:
            out[key] = mean(values)
    return out


def slow_classic(cases):
    """oIoU, mIoU and P@X of the sentences that mean something."""
    ious, sum_i, sum_u = [], 0, 0
    for pred, gt, flag, _ in cases:
        pred, gt = set() if flag else pixels(pred), pixels(gt)
        if gt:
            sum_i += len(pred & gt)
            sum_u += len(pred | gt)
            ious.append(F(len(pred & gt), len(pred | gt)))
    if not ious:
        return {}
    out = dict(oIoU=100 * float(F(sum_i, sum_u)), mIoU=mean(ious))
    for tenths in (7, 8, 9):
        out[f'P0.{tenths}'] = mean([F(x >= F(tenths, 10)) for x in ious])
    return out


def masks():
    """Empty, full, one pixel, and masks whose IoUs are ties."""
    empty, full, one, other = np.zeros((4, 6, 10), int)
    full[:] = 1
    one[5, 9] = other[0, 0] = 1
    rows = [full.copy() for _ in range(4)]
    for k, row in enumerate(rows):
        row.flat[60 - 6 * (k + 1):] = 0  # 0.9, 0.8, 0.7, 0.6 of all
    return [empty, full, one, other, *rows]


def adversarial():
    """All pairs of masks with all that a model may say, over seven refs."""
    found = []
    for pred in masks():
        for gt in masks():
            for flag in (None, True, False):
                found.append((pred, gt, flag, len(found) % 7))
    return found


def random_cases(seed, number=40):
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(number):
        shape = rng.integers(1, 9, 2)
        shares = rng.random(2) * (rng.random(2) > 0.4)
        pred, gt = (rng.random((2, *shape)) < shares[:, None, None])
        flag = (None, None, True, False)[rng.integers(4)]
        out.append((pred.astype(int), gt.astype(int), flag,
                    int(rng.integers(9))))
    return out


def only(cases, something):
    return [case for case in cases if case[1].any() == something]


CASES = {
    'adversarial': adversarial(),
    **{f'random {seed}': random_cases(seed) for seed in range(5)},
    'all mean something': only(adversarial(), True),
    'all no-target': only(adversarial(), False),
}


@pytest.mark.parametrize('cases', CASES.values(), ids=CASES)
def test_equals_slow_reference(cases, make_sample, evaluate):
    samples = []
    for number, (pred, gt, flag, ref) in enumerate(cases):
        # some models have no such output, and data need not be labelled
        meta = {} if flag is None else dict(pred_no_target=flag)
        if number % 3:
            meta['no_target'] = not gt.any()
        samples.append(make_sample(pred, gt, ref_id=ref, **meta))
    metrics = evaluate(
        samples, no_target=('rela', 'rris'), thresholds=(0.7, 0.8, 0.9))
    # where a model says "something" with an empty mask, R-RIS sees the mask
    expected = {
        **slow_classic(cases),
        **slow_rela(cases),
        **slow_rris(cases)
    }
    assert set(metrics) == set(expected)
    for key, value in expected.items():
        assert metrics[key] == pytest.approx(value, rel=1e-14, abs=0), key


def test_conventions_choose_the_rules(make_sample, evaluate):
    samples = [
        make_sample([[1]], [[1]], ori_shape=(1, 1), img_shape=(1, 1)),
        make_sample([[1]], [[0]], ori_shape=(1, 1), img_shape=(1, 1))
    ]
    assert evaluate(
        samples, convention='rela') == {
            'oIoU': 100.,
            'mIoU': 100.,
            'P0.7': 100.,
            'P0.8': 100.,
            'P0.9': 100.,
            'gIoU': 50.,
            'cIoU': 50.,
            'N-acc': 0.,
            'T-acc': 100.
        }
    got = evaluate(samples, convention='refsegformer')
    assert (got['mRR'], got['rIoU'], got['mIoU_ref']) == (0., 50., 100.)


def test_breakdown_of_no_target_sentences(make_sample, evaluate):
    """A part has the scores that it can have, and no others."""
    samples = [
        make_sample([[1]], [[1]], kind='place'),
        make_sample([[0]], [[0]], kind='absent'),
    ]
    metrics = evaluate(samples, no_target='rela', breakdown=('kind', 'size'))
    assert metrics['kind/absent/N-acc'] == metrics['kind/place/T-acc'] == 100.
    assert metrics['kind/absent/gIoU'] == 100.
    assert 'kind/absent/oIoU' not in metrics
    assert 'kind/place/N-acc' not in metrics
    assert 'size/none/N-acc' in metrics and 'size/20-up/oIoU' in metrics


def test_a_mask_that_the_model_emptied(make_sample, evaluate):
    """ReLA keeps the union of the mask that its head has drawn; for all
    other scores the mask is empty."""
    gt = [[1, 1, 0, 0]]
    drawn = np.array([[[0, 0, 0, 0]], [[-1, 1, 1, 1]]])
    sample = make_sample([[0, 0, 0, 0]], gt, logits=drawn,
                         pred_no_target=True)
    full = make_sample([[1, 1, 0, 0]], gt, logits=drawn, pred_no_target=False)
    got = evaluate([sample, full], no_target=('rela', 'rris'))
    assert got['cIoU'] == 100 * (2 / 6) and got['oIoU'] == 50.
    assert got['rIoU'] == 50. and got['T-acc'] == 50.


def test_refs_of_other_images_are_other_refs(make_sample, evaluate):
    """Sets that are tested together may count their refs alike."""
    samples = [
        make_sample([[1]], [[1]], image_id=1, ref_id=5),
        make_sample([[0]], [[1]], image_id=2, ref_id=5),
        make_sample([[0]], [[1]], image_id=2, ref_id=5),
    ]
    got = evaluate(samples, no_target='rris')
    assert got['mIoU_ref'] == 50. and got['mIoU'] == pytest.approx(100 / 3)


def test_no_target_of_the_metainfo(make_sample, evaluate):
    no_target = [
        make_sample([[0]], [[0]], no_target=True),
        make_sample([[0]], [[0]], no_target=None),
        make_sample([[0]], [[0]]),
    ]
    assert evaluate(no_target, no_target='rela')['N-acc'] == 100.
    with pytest.raises(ValueError, match='marked as no-target, but its true'):
        evaluate([make_sample([[0]], [[1]], no_target=True)])
    metrics = evaluate([make_sample([[1]], [[1]], no_target=False)],
                       no_target='rela')
    assert metrics['T-acc'] == 100. and 'N-acc' not in metrics
    # The key of R-RefCOCO's files is not read here.
    metrics = evaluate([make_sample([[1]], [[1]], exist=False)],
                       no_target='rela')
    assert metrics['T-acc'] == 100.


def test_a_small_object_does_not_become_no_target(make_sample, evaluate):
    """At the input size its mask vanishes, yet there is a target."""
    gt = np.zeros((40, 40), int)
    gt[0, 0] = 1
    sample = make_sample(
        np.zeros((4, 4)), gt, ori_shape=(40, 40), img_shape=(4, 4))
    # its mask was scaled with the image, but the annotations know of it
    scaled = make_sample(
        np.zeros((4, 4)), np.zeros((4, 4)), no_target=False,
        ori_shape=(40, 40), img_shape=(4, 4))
    for known in (sample, scaled):
        metrics = evaluate([known], convention='rela')
        assert metrics['T-acc'] == metrics['gIoU'] == 0.
        assert 'N-acc' not in metrics


def test_without_rules_they_count_like_others_with_a_warning(
        make_sample, evaluate, monkeypatch):
    logged = []
    monkeypatch.setattr('mmrefseg.evaluation.report.print_log',
                        lambda text, **kwargs: logged.append(text))
    samples = [make_sample([[1]], [[1]]), make_sample([[0]], [[0]])]
    metrics = evaluate(samples)
    assert metrics['oIoU'] == 100. and metrics['mIoU'] == 50.
    assert '1 of 2 sentences have no target' in logged[0]
    assert "'rela'" in logged[0]
    logged.clear()
    evaluate(samples, no_target='rela')
    assert not logged


def test_rris_needs_refs(make_sample, evaluate):
    sample = make_sample([[1]], [[1]])
    del sample.ref_id
    with pytest.raises(KeyError, match='no ref_id: add it to meta_keys'):
        evaluate([sample], no_target='rris')


def test_columns_of_the_output_file(make_sample, evaluate, tmp_path):
    path = tmp_path / 'sentences.csv'
    samples = [
        make_sample([[1, 1]], [[0, 1]], sent_id=1),
        make_sample([[1, 0]], [[0, 0]], sent_id=2, pred_no_target=True),
        make_sample([[1, 0]], [[0, 1]], sent_id=3, pred_no_target=True),
    ]
    evaluate(samples, no_target='rela', output_file=str(path))
    lines = [x.split(',')[4:] for x in path.read_text().splitlines()]
    assert lines == [
        'intersection union rela_union iou true_area no_target '
        'pred_no_target'.split(), '1 2 2 0.500000 1 0 0'.split(),
        '0 0 0 1.000000 0 1 1'.split(), '0 1 2 0.000000 1 0 1'.split()
    ]


def test_the_areas_of_the_file_give_the_scores(make_sample, evaluate,
                                               tmp_path):
    path = tmp_path / 'sentences.csv'
    rng = np.random.default_rng(0)
    samples = []
    for i in range(40):
        true = rng.random((4, 4)) < 0.5 * (i % 3 > 0)
        samples.append(
            make_sample(
                rng.random((4, 4)) < rng.choice([0, 0.4]),
                true,
                sent_id=i,
                pred_no_target=bool(rng.random() < 0.4)))
    metrics = evaluate(samples, no_target='rela', output_file=str(path))
    with open(path, newline='') as file:
        rows = [{k: v if k == 'text' else float(v or 0)
                 for k, v in row.items()} for row in csv.DictReader(file)]
    scored = [x for x in rows if not x['no_target']]
    for key, union, among in (('oIoU', 'union', scored),
                              ('cIoU', 'rela_union', rows)):
        whole = sum(x['intersection'] for x in among) / sum(
            x[union] for x in among)
        assert metrics[key] == pytest.approx(100 * whole)
    assert sum(x['union'] for x in rows) != sum(x['rela_union'] for x in rows)


class TestPartsThatSplitRefs:
    """Means over refs are not given of parts of refs."""

    def scores(self, make_sample, evaluate, **fields):
        samples = [
            make_sample(
                [[1, 0]], [[int(i % 2 == 0), 0]],
                ref_id=i // 2,
                sent_id=i,
                **{key: values[i] for key, values in fields.items()})
            for i in range(4)
        ]
        return evaluate(
            samples, no_target='rris', breakdown=tuple(fields))

    def test_split(self, make_sample, evaluate):
        got = self.scores(make_sample, evaluate, kind='abab')
        assert got['rIoU'] == 50. and got['kind/a/oIoU'] == 100.
        assert not [x for x in got if x.startswith('kind') and 'rIoU' in x]
        assert 'kind/b/mRR' not in got and 'kind/a/mIoU_ref' not in got

    def test_whole(self, make_sample, evaluate):
        got = self.scores(make_sample, evaluate, split='aabb')
        assert got['split/a/rIoU'] == got['split/b/rIoU'] == 50.
        assert got['split/a/mRR'] == 0.
