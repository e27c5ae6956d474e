# Licensed under the Apache License, Version 2.0.
"""The pointing game against a slow reference, and its edges."""

import csv

import numpy as np
import pytest
import torch

from mmrefseg.evaluation.pointing import points_at_target


def reference(logits, gt):
    """Pixel by pixel, by probabilities in double precision."""
    best, hit = None, False
    for y in range(gt.shape[0]):
        for x in range(gt.shape[1]):
            values = [float(channel[y][x]) for channel in logits]
            if len(values) == 1:
                values = [0., *values]
            # the odds, which order pixels as the probabilities do
            odds = values[1] - values[0]
            if best is None or odds > best:
                best, hit = odds, bool(gt[y, x])
    return hit


def samples_of(make_sample, number, channels, seed, size=(6, 7)):
    rng = np.random.default_rng(seed)
    made, expected = [], []
    for _ in range(number):
        logits = rng.normal(size=(channels, *size)).astype(np.float32)
        gt = rng.random(size) < 0.3
        gt.flat[rng.integers(gt.size)] = True
        made.append(make_sample(logits[-1] > 0, gt, logits))
        expected.append(reference(logits, gt))
    return made, expected


@pytest.mark.parametrize('channels', [1, 2])
def test_equals_slow_reference(channels, make_sample, evaluate):
    made, expected = samples_of(make_sample, 60, channels, channels)
    scores = evaluate(made, pointing=True)
    assert 0 < sum(expected) < 60
    assert scores['pointing'] == pytest.approx(100 * sum(expected) / 60)
    without = evaluate(made)
    assert 'pointing' not in without
    assert {**without, 'pointing': scores['pointing']} == scores


def test_saturated_probabilities_are_told_apart(make_sample, evaluate):
    """In single precision, the softmax of both pixels is 1."""
    logits = np.zeros((2, 1, 2), np.float32)
    logits[1] = [[30, 31]]
    soft = torch.softmax(torch.from_numpy(logits), 0)[1]
    assert soft[0, 0] == soft[0, 1] == 1
    sample = make_sample([[1, 1]], [[0, 1]], logits)
    assert evaluate([sample], pointing=True)['pointing'] == 100


def test_of_equal_maxima_the_first_counts(make_sample, evaluate):
    logits = np.zeros((1, 3, 3), np.float32)
    logits[0, 0, 2] = logits[0, 1, 0] = 4
    for place, hit in (((0, 2), 100), ((1, 0), 0)):
        gt = np.zeros((3, 3), int)
        gt[place] = 1
        sample = make_sample(gt, gt, logits)
        assert evaluate([sample], pointing=True)['pointing'] == hit
    # A map that is the same everywhere points at the upper left corner.
    gt = np.zeros((3, 3), int)
    gt[0, 0] = 1
    sample = make_sample(gt, gt, np.zeros((2, 3, 3)))
    assert evaluate([sample], pointing=True)['pointing'] == 100


@pytest.mark.parametrize('rules', [None, 'rela'])
def test_no_target_sentences_do_not_count(rules, make_sample, evaluate):
    logits = np.zeros((1, 2, 2), np.float32)
    logits[0, 1, 1] = -1e-3
    empty, gt = np.zeros((2, 2), int), np.array([[1, 0], [0, 0]])
    nothing = make_sample(empty, empty, logits, no_target=True)
    without = make_sample(empty, empty, logits)  # an empty mask says it too
    hit = make_sample(empty, gt, logits)  # though no pixel is predicted
    rejected = make_sample(empty, gt, logits, pred_no_target=True)
    scores = evaluate([nothing, without, hit], pointing=True, no_target=rules)
    assert scores['pointing'] == 100
    scores = evaluate([nothing, hit, rejected], pointing=True, no_target=rules)
    assert scores['pointing'] == 50
    scores = evaluate([nothing, without], pointing=True, no_target=rules)
    assert 'pointing' not in scores


def test_at_the_input_size(make_sample, evaluate):
    """The true mask is scaled to the logits."""
    logits = np.zeros((2, 2, 2), np.float32)
    logits[1, 1, 0] = 1
    gt = np.zeros((4, 6), int)
    gt[2:, :3] = 1
    sample = make_sample(
        logits[1] > 0, gt, logits, img_shape=(2, 2), ori_shape=(4, 6))
    scores = evaluate([sample], pointing=True, eval_size='input')
    assert scores['pointing'] == 100
    # A small object may vanish there; then it cannot be hit.
    gt = np.zeros((4, 6), int)
    gt[3, 0] = 1
    sample = make_sample(
        logits[1] > 0, gt, logits, img_shape=(2, 2), ori_shape=(4, 6))
    scores = evaluate([sample], pointing=True, eval_size='input')
    assert scores['pointing'] == 0


def test_breakdown_table_and_file(make_sample, evaluate, tmp_path):
    made, expected = samples_of(make_sample, 10, 2, 9)
    for index, sample in enumerate(made):
        sample.set_metainfo(dict(kind='ab'[index % 2]))
    path = tmp_path / 'x.csv'
    scores = evaluate(
        made, pointing=True, breakdown=('kind', ), output_file=str(path))
    for part, own in (('a', expected[::2]), ('b', expected[1::2])):
        assert scores[f'kind/{part}/pointing'] == pytest.approx(20 * sum(own))
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row['pointed'] for row in rows] == [str(int(x)) for x in expected]


def test_without_logits(make_sample, evaluate):
    with pytest.raises(KeyError, match='pointing=True asks for'):
        evaluate([make_sample([[1]], [[1]])], pointing=True)


def test_half_precision(make_sample):
    """Differences are taken in double precision."""
    logits = torch.tensor([[[2000., 2001.]], [[2002., 2002.]]]).half()
    true = torch.tensor([[True, False]])
    assert points_at_target(dict(seg_logits=dict(data=logits)), true)
