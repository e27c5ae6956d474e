# Licensed under the Apache License, Version 2.0.
"""Thresholds are met or not as on paper, whatever floats make of them."""

from fractions import Fraction

import numpy as np
import pytest

from mmrefseg.evaluation.scores import exceeds_threshold, score


def sums(step, stop):
    """Thresholds as people make them: added up, with errors of rounding."""
    value, out = 0., []
    while value < stop - 1e-9:
        value += step
        out.append(value)
    return out


@pytest.mark.parametrize('written', [
    [k / 20 for k in range(1, 20)],
    sums(0.05, 0.95),
    list(np.arange(0.05, 0.975, 0.05)),
    list(np.arange(1, 20, dtype=np.float32) * np.float32(0.05)),
], ids=['literal', 'added', 'arange', 'float32'])
def test_every_tie_and_its_neighbours(written):
    assert len(written) == 19
    for k, threshold in enumerate(written, 1):
        exact = Fraction(k, 20)
        for union in (1, 2, 3, 7, 10, 20, 60, 100, 999_980, 2**26 * 5):
            nearest = union * k // 20
            for inter in {max(nearest - 1, 0), nearest, nearest + 1}:
                value = Fraction(inter, union)
                assert exceeds_threshold(
                    inter, union, threshold) is (value >= exact)
                assert exceeds_threshold(
                    inter, union, threshold, '>') is (value > exact)


def test_added_thresholds_do_go_wrong_in_floats():
    """What the test above guards against happens."""
    wrong = [t for k, t in enumerate(sums(0.05, 0.95), 1) if not k / 20 >= t]
    assert wrong


@pytest.mark.parametrize('empty', [0, 1])
def test_an_empty_union(empty):
    got = score([(0, 0), (1, 2)], (0.5, 0.9), '>=', empty)
    assert got == {
        'oIoU': 50.,
        'mIoU': 50. * (empty + 0.5),
        'P0.5': 50. * (empty + 1),
        'P0.9': 50. * empty
    }
    assert score([(0, 0)], (), '>=', empty)['oIoU'] == 0.
