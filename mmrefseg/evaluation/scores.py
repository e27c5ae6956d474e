# Licensed under the Apache License, Version 2.0.
"""The arithmetic of oIoU, mIoU and P@X, on integers."""

import math
from collections.abc import Sequence
from fractions import Fraction


def iou(intersection: int, union: int, empty: int = 0) -> float:
    """Intersection over union, 0 to 1; ``empty`` where the union is empty."""
    return intersection / union if union else float(empty)


def exceeds_threshold(intersection: int,
                      union: int,
                      threshold: float,
                      compare: str = '>=',
                      empty: int = 0) -> bool:
    """Whether an intersection over union is at or above a threshold, or
    strictly above it with ``compare='>'``.

    Decided by whole numbers: a threshold is the decimal that was written, to
    six digits, so that 7 of 10 pixels are 0.7 also where that was computed
    as 0.5 + 0.1 + 0.1 = 0.7 and a bit.

    Args:
        intersection (int): In pixels.
        union (int): In pixels.
        threshold (float): 0 to 1.
        compare (str): '>=' or '>'.
        empty (int): The IoU where the union is 0.
    """
    if not union:
        intersection, union = empty, 1
    exact = Fraction(round(float(threshold) * 10**6), 10**6)
    left = intersection * exact.denominator
    right = exact.numerator * union
    return left >= right if compare == '>=' else left > right


def score(areas: Sequence[tuple[int, int]],
          thresholds: Sequence[float],
          compare: str,
          empty: int = 0) -> dict[str, float]:
    """oIoU, mIoU and P@X of some sentences, in percent.

    Sums of areas are exact integers. The mean is rounded once, after an exact
    sum, so that it does not depend on the order of the sentences.

    Args:
        areas (sequence[tuple[int, int]]): Areas of intersection and union of
            each sentence in pixels, at least one pair.
        thresholds (sequence[float]): IoUs of P@X, 0 to 1.
        compare (str): '>=' or '>'.
        empty (int): IoU of a sentence whose union is 0. Defaults to 0.

    Returns:
        dict[str, float]: 'oIoU', 'mIoU' and, per threshold, e.g. 'P0.5'.
    """
    total = len(areas)
    out = dict(
        oIoU=100 * iou(sum(i for i, _ in areas), sum(u for _, u in areas)),
        mIoU=100 * mean([iou(i, u, empty) for i, u in areas]))
    for threshold in thresholds:
        hits = sum(
            exceeds_threshold(i, u, threshold, compare, empty)
            for i, u in areas)
        out[f'P{threshold:g}'] = 100 * hits / total
    return out


def mean(values: Sequence[float]) -> float:
    """The mean of at least one number, the same in any order of them."""
    return math.fsum(values) / len(values)
