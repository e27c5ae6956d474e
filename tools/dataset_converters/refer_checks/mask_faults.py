# Licensed under the Apache License, Version 2.0.
"""Faults of the mask of an annotation."""

from typing import Any, NamedTuple

import numpy as np

from mmrefseg.fileio.masks import rasterize

# Corners may lie this far outside, in pixels: COCO's do so by rounding.
_MARGIN = 1.0


class MaskFault(NamedTuple):
    """A fault of a mask.

    Attributes:
        kind (str): A short name, the same for all faults of this sort.
        what (str): A phrase about this one.
        harmless (bool): Whether the mask is drawn as if it were not there.
    """
    kind: str
    what: str
    harmless: bool = False


def find_mask_faults(segmentation: Any, height: int,
                     width: int) -> list[MaskFault]:
    """Look for faults in an annotation of COCO's format.

    Args:
        segmentation: As :func:`~mmrefseg.fileio.masks.rasterize` takes it.
        height (int): Of the image, pixels.
        width (int): Of the image, pixels.

    Returns:
        list[MaskFault]: Of kind 'polygon that is no list of numbers', 'NaN in
        a polygon', 'polygon of fewer than 3 points' (harmless beside others),
        'polygon out of the image', 'mask that cannot be drawn' and 'empty
        mask'.
    """
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    faults: list[MaskFault] = []
    for part in parts:
        if not isinstance(part, dict):
            faults += _polygon_faults(part, height, width)
    if any(not x.harmless and 'out of' not in x.kind for x in faults):
        return faults
    try:
        drawn = rasterize(segmentation, height, width).any()
    except ValueError as error:
        return [*faults, MaskFault('mask that cannot be drawn', str(error))]
    if not drawn:
        faults = [x._replace(harmless=False) for x in faults]
        faults.append(
            MaskFault('empty mask', 'nothing of it lies in the image of '
                      f'{height} x {width} (height x width)'))
    return faults


def _polygon_faults(polygon: Any, height: int, width: int) -> list[MaskFault]:
    try:
        points = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.empty((0, 0))
    if points.ndim != 1 or len(points) % 2:
        return [
            MaskFault('polygon that is no list of numbers',
                      'a polygon must be a flat list x0, y0, x1, y1, ...')
        ]
    if not np.isfinite(points).all():
        return [
            MaskFault('NaN in a polygon',
                      'a coordinate is not a number, or infinite')
        ]
    if len(points) < 6:
        return [
            MaskFault('polygon of fewer than 3 points',
                      f'a polygon has {len(points) // 2} points, and no area',
                      harmless=True)
        ]
    points = points.reshape(-1, 2)
    beyond = np.maximum(-points, points - (width, height)).max()
    if beyond > _MARGIN:
        return [
            MaskFault('polygon out of the image',
                      f'a corner lies {beyond:.1f} pixels outside of '
                      f'{height} x {width} (height x width)')
        ]
    return []
