# Licensed under the Apache License, Version 2.0.
"""Two ways of drawing that no training sees: what a model knows beyond the
program that drew its training scenes.

They share the words and the layout of the scenes, but no drawing code, with
the other renderers. Never tune a training to them.
"""

import numpy as np

from ..scenes import Scene, SceneStyle, sample_scene
from .lamps import render_lamps
from .paper import render_paper

__all__ = ['render_lamps', 'render_paper', 'sample_unseen_scene']


def sample_unseen_scene(rng: np.random.Generator) -> Scene:
    """Draws a scene of 112 to 240 pixels with the default figures.

    Args:
        rng (np.random.Generator): Source of all choices.

    Returns:
        Scene: With 3 to 8 things.
    """
    return sample_scene(rng, int(rng.integers(112, 241)), SceneStyle())
