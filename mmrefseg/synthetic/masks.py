# Licensed under the Apache License, Version 2.0.
"""Masks of synthetic objects as COCO writes them."""

from typing import Union

import cv2
import numpy as np

from mmrefseg.fileio.masks import rasterize
from mmrefseg.fileio.run_lengths import encode_run_lengths

Segmentation = Union[list[list[float]], dict]


def encode_mask(mask: np.ndarray) -> Segmentation:
    """COCO segmentation of a mask: polygons when they are exact, else RLE.

    Polygons follow the border at a third of a pixel outside the middles of
    the mask's own pixels, which every common rasteriser fills alike.

    Args:
        mask (np.ndarray): H x W uint8 in {0, 1}, not empty.

    Returns:
        list | dict: Polygons, or a compressed RLE with ``counts`` as str.
    """
    x0, y0, width, height = cv2.boundingRect(mask)
    part = mask[y0:y0 + height, x0:x0 + width]
    fine = np.repeat(np.repeat(part, 3, axis=0), 3, axis=1)
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL,
                                   cv2.CHAIN_APPROX_SIMPLE)
    for tolerance in (0.9, 0.5, 0.):
        polygons = []
        for contour in contours:
            if tolerance:
                contour = cv2.approxPolyDP(contour, tolerance, True)
            points = (contour[:, 0] + 0.5) / 3 + (x0, y0)
            polygons.append(points.round(2).ravel().tolist())
        if min(map(len, polygons)) < 6:
            continue
        if np.array_equal(decode_segmentation(polygons, *mask.shape), mask):
            return polygons
    return encode_run_lengths(mask)


def decode_segmentation(segmentation: Segmentation, height: int,
                        width: int) -> np.ndarray:
    """Mask of a segmentation as :func:`encode_mask` gives it.

    Returns:
        np.ndarray: height x width uint8 in {0, 1}.
    """
    return rasterize(segmentation, height, width)
