# Licensed under the Apache License, Version 2.0.
"""Masks from annotations of COCO's format, and how two masks overlap.

Every function raises ``ValueError`` with the reason alone; the caller knows
file, ref and sentence.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from .run_lengths import decode_run_lengths

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
        raise ValueError(f'its image is said to be {height} x {width} (height '
                         f'x width), which is more than {2 * limit} pixels')
    if len(parts) == height > 1 and all(
            isinstance(x, (list, tuple)) and len(x) == width for x in parts):
        raise ValueError(f'its segmentation is a table of {height} x {width} '
                         'numbers: save the mask as a PNG, or write polygons '
                         'or run lengths')
    mask = np.zeros((height, width), dtype=np.uint8)
    polygons = []
    for part in parts:
        if isinstance(part, dict):
            mask |= decode_run_lengths(part, height, width)
        else:
            polygons += _check_polygon(part)
    if polygons and min(height, width) > 2 and all(
            0 <= x <= 1 for polygon in polygons for x in polygon):
        raise ValueError('all coordinates of its polygons lie between 0 and '
                         '1: give pixels, not shares of the image')
    if sum(map(_outline, polygons)) > _MAX_OUTLINE:
        raise ValueError('the outline of its polygons is longer than '
                         f'{_MAX_OUTLINE:.0f} pixels')
    if polygons:
        # By pycocotools, so that the pixels are those of COCO's own tools.
        encoded = coco_mask.frPyObjects(polygons, height, width)
        mask |= decode_run_lengths(coco_mask.merge(encoded), height, width)
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


def mask_areas(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Areas of the intersection and of the union of two masks, in pixels.

    Args:
        one (np.ndarray): ``H x W``, bool.
        other (np.ndarray): ``H x W``, bool.
    """
    return int((one & other).sum()), int((one | other).sum())


def mask_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks, 0 to 1; 0 if the union is empty,
    as in the metric.

    Args:
        one (np.ndarray): ``H x W``, bool.
        other (np.ndarray): ``H x W``, bool.
    """
    intersection, union = mask_areas(one, other)
    return intersection / union if union else 0.
