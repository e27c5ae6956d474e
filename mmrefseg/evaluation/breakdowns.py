# Licensed under the Apache License, Version 2.0.
"""Parts of a split by sentence length, object size or a field."""

import re
from collections.abc import Sequence
from typing import Any

NO_VALUE = 'none'


def bin_name(value: float, starts: Sequence[int]) -> str:
    """Name of the bin of whole numbers that a number falls into.

    Args:
        value (int): Such as a number of words.
        starts (sequence[int]): Least number of each bin, ascending.

    Returns:
        str: E.g. '1-2', '3', '6-up'; '0' below the first bin.
    """
    if value < starts[0]:
        return '0' if starts[0] == 1 else f'0-{starts[0] - 1}'
    index = max(k for k, start in enumerate(starts) if value >= start)
    if index == len(starts) - 1:
        return f'{starts[index]}-up'
    first, last = starts[index], starts[index + 1] - 1
    return f'{first}' if first == last else f'{first}-{last}'


def size_bin(area: int, image: int, starts: Sequence[int]) -> str:
    """Name of the bin for the share of its image that an object covers.

    Args:
        area (int): Area of the object in pixels; 0 has no size.
        image (int): Area of the image in pixels.
        starts (sequence[int]): Least share of each bin in percent, from 0
            on, ascending.

    Returns:
        str: E.g. '0-1' (from 0 up to, but without, 1 percent) or '20-up'.
    """
    if not area:
        return NO_VALUE
    index = max(k for k, start in enumerate(starts)
                if 100 * area >= start * image)
    if index == len(starts) - 1:
        return f'{starts[index]}-up'
    return f'{starts[index]}-{starts[index + 1]}'


def field_value(value: Any) -> str:
    """The value of a field as part of a key."""
    if value is None:
        return NO_VALUE
    # '/' separates parts of a key; trackers such as MLflow accept few other
    # characters.
    return re.sub(r'[^\w.-]+', '_', str(value)) or NO_VALUE


def group_by(labels: Sequence[str]) -> dict[str, list[int]]:
    """Indices by label, labels in the order of numbers, then of letters."""
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)

    def order(label: str) -> tuple:
        head = label.split('-')[0]
        return (0, int(head), '') if head.isdigit() else (1, 0, label)

    return {label: groups[label] for label in sorted(groups, key=order)}


class Breakdown:
    """The parts of a split that are scored separately.

    Args:
        fields (str or sequence[str]): 'length' is the number of words of the
            sentence, 'size' the share of the image that the object covers;
            any other name is a field of the sample.
        length_bins (sequence[int]): Least number of words of each bin.
        size_bins (sequence[int]): Least share of each bin in percent of the
            image; the first is 0.

    Raises:
        ValueError: If bins do not ascend.
    """

    def __init__(self, fields: Sequence[str] = (),
                 length_bins: Sequence[int] = (1, 3, 6),
                 size_bins: Sequence[int] = (0, 1, 5, 20)) -> None:
        for name, bins in (('length_bins', length_bins),
                           ('size_bins', size_bins)):
            if not len(bins) or list(bins) != sorted(set(bins)):
                raise ValueError(f'{name} of ReferringIoUMetric must ascend, '
                                 f'got {tuple(bins)}.')
        if size_bins[0] != 0:
            raise ValueError('size_bins of ReferringIoUMetric must begin '
                             f'with 0, got {tuple(size_bins)}.')
        self.fields = (fields, ) if isinstance(fields, str) else tuple(fields)
        self.length_bins = tuple(length_bins)
        self.size_bins = tuple(size_bins)

    def labels(self, sample: dict[str, Any], truth: int,
               image: int) -> tuple:
        """The part that a sentence belongs to, for each field.

        Args:
            sample (dict): With ``text`` for the field 'length'.
            truth (int): Area of the true mask in pixels.
            image (int): Area of the image in pixels.

        Returns:
            tuple[str, ...]: One for each field.
        """
        out = []
        for name in self.fields:
            if name == 'length':
                words = len(str(sample['text']).split())
                out.append(bin_name(words, self.length_bins))
            elif name == 'size':
                out.append(size_bin(truth, image, self.size_bins))
            else:
                out.append(field_value(sample.get(name)))
        return tuple(out)
