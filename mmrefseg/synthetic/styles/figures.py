# Licensed under the Apache License, Version 2.0.
"""Figures that differ from scene to scene: proportions, corners and pose."""

import math

import numpy as np

from ..shapes import SHAPES, normalise_outline

# Shapes that no sentence names; they stand for other things in a picture.
OTHER_SHAPES = ('hexagon', 'ring', 'heart', 'arrow', 'crescent', 'bar',
                'drop')
# Largest turn in degrees; of a square it must not look like a diamond, of a
# cross not like an x.
_TURN = dict(
    circle=180,
    square=20,
    triangle=25,
    star=180,
    diamond=18,
    cross=22,
    hexagon=180,
    ring=180,
    heart=30,
    arrow=180,
    crescent=180,
    bar=180,
    drop=180)


def _polar(radius: np.ndarray, start: float = -math.pi / 2) -> np.ndarray:
    angle = start + np.arange(len(radius)) * (2 * math.pi / len(radius))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]


def _named(rng: np.random.Generator, shape: str) -> np.ndarray:
    """Corners of one of ``SHAPES`` in proportions of its own."""
    u, v = rng.random(2)
    if shape == 'circle':
        return _polar(np.ones(60))
    if shape == 'square':
        return _polar(np.ones(4), -math.pi / 4)
    if shape == 'triangle':
        # From right-angled over equilateral to slim, the top now and then
        # aside of the middle.
        height, lean = 1.35 + 0.75 * u, (v - 0.5) * 0.5
        return np.array([[lean, -height], [1, 0], [-1, 0]])
    if shape == 'diamond':
        width = 0.52 + 0.24 * u
        return np.array([[0, -1], [width, 0], [0, 1], [-width, 0]])
    if shape == 'star':
        inner = 0.36 + 0.16 * u
        return _polar(np.where(np.arange(10) % 2 == 0, 1.0, inner))
    arm = 0.26 + 0.16 * u
    a, b = 1.0, arm
    return np.array([[-b, -a], [b, -a], [b, -b], [a, -b], [a, b], [b, b],
                     [b, a], [-b, a], [-b, b], [-a, b], [-a, -b], [-b, -b]])


def _other(rng: np.random.Generator, shape: str) -> np.ndarray:
    """Corners of one of ``OTHER_SHAPES``."""
    u = rng.random()
    t = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    if shape == 'hexagon':
        return _polar(np.ones(6))
    if shape == 'bar':
        return np.array([[-1, -0.16], [1, -0.16], [1, 0.16], [-1, 0.16]])
    if shape == 'arrow':
        return np.array([[-1, -0.2], [0.2, -0.2], [0.2, -0.6], [1, 0],
                         [0.2, 0.6], [0.2, 0.2], [-1, 0.2]])
    if shape == 'heart':
        x = np.sin(t)**3
        y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) -
              np.cos(4 * t)) / 16
        return np.stack([x, y], axis=1)
    if shape == 'drop':
        x, y = np.cos(t), np.sin(t) * np.sin(t / 2)**1.5
        return np.stack([x, 0.9 * y], axis=1)
    # An open ring, or a crescent: an outer arc and an inner one back.
    gap = 0.12 if shape == 'ring' else 0.9 + 0.4 * u
    arc = np.linspace(gap, 2 * math.pi - gap, 40)
    outer = np.stack([np.cos(arc), np.sin(arc)], axis=1)
    if shape == 'ring':
        return np.concatenate([outer, outer[::-1] * (0.5 + 0.15 * u)])
    tip = outer[-1, 0]
    inner = np.stack([tip + (np.cos(arc) - tip) * 0.45, np.sin(arc)], axis=1)
    return np.concatenate([outer, inner[::-1]])


def _round_corners(points: np.ndarray, amount: float) -> np.ndarray:
    """Cuts each corner twice, by a share of its sides (Chaikin)."""
    for share in (amount, 0.25):
        ahead = np.roll(points, -1, axis=0)
        points = np.stack([(1 - share) * points + share * ahead,
                           share * points + (1 - share) * ahead],
                          axis=1).reshape(-1, 2)
    return points


def _roughen(rng: np.random.Generator, points: np.ndarray,
             amount: float) -> np.ndarray:
    """The outline as an unsteady hand draws it."""
    ahead = np.roll(points, -1, axis=0)
    steps = np.maximum(
        1,
        np.linalg.norm(ahead - points, axis=1) / np.abs(points).max() *
        6).astype(int)
    fine = np.concatenate([
        a + (b - a) * (np.arange(n) / n)[:, None]
        for a, b, n in zip(points, ahead, steps)
    ])
    wave = rng.standard_normal((len(fine), 2))
    wave = wave + np.roll(wave, 1, axis=0)
    return fine + wave * (amount * np.abs(points).max())


class SceneFigures:
    """How the figures of one scene deviate from the plain ones.

    Args:
        rng (np.random.Generator): Source of the choices.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        u = rng.random(5)
        self.corners = 0.04 + 0.16 * u[0] if u[1] < 0.25 else 0.
        self.rough = 0.006 + 0.010 * u[2] if u[3] < 0.15 else 0.
        self.turn = 0.3 + 0.7 * u[4]
        self.shapes = {
            shape: _named(rng, shape) if shape in SHAPES else _other(
                rng, shape)
            for shape in (*SHAPES, *OTHER_SHAPES)
        }

    def reach(self, shape: str) -> float:
        """Distance of the farthest point of a shape of area 1."""
        points = normalise_outline(self.shapes[shape])
        return float(np.linalg.norm(points, axis=1).max()) * 1.06

    def outline(self, rng: np.random.Generator, shape: str, area: float,
                centre: tuple[float, float]) -> tuple[np.ndarray, float]:
        """A figure in this scene's style.

        Args:
            rng (np.random.Generator): Source of pose and stretch.
            shape (str): One of ``SHAPES`` or ``OTHER_SHAPES``.
            area (float): In square pixels.
            centre (tuple): Centre of mass (x, y) in pixels.

        Returns:
            tuple[np.ndarray, float]: K x 2 outline in pixels and the angle in
            radians.
        """
        points = self.shapes[shape]
        if self.corners and shape != 'circle':
            points = _round_corners(points, self.corners)
        if self.rough:
            points = _roughen(rng, points, self.rough)
        u = rng.random(2)
        stretch = 1 + (u[0] - 0.5) * (0.10 if shape in ('circle', 'square')
                                      else 0.22)
        points = normalise_outline(points * (stretch, 1 / stretch))
        limit = math.radians(_TURN[shape])
        # Not every scene turns its figures far.
        angle = (2 * u[1] - 1) * limit * (
            self.turn if limit < 1 else self.turn**2)
        scale = math.sqrt(area)
        c, s = math.cos(angle) * scale, math.sin(angle) * scale
        return points @ np.array([[c, s], [-s, c]]) + centre, angle
