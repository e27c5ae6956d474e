# Licensed under the Apache License, Version 2.0.
"""Which object was segmented instead, against counting pixels."""

from fractions import Fraction

import numpy as np

from mmrefseg.evaluation.confusion import ImageObject, best_overlap, exceeds
from mmrefseg.fileio.run_lengths import encode_run_lengths as encode


def slow(predicted, masks):
    """Index and IoU of the best mask, pixel by pixel."""
    best = (None, Fraction(0))
    for index, mask in enumerate(masks):
        inter = union = 0
        for p, m in zip(predicted.flat, mask.flat):
            inter += bool(p and m)
            union += bool(p or m)
        value = Fraction(inter, union or 1)
        if value > best[1]:
            best = (index, value)
    return best


def test_best_overlap_equals_counting_pixels():
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(40):
        shape = rng.integers(1, 9, 2)
        predicted = (rng.random(shape) < rng.random()).astype(np.uint8)
        masks = [(rng.random(shape) < rng.random()**2).astype(np.uint8)
                 for _ in range(4)]
        masks += [predicted * 0, masks[0]]  # empty; a tie: the first counts
        got = best_overlap(
            encode(predicted),
            [ImageObject(i, f'kind {i}', encode(x))
             for i, x in enumerate(masks)])
        index, value = slow(predicted, masks)
        if index is None:
            assert got is None
        else:
            assert got[:2] == (index, f'kind {index}')
            assert Fraction(got.intersection, got.union) == value
        found.add(index)
    assert found == {None, 0, 1, 2, 3}


def test_exceeds_by_whole_numbers():
    assert exceeds((1, 2), (49, 100)) and not exceeds((1, 2), (50, 100))
    assert exceeds((1, 9), (0, 0)) and not exceeds((0, 0), (0, 5))
    # equal as floats
    big = 2**60
    assert (big + 1) / (2 * big) == 0.5 and exceeds((big + 1, 2 * big), (1, 2))
