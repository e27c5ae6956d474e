# Licensed under the Apache License, Version 2.0.
"""Masks from polygons, run lengths and image files.

Every function raises ``ValueError`` with the reason alone; the caller knows
file, ref and sentence.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from .palettes import palette_to_pixels
from .truncation import find_truncation

# Beyond it, pycocotools overflows its integers instead of complaining.
_MAX_COORDINATE = 1e6
# Pixels. Drawing takes memory and time for each pixel of an outline.
_MAX_OUTLINE = 4e6


def rasterize(segmentation: list | dict, height: int,
              width: int) -> np.ndarray:
    """Draw an annotation of COCO's format.

    Parts are united: where the polygons of an object overlap, the object is.
    What lies outside of the image is cut off.

    Args:
        segmentation (list or dict): Polygons ``[[x0, y0, x1, y1, ...], ...]``
            in pixels, (0, 0) being the image's upper left corner; a run
            length dict (``size`` and ``counts``, compressed or not); or a
            list of such dicts (RefCLEF).
        height (int): Of the image, pixels.
        width (int): Of the image, pixels.

    Returns:
        np.ndarray: ``height x width``, uint8, 1 on the object. May be empty.

    Raises:
        ValueError: The annotation is not of this form, or the image larger
            than Pillow reads.
    """
    parts = [segmentation] if isinstance(segmentation, dict) else segmentation
    if not isinstance(parts, (list, tuple)) or not len(parts):
        raise ValueError('its segmentation is empty')
    limit = Image.MAX_IMAGE_PIXELS  # as of image files, see find_excess
    if limit is not None and height * width > 2 * limit:
        raise ValueError(f'its image is said to be {_size(height, width)}, '
                         f'which is more than {2 * limit} pixels')
    mask = np.zeros((height, width), dtype=np.uint8)
    polygons = []
    for part in parts:
        if isinstance(part, dict):
            mask |= _decode_run_lengths(part, height, width)
        else:
            polygons += _check_polygon(part)
    if sum(map(_outline, polygons)) > _MAX_OUTLINE:
        raise ValueError('the outline of its polygons is longer than '
                         f'{_MAX_OUTLINE:.0f} pixels')
    if polygons:
        # By pycocotools, so that the pixels are those of COCO's own tools.
        encoded = coco_mask.frPyObjects(polygons, height, width)
        mask |= _decode_run_lengths(
            coco_mask.merge(encoded), height, width)
    return mask


def unite(segmentations: Iterable[list | dict]) -> list:
    """Several annotations of COCO's format as one.

    Args:
        segmentations (Iterable[list or dict]): Each as :func:`rasterize`
            takes it; polygons and run lengths (crowds) may be mixed.

    Returns:
        list: Of all their parts, in the order given, for :func:`rasterize`.
    """
    parts: list = []
    for segmentation in segmentations:
        if isinstance(segmentation, list):
            parts += segmentation
        else:
            parts.append(segmentation)
    return parts


def _check_polygon(polygon: Sequence[float]) -> list[list[float]]:
    """The polygon in a list, or an empty list if it has no area at all."""
    try:
        points = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        points = None
    if points is None or points.ndim != 1 or len(points) % 2:
        raise ValueError('a polygon must be a flat list x0, y0, x1, y1, ...')
    if not np.isfinite(points).all() or abs(points).max(
            initial=0) > _MAX_COORDINATE:
        raise ValueError('a polygon has coordinates that are not finite or '
                         f'beyond {_MAX_COORDINATE:.0f}')
    # pycocotools takes four numbers for a box; COCO has such slivers.
    return [points.tolist()] if len(points) >= 6 else []


def _outline(polygon: list[float]) -> float:
    """Length of the outline, each side taken as its longer extent."""
    points = np.asarray(polygon).reshape(-1, 2)
    steps = abs(points - np.roll(points, 1, axis=0))
    return float(steps.max(axis=1).sum())


def _decode_run_lengths(rle: Mapping[str, Any], height: int,
                        width: int) -> np.ndarray:
    """Mask of a COCO RLE: runs of 0 and 1 in turn, column by column."""
    size, counts = rle.get('size'), rle.get('counts')
    if not isinstance(size, (list, tuple)) or len(size) != 2 or counts is None:
        raise ValueError('a run length mask needs "size" and "counts"')
    if list(size) != [height, width]:
        raise ValueError(f'its mask is {_size(*size)}, but its image '
                         f'{_size(height, width)}')
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


# Bits of a run length; more is no number of pixels.
_MAX_SHIFT = 60


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
            if position == len(text) or not 0 <= text[position] - 48 < 64:
                raise ValueError('its compressed run lengths are damaged')
            if shift > _MAX_SHIFT:
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


def read_mask(content: bytes) -> np.ndarray:
    """Read a mask from the bytes of an image file.

    Args:
        content (bytes): A PNG, or another lossless format. Palette images
            count by colour, and an alpha channel is not looked at.

    Returns:
        np.ndarray: ``H x W``, uint8, 1 where the image is not black.

    Raises:
        ValueError: It is not readable, a JPEG, or has a palette that does not
            tell what is outside.
    """
    fault = find_truncation(content)
    if fault is not None:
        raise ValueError(f'it {fault}')
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except Exception as error:  # Pillow's readers raise almost anything
        raise ValueError(f'it cannot be read ({error})') from None
    if image.format == 'JPEG':
        raise ValueError('it is a JPEG, which blurs the edges of a mask: save '
                         'it as PNG')
    try:
        pixels = palette_to_pixels(image)
    except ValueError as error:
        raise ValueError(f'it {error}') from None
    if image.mode in ('RGBA', 'LA', 'PA'):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3:
        pixels = pixels.any(axis=2)
    return (pixels != 0).astype(np.uint8)


def _size(height: int, width: int) -> str:
    return f'{height} x {width} (height x width)'

