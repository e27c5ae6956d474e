# Licensed under the Apache License, Version 2.0.
"""Scenes: which objects there are, where they stand and what is visible."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .shapes import COLOURS, SHAPES, coverage, place_outline, unit_radius

# Whole area as a share of the image. The gap between the two keeps 'small'
# and 'large' apart even where a large object is partly hidden.
AREAS = {'small': (0.0125, 0.030), 'large': (0.060, 0.147)}
MIN_VISIBLE_AREA = 0.0102
MIN_VISIBLE_SHARE = 0.70
MAX_ANGLE = math.radians(14)
_MAX_TOTAL_AREA = 0.52
# A scene uses so many of the shapes and colours, at least and at most.
_SHAPES, _COLOURS = (2, 5), (2, 5)
_GAP = 2  # pixels between objects that do not overlap


@dataclass(frozen=True)
class SceneStyle:
    """How scenes are drawn at random.

    Args:
        counts (tuple): Smallest and largest number of objects.
        overlap (float): Chance that an object is put half over another.
        large (float): Chance that an object is large (if there is room).
    """
    counts: tuple[int, int] = (3, 8)
    overlap: float = 0.25
    large: float = 0.42


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object and its visible part.

    Args:
        shape, colour, size, pattern (str): Its words.
        outline (np.ndarray): K x 2 whole outline in pixels.
        angle (float): Rotation in radians.
        box (tuple): x0, y0, x1, y1 region of ``alpha`` in pixels.
        alpha (np.ndarray): uint8 coverage of the whole object in the box.
        centre (tuple): (x, y) centre of mass of the visible part, 0..1.
        extent (tuple): Half width and half height of the visible part's
            bounding box, 0..1.
        area (float): Visible area as a share of the image.
    """
    shape: str
    colour: str
    size: str
    pattern: str
    outline: np.ndarray
    angle: float
    box: tuple[int, int, int, int]
    alpha: np.ndarray
    centre: tuple[float, float] = (0., 0.)
    extent: tuple[float, float] = (0., 0.)
    area: float = 0.


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects in painter's order (later ones lie on top).

    Args:
        size (int): Side of the square image in pixels.
        objects (tuple[SceneObject]): The objects.
        labels (np.ndarray): size x size uint8, 0 for background and i + 1
            where object i is visible.
    """
    size: int
    objects: tuple[SceneObject, ...]
    labels: np.ndarray

    def mask(self, index: int) -> np.ndarray:
        """Visible part of an object, size x size uint8 in {0, 1}."""
        return (self.labels == index + 1).astype(np.uint8)


def _choose(rng: np.random.Generator, items: Sequence, count: int) -> list:
    return [items[i] for i in rng.permutation(len(items))[:count]]


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    return low + int(rng.random() * (high - low + 1))


def _pick(rng: np.random.Generator, items: Sequence):
    return items[int(rng.random() * len(items))]


def _middle(counts: np.ndarray) -> tuple[float, float, int]:
    """Mean, half width and total of pixels counted along one axis."""
    total = int(counts.sum())
    where = np.flatnonzero(counts)
    mean = float(counts @ np.arange(len(counts))) / total + 0.5
    return mean, float(where[-1] + 1 - where[0]) / 2, total


class Placer:
    """Puts objects on the canvas and tracks their visible parts.

    A subclass may draw the shapes in another way.

    Args:
        size (int): Side of the image in pixels.
        rng (np.random.Generator): Source of all choices.
    """
    min_area = MIN_VISIBLE_AREA

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.rng = rng
        self.labels = np.zeros((size, size), np.uint8)
        self.whole: list[int] = []
        self.placed: list[SceneObject] = []
        self.circles: list[tuple[float, float, float]] = []

    def add(self, words: tuple[str, str, str, str], area: float,
            overlap: bool) -> bool:
        """Tries to place one object; returns whether there was room."""
        radius = self.reach(words[0]) * math.sqrt(area) * self.size
        if overlap:
            partners = [
                i for i, other in enumerate(self.placed)
                if other.colour != words[1]
            ]
            overlap = bool(partners)
        for _ in range(30):
            near = _pick(self.rng, partners) if overlap else None
            centre = self._centre(radius, near)
            if centre is not None and self._put(words, area, centre, radius,
                                                near):
                return True
        return False

    def reach(self, shape: str) -> float:
        """Distance of the farthest point of a shape of area 1."""
        return unit_radius(shape)

    def outline(self, shape: str, area: float,
                centre: tuple[float, float]) -> tuple[np.ndarray, float]:
        """K x 2 outline in pixels of a shape at a place, and its angle."""
        angle = (2 * self.rng.random() - 1) * MAX_ANGLE
        return place_outline(shape, area, angle, centre), angle

    def _centre(self, radius: float,
                near: int | None) -> tuple[float, float] | None:
        u, v = self.rng.random(2)
        low, high = 0.93 * radius, self.size - 0.93 * radius
        if near is None:
            x, y = low + u * (high - low), low + v * (high - low)
        else:
            x, y, other = self.circles[near]
            reach = (0.55 + 0.3 * u) * (radius + other)
            x += reach * math.cos(2 * math.pi * v)
            y += reach * math.sin(2 * math.pi * v)
        for i, (cx, cy, r) in enumerate(self.circles):
            share = 0.5 if i == near else 0.8
            if math.hypot(x - cx, y - cy) < share * (radius + r):
                return None
        return (x, y) if low <= x <= high and low <= y <= high else None

    def _put(self, words: tuple[str, str, str, str], area: float,
             centre: tuple[float, float], radius: float,
             near: int | None) -> bool:
        outline, angle = self.outline(words[0], area * self.size**2, centre)
        x0, y0 = np.floor(outline.min(axis=0)).astype(int).tolist()
        x1, y1 = np.ceil(outline.max(axis=0)).astype(int).tolist()
        if min(x0, y0) < 1 or max(x1, y1) > self.size - 1:
            return False
        box = (max(x0 - _GAP, 0), max(y0 - _GAP, 0),
               min(x1 + _GAP, self.size), min(y1 + _GAP, self.size))
        alpha = coverage(outline, box)
        inside = alpha >= 128
        below = self.labels[box[1]:box[3], box[0]:box[2]]
        grown = cv2.dilate(inside.view(np.uint8), np.ones(
            (2 * _GAP + 1, 2 * _GAP + 1), np.uint8)).view(bool)
        touched = np.bincount(below[grown], minlength=len(self.placed) + 1)
        if any(touched[i + 1] and i != near for i in range(len(self.placed))):
            return False
        if near is not None:
            left = np.count_nonzero(self.labels == near + 1)
            left -= np.count_nonzero(below[inside] == near + 1)
            if left < max(MIN_VISIBLE_SHARE * self.whole[near],
                          self.min_area * self.size**2):
                return False
        count = int(np.count_nonzero(inside))
        if count < self.min_area * self.size**2:
            return False
        below[inside] = len(self.placed) + 1
        self.whole.append(count)
        self.circles.append((*centre, radius))
        self.placed.append(SceneObject(*words, outline, angle, box, alpha))
        return True

    def scene(self) -> Scene:
        """The scene, with what is visible of each object measured."""
        objects = []
        for i, item in enumerate(self.placed):
            x0, y0, x1, y1 = item.box
            visible = self.labels[y0:y1, x0:x1] == i + 1
            x, half_width, area = _middle(visible.sum(axis=0))
            y, half_height, _ = _middle(visible.sum(axis=1))
            n = self.size
            objects.append(
                replace(
                    item,
                    centre=((x0 + x) / n, (y0 + y) / n),
                    extent=(half_width / n, half_height / n),
                    area=area / n**2))
        return Scene(self.size, tuple(objects), self.labels)


def sample_scene(rng: np.random.Generator, size: int,
                 style: SceneStyle) -> Scene:
    """Draws one scene.

    Shapes and colours come from a few that the scene may use, so that most
    objects share a shape or a colour with another one.

    Args:
        rng (np.random.Generator): Source of all choices.
        size (int): Side of the image in pixels.
        style (SceneStyle): Number of objects, overlap, sizes.

    Returns:
        Scene: With at least ``style.counts[0]`` objects.
    """
    low, high = style.counts
    while True:
        count = _between(rng, low, high)
        shapes = _choose(rng, SHAPES, _between(rng, *_SHAPES))
        colours = _choose(rng, COLOURS, _between(rng, *_COLOURS))
        placer = Placer(size, rng)
        total = 0.
        for _ in range(count):
            shape, colour = _pick(rng, shapes), _pick(rng, colours)
            pattern = 'striped' if rng.random() < 0.4 else 'plain'
            large, overlap = rng.random(2) < (style.large, style.overlap)
            # A large object becomes a small one where there is no room.
            for word in ('large', 'small')[not large:]:
                low_area, high_area = AREAS[word]
                area = low_area * (high_area / low_area)**rng.random()
                if total + area <= _MAX_TOTAL_AREA and placer.add(
                    (shape, colour, word, pattern), area, bool(overlap)):
                    total += area
                    break
        if len(placer.placed) >= low:
            return placer.scene()
