# Licensed under the Apache License, Version 2.0.
"""How things are painted: colour, texture, stripes, edge and shadow."""

import math

import cv2
import numpy as np

from ..scenes import Scene, SceneObject
from ..shapes import BODY_RGB, coverage
from .backgrounds import spectral_noise
from .colours import named_colour

TEXTURES = ('flat', 'flat', 'flat', 'slope', 'slope', 'round', 'noise',
            'grain', 'blotches', 'specks')
EDGES = ('antialiased', 'antialiased', 'antialiased', 'hard', 'soft')
LINES = ('none', 'none', 'none', 'none', 'dark', 'dark', 'black', 'white',
         'shade', 'light')
SHADOWS = ('none', 'none', 'none', 'soft', 'soft', 'hard', 'glow')
# A thing nearer than this to what surrounds it gets a line around it.
_MIN_CONTRAST = 62.


def _pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.random() * len(items))]


class SurfaceStyle:
    """What all things of one scene have in common.

    Args:
        rng (np.random.Generator): Source of the choices.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.textures = [_pick(rng, TEXTURES)]
        if rng.random() < 0.25:
            self.textures = list(TEXTURES)  # each thing its own
        self.edge = _pick(rng, EDGES)
        self.line = _pick(rng, LINES)
        self.shadow = _pick(rng, SHADOWS)
        u = rng.random(12)
        self.line_width = 0.004 + 0.018 * u[0]  # of the side of the image
        self.line_strength = 0.35 + 0.65 * u[1]
        self.shadow_strength = 0.2 + 0.45 * u[2]
        self.shadow_angle = 2 * math.pi * u[3]
        self.shadow_drop = 0.006 + 0.03 * u[4]
        self.strength = 0.08 + 0.30 * u[5]  # of the texture
        self.solid = 0.82 + 0.18 * u[6] if u[7] < 0.12 else 1.
        self.spread = 24 * u[8]
        self.same_colours = u[9] < 0.6
        self.colours = {
            name: named_colour(rng, name) for name in (*BODY_RGB, 'grey')
        }
        if u[10] < 0.25:  # the plain colours of the names
            self.colours.update(
                (k, np.array(v, np.float32)) for k, v in BODY_RGB.items())
        self.stripe_angle = math.pi * u[11] if rng.random() < 0.5 else None
        v = rng.random(4)
        self.stripe_period = 0.17 + 0.20 * v[0]
        self.stripe_share = 0.30 + 0.17 * v[1]
        self.stripe_soft = v[2] < 0.2
        self.stripe_kind = ('light', 'dark', 'white', 'black',
                            'grey')[int(v[3] * 5)]

    def colour(self, rng: np.random.Generator, name: str) -> np.ndarray:
        """The body's colour of one thing."""
        body = self.colours[name]
        if not self.same_colours:
            body = named_colour(rng, name)
        return body + (rng.random(3).astype(np.float32) - 0.5) * self.spread

    def stripe_colour(self, body: np.ndarray, name: str) -> np.ndarray:
        """The stripes' colour; it must not make another name as true."""
        kind = self.stripe_kind
        if name == 'white':
            kind = 'grey' if kind in ('white', 'light') else kind
        elif name == 'black':
            kind = 'grey' if kind in ('black', 'dark') else kind
        elif name in ('yellow', 'orange') and kind == 'light':
            kind = 'dark'
        return np.asarray(
            dict(
                light=body + 0.72 * (255 - body),
                dark=body * 0.42,
                white=np.full(3, 245.),
                black=np.full(3, 18.),
                grey=np.full(3, 138.))[kind], np.float32)


def _texture(rng: np.random.Generator, kind: str, height: int, width: int,
             strength: float) -> np.ndarray:
    """Factors around 1 for the light of a surface, height x width x 1."""
    ys = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    xs = (np.arange(width, dtype=np.float32)[None] + 0.5) / width - 0.5
    mix: np.ndarray
    if kind == 'slope':
        turn = 2 * math.pi * rng.random()
        mix = xs * math.cos(turn) + ys * math.sin(turn)
    elif kind == 'round':
        a, b = (rng.random(2) - 0.5) * 0.5
        mix = 0.4 - 1.2 * np.sqrt((xs - a)**2 + (ys - b)**2)
    elif kind in ('noise', 'grain', 'blotches'):
        slope = dict(grain=0., noise=1., blotches=2.)[kind]
        side = max(height, width)
        mix = spectral_noise(rng, side, slope)[:height, :width] - 0.5
        mix = mix * 1.3
    elif kind == 'specks':
        mix = -1. * (rng.random((height, width), dtype=np.float32) < 0.06)
        mix = cv2.GaussianBlur(mix.astype(np.float32), (3, 3), 0) * 2
    else:
        return np.ones((1, 1, 1), np.float32)
    return (1 + 2 * strength * np.asarray(mix, np.float32))[..., None]


