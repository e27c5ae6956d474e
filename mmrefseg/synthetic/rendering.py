# Licensed under the Apache License, Version 2.0.
"""Pictures of synthetic scenes."""

import math

import cv2
import numpy as np

from .scenes import Scene, SceneObject
from .shapes import BODY_RGB, STRIPE_RGB, coverage

BACKGROUNDS = ('plain', 'gradient', 'clouds', 'patches', 'bands')


def _muted(rng: np.random.Generator) -> np.ndarray:
    """A muted colour of middle brightness, RGB float32."""
    grey = 92 + 78 * rng.random()
    tint = (rng.random(3) - 0.5) * 34
    return (grey + tint - tint.mean()).astype(np.float32)


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A muted background of one of ``BACKGROUNDS``.

    Args:
        rng (np.random.Generator): Source of all choices.
        size (int): Side in pixels.

    Returns:
        np.ndarray: size x size x 3 float32 RGB in 0..255.
    """
    kind = BACKGROUNDS[int(rng.random() * len(BACKGROUNDS))]
    a, b = _muted(rng), _muted(rng)
    if kind == 'plain':
        return np.broadcast_to(a, (size, size, 3)).copy()
    if kind == 'clouds':
        coarse = 3 + int(rng.random() * 7)
        mix = cv2.resize(
            rng.random((coarse, coarse)).astype(np.float32), (size, size),
            interpolation=cv2.INTER_CUBIC)
    elif kind == 'patches':
        mix = np.full((size, size), 0.5, np.float32)
        for x, y, w, h, v in rng.random((10, 5)):
            x0, y0 = int((x * 1.2 - 0.2) * size), int((y * 1.2 - 0.2) * size)
            x1, y1 = x0 + int((0.1 + 0.5 * w) * size), y0 + int(
                (0.1 + 0.5 * h) * size)
            mix[max(y0, 0):max(y1, 0), max(x0, 0):max(x1, 0)] = v
        mix = cv2.GaussianBlur(mix, (3, 3), 0)
    else:
        turn = 2 * math.pi * rng.random()
        at = np.linspace(-0.5, 0.5, size, dtype=np.float32)
        along = at[None] * math.cos(turn) + at[:, None] * math.sin(turn)
        if kind == 'gradient':
            mix = along * 0.8 + 0.5
        else:
            mix = 0.5 + 0.35 * np.sin(along * (18 + 40 * rng.random()))
    return a + mix[..., None] * (b - a)


def _paint(rng: np.random.Generator, canvas: np.ndarray,
           item: SceneObject) -> None:
    """Draws one object with a soft shadow, shading, stripes and an edge."""
    size = len(canvas)
    x0, y0, x1, y1 = item.box
    height, width = y1 - y0, x1 - x0
    alpha = item.alpha.astype(np.float32)[..., None] / 255
    body = np.array(BODY_RGB[item.colour], np.float32)
    body = body + (rng.random(3).astype(np.float32) - 0.5) * 22
    # Coordinates along the object's own axes, in pixels from its middle.
    ys = np.arange(height, dtype=np.float32)[:, None] - height / 2
    xs = np.arange(width, dtype=np.float32)[None] - width / 2
    turn = item.angle + (math.pi / 4, 0., -math.pi / 4)[int(rng.random() * 3)]
    along = xs * math.cos(turn) + ys * math.sin(turn)
    shade = 1 + (0.10 / max(height, width)) * (xs * -0.5 - ys)
    colour = body * shade[..., None]
    if item.pattern == 'striped':
        root = math.sqrt(float(alpha.sum()))
        period = max(0.25 * root, 0.030 * size)
        phase = along / period + rng.random()
        # A stripe takes 40 % of a period; edges are one pixel soft.
        away = np.abs(phase - np.floor(phase) - 0.5)
        mix = np.clip((0.20 - away) * period + 0.5, 0, 1)[..., None]
        stripe = np.array(STRIPE_RGB[item.colour], np.float32)
        colour = colour + mix * (stripe - colour)
    edge = coverage(item.outline, item.box, edge=max(0.008 * size, 0.8))
    edge = edge.astype(np.float32)[..., None] * (0.55 / 255)
    colour = colour * (1 - edge)
    region = canvas[y0:y1, x0:x1]
    region += alpha * (colour - region)


def _shadow(canvas: np.ndarray, item: SceneObject, strength: float) -> None:
    size = len(canvas)
    pad, drop = max(2, round(0.02 * size)), max(1, round(0.012 * size))
    soft = cv2.GaussianBlur(
        cv2.copyMakeBorder(item.alpha, pad, pad, pad, pad,
                           cv2.BORDER_CONSTANT), (0, 0), pad / 2)
    x0, y0 = item.box[0] - pad + drop, item.box[1] - pad + drop
    cut_x, cut_y = max(-x0, 0), max(-y0, 0)
    region = canvas[y0 + cut_y:y0 + len(soft), x0 + cut_x:x0 + soft.shape[1]]
    soft = soft[cut_y:cut_y + len(region), cut_x:cut_x + region.shape[1]]
    region *= 1 - soft[..., None].astype(np.float32) * (strength / 255)


def render(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Draws a scene.

    Args:
        rng (np.random.Generator): Source of background, tints and noise.
        scene (Scene): What to draw.

    Returns:
        np.ndarray: size x size x 3 uint8, BGR as OpenCV writes it.
    """
    canvas = draw_background(rng, scene.size)
    strength = 0.25 + 0.2 * rng.random()
    for item in scene.objects:
        _shadow(canvas, item, strength)
        _paint(rng, canvas, item)
    light = 0.94 + 0.12 * rng.random()
    noise = 1 + 4 * rng.random()
    # The sum of two bytes is near enough to normal, and quick to draw; its
    # mean is 255 and its deviation 104.5.
    a, b = rng.integers(0, 256, (2, *canvas.shape), dtype=np.uint8)
    step = noise / 104.5
    grain = cv2.addWeighted(a, step, b, step, -255 * step, dtype=cv2.CV_32F)
    canvas = cv2.addWeighted(canvas, light, grain, 1., 0.)
    return cv2.cvtColor(
        np.rint(canvas).clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
