# Licensed under the Apache License, Version 2.0.
"""Scenes drawn in a style of their own each: background, figures, surfaces,
light and camera. What the sentences say stays as it is."""

import numpy as np

from ..scenes import Scene
from .backgrounds import draw_any_background
from .camera import photograph
from .layout import only_known_words, sample_varied_scene
from .surfaces import paint_all

__all__ = [
    'draw_any_background', 'only_known_words', 'paint_all', 'photograph',
    'render_varied', 'sample_varied_scene'
]


def render_varied(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Draws a scene in a style that is drawn at random itself.

    Args:
        rng (np.random.Generator): Source of all choices.
        scene (Scene): What to draw.

    Returns:
        np.ndarray: size x size x 3 uint8, BGR as OpenCV writes it.
    """
    canvas = draw_any_background(rng, scene.size)
    paint_all(rng, canvas, scene)
    return photograph(rng, canvas)
