# Licensed under the Apache License, Version 2.0.
"""Outlines, colours and rasters of the objects in a synthetic scene."""

import math
from functools import lru_cache

import cv2
import numpy as np

SHAPES = ('circle', 'square', 'triangle', 'star', 'diamond', 'cross')
COLOURS = ('red', 'green', 'blue', 'yellow', 'purple', 'orange', 'white',
           'black')
SIZES = ('small', 'large')
PATTERNS = ('plain', 'striped')

# RGB in 0..255 of the body and of the stripes. Stripes are thinner than the
# body, so that the colour's name stays what a person would say.
BODY_RGB = {
    'red': (208, 38, 38),
    'green': (40, 150, 60),
    'blue': (40, 84, 208),
    'yellow': (242, 222, 44),
    'purple': (136, 52, 172),
    'orange': (244, 134, 26),
    'white': (240, 240, 238),
    'black': (24, 24, 26),
}
STRIPE_RGB = {
    'red': (246, 204, 200),
    'green': (196, 234, 200),
    'blue': (198, 214, 250),
    'yellow': (138, 112, 14),
    'purple': (228, 200, 242),
    'orange': (134, 62, 8),
    'white': (140, 140, 146),
    'black': (138, 138, 142),
}

# Subpixels per pixel and side when a coverage is computed.
_SUBPIXELS = 4
_SHIFT = 4  # fractional bits of the coordinates given to OpenCV


@lru_cache(maxsize=None)
def unit_outline(shape: str) -> np.ndarray:
    """Outline of a shape with area 1 and its centre of mass at the origin.

    Args:
        shape (str): One of ``SHAPES``.

    Returns:
        np.ndarray: K x 2 float64, x to the right and y downwards.
    """
    if shape == 'circle':
        angle = np.arange(60) * (2 * math.pi / 60)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif shape == 'square':
        points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    elif shape == 'triangle':
        points = np.array([[0, -1.05], [1, 0.75], [-1, 0.75]], float)
    elif shape == 'diamond':
        # Clearly taller than wide: a square turned by 45 degrees would be
        # both a square and a diamond.
        points = np.array([[0, -1], [0.66, 0], [0, 1], [-0.66, 0]], float)
    elif shape == 'star':
        angle = np.arange(10) * (math.pi / 5) - math.pi / 2
        radius = np.where(np.arange(10) % 2 == 0, 1.0, 0.44)
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    elif shape == 'cross':
        a, b = 1.0, 0.36
        points = np.array([[-b, -a], [b, -a], [b, -b], [a, -b], [a, b],
                           [b, b], [b, a], [-b, a], [-b, b], [-a, b],
                           [-a, -b], [-b, -b]])
    else:
        raise ValueError(f'unknown shape {shape!r}, known: {SHAPES}')
    outline = normalise_outline(points)
    outline.setflags(write=False)
    return outline


def normalise_outline(points: np.ndarray) -> np.ndarray:
    """Moves and scales an outline to area 1, centre of mass at the origin.

    Args:
        points (np.ndarray): K x 2 corners of a simple polygon.

    Returns:
        np.ndarray: K x 2 float64.
    """
    x, y = points.T
    x1, y1 = np.roll(points, -1, axis=0).T
    cross = x * y1 - x1 * y
    area = cross.sum() / 2
    centre = np.array([((x + x1) * cross).sum(),
                       ((y + y1) * cross).sum()]) / (6 * area)
    return (points - centre) / math.sqrt(abs(area))


def unit_radius(shape: str) -> float:
    """Distance of the farthest point of :func:`unit_outline`'s shape."""
    return float(np.linalg.norm(unit_outline(shape), axis=1).max())


def place_outline(shape: str, area: float, angle: float,
                  centre: tuple[float, float]) -> np.ndarray:
    """Outline of a shape turned, scaled and moved.

    Args:
        shape (str): One of ``SHAPES``.
        area (float): Area in square pixels.
        angle (float): Clockwise rotation in radians.
        centre (tuple): Centre of mass (x, y) in pixels.

    Returns:
        np.ndarray: K x 2 float64 in pixels; pixel (0, 0) spans 0..1.
    """
    scale = math.sqrt(area)
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    turn = np.array([[c, s], [-s, c]])
    return unit_outline(shape) @ turn + np.asarray(centre)


def coverage(outline: np.ndarray, box: tuple[int, int, int, int],
             edge: float = 0.0) -> np.ndarray:
    """Share of each pixel that lies inside an outline (anti-aliasing).

    Args:
        outline (np.ndarray): K x 2 points in pixels.
        box (tuple): Region x0, y0, x1, y1 in whole pixels to rasterise.
        edge (float): When positive, the outline itself is drawn as a line
            of this width in pixels instead of being filled.

    Returns:
        np.ndarray: (y1 - y0) x (x1 - x0) uint8 in 0..255.
    """
    x0, y0, x1, y1 = box
    canvas = np.zeros(((y1 - y0) * _SUBPIXELS, (x1 - x0) * _SUBPIXELS),
                      np.uint8)
    # OpenCV's integer coordinates are the middles of its pixels.
    points = (outline - (x0, y0)) * _SUBPIXELS - 0.5
    points = np.round(points * (1 << _SHIFT)).astype(np.int32)
    if edge > 0:
        cv2.polylines(canvas, [points], True, 255,
                      max(1, round(edge * _SUBPIXELS)), cv2.LINE_8, _SHIFT)
    else:
        cv2.fillPoly(canvas, [points], 255, cv2.LINE_8, _SHIFT)
    return cv2.resize(
        canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