def _shadow(canvas: np.ndarray, item: SceneObject, style: SurfaceStyle,
            scale: float) -> None:
    """Darkens (or, as a glow, lightens) what lies behind a thing."""
    size = len(canvas)
    drop = style.shadow_drop * size
    dx, dy = drop * math.cos(style.shadow_angle), drop * math.sin(
        style.shadow_angle)
    if style.shadow == 'glow':
        dx = dy = 0.
    points = item.outline + (dx, dy)
    pad = int(3 + 0.06 * size)
    x0, y0 = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0).tolist()
    x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int) + pad,
                        size).tolist()
    alpha: np.ndarray = coverage(points, (x0, y0, x1, y1))
    alpha = alpha.astype(np.float32) / 255
    if style.shadow != 'hard':
        alpha = cv2.GaussianBlur(alpha, (0, 0), max(0.5, 0.016 * size * scale))
    region = canvas[y0:y1, x0:x1]
    alpha = alpha[..., None] * style.shadow_strength
    if style.shadow == 'glow':
        region += alpha * (255 - region)
    else:
        region *= 1 - alpha


def _line_colour(kind: str, body: np.ndarray) -> np.ndarray:
    return np.asarray(
        dict(
            dark=body * 0.35,
            black=np.full(3, 12.),
            white=np.full(3, 248.),
            shade=body * 0.65,
            light=body + 0.6 * (255 - body))[kind], np.float32)


def paint(rng: np.random.Generator, canvas: np.ndarray, item: SceneObject,
          style: SurfaceStyle) -> None:
    """Draws one thing onto the canvas.

    Args:
        rng (np.random.Generator): Source of what differs between things.
        canvas (np.ndarray): size x size x 3 float32 RGB, changed in place.
        item (SceneObject): The thing.
        style (SurfaceStyle): Of the scene.
    """
    size = len(canvas)
    body = style.colour(rng, item.colour)
    if style.shadow != 'none':
        _shadow(canvas, item, style, 0.5 + rng.random())
    x0, y0, x1, y1 = item.box
    height, width = y1 - y0, x1 - x0
    region = canvas[y0:y1, x0:x1]
    inside = item.alpha >= 128
    alpha: np.ndarray = item.alpha.astype(np.float32) / 255
    if style.edge == 'hard':
        alpha = inside.astype(np.float32)
    elif style.edge == 'soft':
        alpha = cv2.GaussianBlur(alpha, (0, 0), max(0.4, size / 220))
    texture = style.textures[int(rng.random() * len(style.textures))]
    colour = body * np.ones((height, width, 1), np.float32)
    if item.pattern == 'striped':
        turn = style.stripe_angle
        turn = math.pi * rng.random() if turn is None else turn
        ys = np.arange(height, dtype=np.float32)[:, None] - height / 2
        xs = np.arange(width, dtype=np.float32)[None] - width / 2
        along = xs * math.cos(turn) + ys * math.sin(turn)
        root = math.sqrt(float(alpha.sum()))
        period = max(style.stripe_period * root, 0.024 * size, 3.2)
        phase = along / period + rng.random()
        away = np.abs(phase - np.floor(phase) - 0.5)
        sharp = 2.5 if style.stripe_soft else period
        mix = np.clip((style.stripe_share / 2 - away) * sharp + 0.5, 0, 1)
        stripe = style.stripe_colour(body, item.colour)
        colour = colour + mix[..., None] * (stripe - colour)
    else:
        rng.random(2)
    colour = colour * _texture(rng, texture, height, width, style.strength)
    line, strength = style.line, style.line_strength
    if line == 'none' or strength < 0.8:
        around = (alpha > 0.02) & (alpha < 0.6)
        if around.any():
            gap = np.abs(region[around] - body).sum(-1)
            if np.quantile(gap, 0.4) < _MIN_CONTRAST:
                line = 'light' if body.mean() < 70 else 'dark'
                strength = 0.9
    if line != 'none':
        edge = coverage(
            item.outline, item.box, edge=max(style.line_width * size, 0.9))
        edge = edge.astype(np.float32)[..., None] * (strength / 255)
        colour = colour + edge * (_line_colour(line, body) - colour)
    region += alpha[..., None] * style.solid * (colour - region)


def paint_all(rng: np.random.Generator, canvas: np.ndarray,
              scene: Scene) -> None:
    """Draws all things of a scene in one style, in painter's order."""
    style = SurfaceStyle(rng)
    for item in scene.objects:
        paint(rng, canvas, item, style)
