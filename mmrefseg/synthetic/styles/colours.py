# Licensed under the Apache License, Version 2.0.
"""Colours within the range that a name allows, and colours of any kind."""

import colorsys

import numpy as np

from ..shapes import BODY_RGB

# Hue in degrees, saturation and value, each from .. to. Between two ranges
# lies a gap, so that whoever draws the line elsewhere agrees on the name.
RANGES = {
    'red': ((-12, 7), (0.70, 1.0), (0.55, 1.0)),
    'orange': ((21, 38), (0.75, 1.0), (0.86, 1.0)),
    'yellow': ((49, 61), (0.60, 1.0), (0.86, 1.0)),
    'green': ((92, 150), (0.50, 1.0), (0.35, 0.85)),
    'blue': ((206, 241), (0.60, 1.0), (0.50, 1.0)),
    'purple': ((268, 300), (0.50, 0.95), (0.42, 0.80)),
    'white': ((0, 360), (0.0, 0.05), (0.91, 1.0)),
    'black': ((0, 360), (0.0, 0.4), (0.0, 0.15)),
    'grey': ((0, 360), (0.0, 0.10), (0.40, 0.65)),
}


def from_hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB float32 in 0..255 of a hue in degrees."""
    rgb = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value)
    return np.array(rgb, np.float32) * 255


def named_colour(rng: np.random.Generator, name: str) -> np.ndarray:
    """A colour that has a name for sure.

    Args:
        rng (np.random.Generator): Source of the choice.
        name (str): One of ``COLOURS`` or 'grey'.

    Returns:
        np.ndarray: RGB float32 in 0..255.
    """
    return from_hsv(*(a + (b - a) * u
                      for (a, b), u in zip(RANGES[name], rng.random(3))))


def any_colour(rng: np.random.Generator) -> np.ndarray:
    """A colour of a background: muted, pale, dark, strong or a named one."""
    kind, a, b, c = rng.random(4)
    hue = 360 * a
    if kind < 0.32:
        return from_hsv(hue, 0.35 * b, 0.3 + 0.5 * c)
    if kind < 0.47:
        return from_hsv(hue, 0.05 + 0.3 * b, 0.78 + 0.22 * c)
    if kind < 0.58:
        return from_hsv(hue, 0.7 * b, 0.05 + 0.25 * c)
    if kind < 0.76:
        return from_hsv(hue, 0.4 + 0.6 * b, 0.35 + 0.65 * c)
    if kind < 0.84:
        return from_hsv(hue, 0.04 * b, (0.93 + 0.07 * c) if b < 0.7 else 0.08)
    names = list(BODY_RGB)
    return named_colour(rng, names[int(b * len(names))])
