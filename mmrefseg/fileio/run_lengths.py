# Licensed under the Apache License, Version 2.0.
"""Run lengths of masks as COCO writes them: runs of 0 and 1 in turn, column
by column."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

# Bits of a run length; more is no number of pixels.
_MAX_SHIFT = 60


def encode_run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """Compressed run lengths of a mask, by which masks are kept and compared
    cheaply.

    Args:
        mask (np.ndarray): ``H x W``, bool, or integers in {0, 1}.

    Returns:
        dict: ``size`` (``[H, W]``) and ``counts`` (str), for JSON and for
        pycocotools.

    Raises:
        ValueError: The mask holds other values, of which pycocotools would
            make wrong runs.

    Example:
        >>> import numpy as np
        >>> from mmrefseg.fileio.run_lengths import (
        ...     decode_run_lengths, encode_run_lengths)
        >>> mask = np.array([[0, 1, 1], [0, 1, 0]])
        >>> rle = encode_run_lengths(mask)
        >>> decode_run_lengths(rle, 2, 3).tolist()
        [[0, 1, 1], [0, 1, 0]]
    """
    if mask.dtype != bool and (mask.dtype.kind not in 'iu'
                               or not ((mask == 0) | (mask == 1)).all()):
        raise ValueError('A mask for run lengths is bool, or integers 0 and '
                         f'1, not {mask.dtype} from {mask.min()} to '
                         f'{mask.max()}.')
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(
        size=[int(side) for side in rle['size']],
        counts=rle['counts'].decode())


def decode_run_lengths(rle: Mapping[str, Any], height: int,
                       width: int) -> np.ndarray:
    """Mask of run lengths, compressed (str or bytes) or a list of numbers.

    Args:
        rle (Mapping): ``size`` (``[H, W]``) and ``counts``.
        height (int): Of the image, pixels.
        width (int): Of the image, pixels.

    Returns:
        np.ndarray: ``height x width``, uint8, {0, 1}.

    Raises:
        ValueError: They are damaged, or of another size; with the reason
            alone.
    """
    size, counts = rle.get('size'), rle.get('counts')
    if not isinstance(size, (list, tuple)) or len(size) != 2 or counts is None:
        raise ValueError('a run length mask needs "size" and "counts"')
    if list(size) != [height, width]:
        raise ValueError(f'its mask is {size[0]} x {size[1]}, but its image '
                         f'{height} x {width} (height x width)')
    if isinstance(counts, str):
        counts = counts.encode('latin1', 'replace')
    if isinstance(counts, bytes):
        counts = _uncompress(counts)
    # Checked here, because pycocotools trusts its input.
    try:
        runs = np.asarray(counts)
    except (ValueError, RecursionError):  # lists of different lengths
        runs = np.zeros(0)
    if runs.dtype.kind not in 'iu' or runs.ndim != 1 or (runs < 0).any() or (
            runs > height * width).any() or runs.sum() != height * width:
        raise ValueError('its run lengths do not add up to '
                         f'{height} x {width} pixels')
    values = (np.arange(len(runs)) % 2).astype(np.uint8)
    return np.repeat(values, runs).reshape(width, height).T


def _uncompress(text: bytes) -> list[int]:
    """Run lengths from COCO's compressed string.

    A number is written in groups of 5 bits, lowest first, each in one
    character from '0' on; bit 6 says that more follow, and the highest bit
    of the last group is the sign. From the fourth number on it is the
    difference to the run two before.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        more = True
        while more:
            if position == len(text) or not 0 <= text[position] - 48 < 64 or (
                    shift > _MAX_SHIFT):
                raise ValueError('its compressed run lengths are damaged')
            group = text[position] - 48
            value |= (group & 31) << shift
            more = bool(group & 32)
            shift += 5
            position += 1
        if group & 16:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
    return counts
