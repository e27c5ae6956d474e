# Licensed under the Apache License, Version 2.0.
"""Scenes with figures, sizes and numbers of things in wide ranges, and with
other things that no sentence names."""

from collections.abc import Sequence

import numpy as np

from ..forms import Located, Pair, Related
from ..scenes import AREAS, MIN_VISIBLE_AREA, Placer, Scene
from ..sentences import Sentence
from ..shapes import COLOURS, SHAPES
from .figures import OTHER_SHAPES, SceneFigures

MIN_SIZE, MAX_SIZE = 96, 256
# The colour of other things, where it is none of the named ones.
OTHER_COLOUR = 'grey'
_MAX_TOTAL_AREA = 0.55
_MAX_THINGS, _MAX_OTHERS = 8, 2


class _StyledPlacer(Placer):
    """Places figures of a style."""

    def __init__(self, size: int, rng: np.random.Generator,
                 style: SceneFigures, scale: float) -> None:
        super().__init__(size, rng)
        self.style = style
        self.min_area = MIN_VISIBLE_AREA * scale

    def reach(self, shape: str) -> float:
        return self.style.reach(shape)

    def outline(self, shape: str, area: float,
                centre: tuple[float, float]) -> tuple[np.ndarray, float]:
        return self.style.outline(self.rng, shape, area, centre)


def sample_varied_scene(rng: np.random.Generator) -> Scene:
    """Draws a scene of any size in pixels, scale, density and figure style.

    Args:
        rng (np.random.Generator): Source of all choices.

    Returns:
        Scene: 96 to 256 pixels wide, 2 to 10 things, the last up to two of
        them possibly other things (``OTHER_SHAPES``, ``OTHER_COLOUR``).
    """
    size = int(rng.integers(MIN_SIZE, MAX_SIZE + 1))
    while True:
        u = rng.random(6)
        scale = 0.72 + 0.5 * u[0]
        placer = _StyledPlacer(size, rng, SceneFigures(rng), scale)
        count = 2 + int(u[1] * (_MAX_THINGS - 1))
        shapes = rng.permutation(SHAPES)[:2 + int(u[2] * 4)].tolist()
        colours = rng.permutation(COLOURS)[:2 + int(u[3] * 5)].tolist()
        overlap, large = 0.5 * u[4], 0.25 + 0.35 * u[5]
        others = max(0, int(rng.random() * 5) - 2)
        total = 0.
        for i in range(count + others):
            v = rng.random(6)
            shape = shapes[int(v[0] * len(shapes))]
            colour = colours[int(v[1] * len(colours))]
            if i >= count:
                shape = OTHER_SHAPES[int(v[0] * len(OTHER_SHAPES))]
                colour = OTHER_COLOUR if v[5] < 0.4 else colour
            pattern = 'striped' if v[2] < 0.4 else 'plain'
            for word in ('large', 'small')[not v[3] < large:]:
                low, high = (x * scale for x in AREAS[word])
                area = low * (high / low)**rng.random()
                if total + area <= _MAX_TOTAL_AREA and placer.add(
                    (shape, colour, word, pattern), area,
                        bool(v[4] < overlap) and i < count):
                    total += area
                    break
        if len(placer.placed) >= 2:
            return placer.scene()


def only_known_words(
        sentences: Sequence[Sequence[Sentence]]) -> list[list[Sentence]]:
    """Leaves out sentences that name a shape or colour of other things."""

    def known(form) -> bool:
        nouns = [form]
        if isinstance(form, Located):
            nouns = [form.noun]
        elif isinstance(form, Related):
            nouns = [form.noun, form.landmark]
        elif isinstance(form, Pair):
            nouns = [form.first, form.second]
        return all(
            noun.shape in (None, *SHAPES) and noun.colour in (None, *COLOURS)
            for noun in nouns)

    return [[s for s in found if known(s.form)] for found in sentences]
