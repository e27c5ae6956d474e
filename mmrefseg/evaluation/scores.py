# Licensed under the Apache License, Version 2.0.
"""The arithmetic of referring segmentation's metrics, on integers."""

import math
from typing import Dict, List, Sequence, Tuple

CONVENTIONS: Dict[str, Tuple[str, str]] = {
    # name: (size at which masks are compared, how IoU meets a threshold)
    'default': ('original', '>='),
    'lavt': ('input', '>='),
    'paper': ('input', '>'),
    'cris': ('original', '>'),
}


def iou(intersection: int, union: int) -> float:
    """Intersection over union, 0 to 1; 0 where the union is empty."""
    return intersection / union if union else 0.


def score(areas: Sequence[Tuple[int, int]], thresholds: Sequence[float],
          compare: str) -> Dict[str, float]:
    """oIoU, mIoU and P@X of some sentences, in percent.

    Sums of areas are exact integers. The mean is rounded once, after an exact
    sum, so that it does not depend on the order of the sentences. A quotient
    of integers that equals a threshold such as 0.7 is the very same float as
    the threshold, so that ties are decided as on paper.

    Args:
        areas (sequence[tuple[int, int]]): Areas of intersection and union of
            each sentence in pixels, at least one pair.
        thresholds (sequence[float]): IoUs of P@X, 0 to 1.
        compare (str): '>=' or '>'.

    Returns:
        dict[str, float]: 'oIoU', 'mIoU' and, per threshold, e.g. 'P0.5'.
    """
    ious = [iou(i, u) for i, u in areas]
    total = len(ious)
    out = dict(
        oIoU=100 * iou(sum(i for i, _ in areas), sum(u for _, u in areas)),
        mIoU=100 * math.fsum(ious) / total)
    for threshold in thresholds:
        if compare == '>=':
            hits = sum(value >= threshold for value in ious)
        else:
            hits = sum(value > threshold for value in ious)
        out[f'P{threshold:g}'] = 100 * hits / total
    return out


def length_bin(words: int, starts: Sequence[int]) -> str:
    """Name of the bin that a number of words falls into.

    Args:
        words (int): Number of words.
        starts (sequence[int]): Least number of words of each bin, ascending.

    Returns:
        str: E.g. '1-2', '3', '6-up'; '0' below the first bin.
    """
    if words < starts[0]:
        return '0' if starts[0] == 1 else f'0-{starts[0] - 1}'
    index = max(k for k, start in enumerate(starts) if words >= start)
    if index == len(starts) - 1:
        return f'{starts[index]}-up'
    first, last = starts[index], starts[index + 1] - 1
    return f'{first}' if first == last else f'{first}-{last}'


def group_by(labels: Sequence[str]) -> Dict[str, List[int]]:
    """Indices by label, labels in the order of numbers, then of letters."""
    groups: Dict[str, List[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)

    def order(label: str) -> tuple:
        head = label.split('-')[0]
        return (0, int(head), '') if head.isdigit() else (1, 0, label)

    return {label: groups[label] for label in sorted(groups, key=order)}
