# Licensed under the Apache License, Version 2.0.
"""Scenes as solid things under a lamp before lights out of focus.

Everything follows from the signed distance of a pixel to an outline, in plain
NumPy: height, normal, light, gloss and shadow.
"""

import math

import numpy as np

from ..scenes import Scene, SceneObject

_PAINT = {
    'red': (214, 30, 44),
    'green': (34, 139, 54),
    'blue': (30, 80, 222),
    'yellow': (250, 214, 30),
    'purple': (128, 40, 168),
    'orange': (250, 134, 14),
    'white': (244, 244, 246),
    'black': (26, 26, 30),
}


def _distance(outline: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance in pixels to a polygon, positive inside."""
    nearest = np.full(np.broadcast(x, y).shape, np.inf)
    inside = np.zeros(nearest.shape, bool)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0)):
        ex, ey = bx - ax, by - ay
        t = ((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey + 1e-12)
        t = t.clip(0, 1)
        nearest = np.minimum(nearest,
                             (x - ax - t * ex)**2 + (y - ay - t * ey)**2)
        crosses = (ay > y) != (by > y)
        if ay != by:
            inside ^= crosses & (x < ex * (y - ay) / ey + ax)
    return np.where(inside, 1, -1) * np.sqrt(nearest)


def _hue(turn: float, strength: float, value: float) -> np.ndarray:
    """RGB 0..255 of a hue, by three cosines."""
    wave = np.cos(2 * math.pi * (turn + np.array([0, 1 / 3, 2 / 3])))
    return 255 * value * (1 - strength * (0.5 - 0.5 * wave))


def _backdrop(rng: np.random.Generator, size: int) -> np.ndarray:
    """A dim room with lights out of focus, size x size x 3 in 0..255."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    turn = rng.random()
    a, b = (_hue(turn + 0.3 * rng.random(), 0.7 * rng.random(),
                 0.15 + 0.6 * rng.random()) for _ in range(2))
    mix = np.clip(y * math.cos(turn) + x * math.sin(turn), 0, 1)[..., None]
    image = a + mix * (b - a)
    for _ in range(6 + int(22 * rng.random())):
        cx, cy, r, hue, power = rng.random(5)
        r = 0.02 + 0.11 * r
        away = np.hypot(x - cx, y - cy)
        disc = 1 / (1 + np.exp((away - r) * 160))
        disc = disc * (0.7 + 0.3 * away / r)  # brighter at the rim
        lamp = _hue(turn + 0.6 * hue, 0.75, 1.)
        image = image + (disc * (0.15 + 0.4 * power))[..., None] * (
            lamp - 0.4 * image)
    return image


def _stand(rng: np.random.Generator, image: np.ndarray, item: SceneObject,
           lamp: np.ndarray, relief: float) -> None:
    """Puts one solid thing into the image, and its shadow before it."""
    size = len(image)
    pad = round(0.08 * size) + 2
    x0, y0 = np.maximum(np.floor(item.outline.min(0)) - pad, 0).astype(int)
    x1, y1 = np.minimum(np.ceil(item.outline.max(0)) + pad, size).astype(int)
    y, x = np.mgrid[y0:y1, x0:x1] + 0.5
    part = image[y0:y1, x0:x1]
    throw = lamp[:2] * 0.035 * size
    shadow = 1 / (1 + np.exp(
        -_distance(item.outline - throw, x, y) / (0.012 * size)))
    part *= 1 - 0.55 * shadow[..., None]

    inner = _distance(item.outline, x, y)
    round_off = max(relief * float(inner.max()), 1.2)
    rise = np.clip(inner / round_off, 0, 1)
    height = round_off * np.sqrt(np.clip(1 - (1 - rise)**2, 0, None))
    dy, dx = np.gradient(height)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    half = lamp + (0, 0, 1)
    half = half / np.linalg.norm(half)
    lit = (normal @ lamp).clip(0, None)[..., None]
    gloss = (normal @ half).clip(0, None)[..., None]**40

    paint = np.array(_PAINT[item.colour], float)
    if item.pattern == 'striped':
        turn = math.pi * rng.random()
        along = (x * math.cos(turn) + y * math.sin(turn)) + height * 0.3
        width = max(math.sqrt(item.area) * size * 0.24, 3.5)
        wave = np.cos(2 * math.pi * (along / width + rng.random()))
        band = 1 / (1 + np.exp(-(wave - 0.35) * width * 1.5))[..., None]
        other = dict(white=120., black=150.).get(item.colour)
        if other is None:
            other = 238. if rng.random() < 0.6 else 40.
        paint = paint + band * (other - paint)
    lights = paint * (0.42 + 0.68 * lit) + 130 * gloss
    cover = np.clip(inner + 0.5, 0, 1)[..., None]
    part += cover * (lights - part)


def render_lamps(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Draws a scene of solid, glossy things.

    Args:
        rng (np.random.Generator): Source of all choices.
        scene (Scene): What to draw, of named things only.

    Returns:
        np.ndarray: size x size x 3 uint8, BGR as OpenCV writes it.
    """
    image = _backdrop(rng, scene.size)
    turn, tilt = 2 * math.pi * rng.random(), 0.5 + 0.4 * rng.random()
    lamp = np.array([tilt * math.cos(turn), tilt * math.sin(turn), 1.])
    lamp /= np.linalg.norm(lamp)
    relief = 0.25 + 0.75 * rng.random()
    for item in scene.objects:
        _stand(rng, image, item, lamp, relief)
    return np.ascontiguousarray(
        np.rint(image).clip(0, 255).astype(np.uint8)[..., ::-1])
