# Licensed under the Apache License, Version 2.0.
"""Scenes as drawings on paper, by Pillow: crayon on washes and hatching."""

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from ..scenes import Scene, SceneObject

_FINE = 3  # subpixels per pixel and side
_CRAYON = {
    'red': '#c8202f',
    'green': '#2f8f3a',
    'blue': '#2a55c4',
    'yellow': '#f2d42e',
    'purple': '#7b3aa6',
    'orange': '#ee8322',
    'white': '#f8f6f0',
    'black': '#1f1d20',
}
_PAPER = ('#efe6d2', '#d9d4c8', '#c9d6dc', '#dcc9b6', '#b9c4ae', '#8f98a3',
          '#a88f7a', '#5c6470')
_WASH = ('#8fb7c9', '#c98f8f', '#a5b26a', '#8b7bb0', '#d0a04e', '#6f8f7d',
         '#4f6d9a', '#a5533f', '#e0d9c6', '#3f4a44')


def _pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.random() * len(items))]


def _grain(rng: np.random.Generator, size: int, soft: float) -> Image.Image:
    """Tooth of the paper, 'L', of middle 128."""
    data = rng.integers(0, 256, size * size, dtype=np.uint8).tobytes()
    image = Image.frombytes('L', (size, size), data)
    return ImageOps.autocontrast(
        image.filter(ImageFilter.GaussianBlur(soft)), cutoff=1)


def _wash(rng: np.random.Generator, size: int) -> Image.Image:
    """Paper with a wash from one side or from a spot, and water marks."""
    ramp = Image.linear_gradient('L') if rng.random() < 0.6 else (
        Image.radial_gradient('L'))
    ramp = ramp.rotate(360 * rng.random(), Image.Resampling.BICUBIC, False)
    ramp = ramp.crop((38, 38, 218, 218)).resize((size, size))
    sheet = ImageOps.colorize(ramp, _pick(rng, _PAPER), _pick(rng, _WASH))
    marks = Image.new('L', (size, size), 0)
    pen = ImageDraw.Draw(marks)
    for _ in range(int(rng.random() * 6)):
        x, y, a, b = (rng.random(4) * size).tolist()
        pen.ellipse((x - a / 3, y - b / 3, x + a / 3, y + b / 3),
                    fill=int(60 + 120 * rng.random()))
    marks = marks.filter(ImageFilter.GaussianBlur(size * 0.015))
    sheet.paste(_pick(rng, _WASH), mask=marks)
    return sheet


def _hatch(rng: np.random.Generator, sheet: Image.Image) -> None:
    """Pencil strokes across parts of the sheet."""
    pen = ImageDraw.Draw(sheet, 'RGBA')
    size = sheet.width
    for _ in range(int(rng.random() * 4)):
        x, y = (rng.random(2) * size).tolist()
        turn = math.pi * rng.random()
        ink = (*[int(30 + 90 * rng.random())] * 3, int(50 + 90 * rng.random()))
        gap = size * (0.012 + 0.02 * rng.random())
        long = size * (0.15 + 0.4 * rng.random())
        c, s = math.cos(turn), math.sin(turn)
        for k in range(-14, 15):
            shift = k * gap + gap * 0.4 * (rng.random() - 0.5)
            a, b = long * (0.8 + 0.4 * rng.random(2))
            px, py = x - shift * s, y + shift * c
            pen.line((px - a * c, py - a * s, px + b * c, py + b * s), ink,
                     int(_FINE * (0.6 + rng.random())))


def _stripes(rng: np.random.Generator, item: SceneObject,
             size: int) -> Image.Image:
    """Bands of a striped thing, 'L'."""
    bands = Image.new('L', (size * _FINE, size * _FINE), 0)
    pen = ImageDraw.Draw(bands)
    middle = item.outline.mean(axis=0) * _FINE
    reach = np.linalg.norm(item.outline * _FINE - middle, axis=1).max() * 1.1
    period = max(reach / (2.2 + 1.5 * rng.random()), 3.5 * _FINE)
    turn = math.pi * rng.random()
    c, s = math.cos(turn), math.sin(turn)
    for k in np.arange(-reach, reach + period, period):
        x, y = middle[0] - k * s, middle[1] + k * c
        pen.line((x - reach * c, y - reach * s, x + reach * c, y + reach * s),
                 255, max(1, round(0.4 * period)))
    return bands


def _colour_in(rng: np.random.Generator, sheet: Image.Image,
               item: SceneObject, pressure: float) -> None:
    """Fills a thing with crayon and goes round it by pencil."""
    size = sheet.width // _FINE
    corners = [tuple(p) for p in (item.outline * _FINE).tolist()]
    shape = Image.new('L', sheet.size, 0)
    ImageDraw.Draw(shape).polygon(corners, fill=255)
    tooth = _grain(rng, sheet.width, 0.5 * _FINE).point(
        lambda v: min(255, int(255 * pressure + max(0, v - 60))))
    colour = _CRAYON[item.colour]
    sheet.paste(colour, mask=ImageChops.multiply(shape, tooth))
    if item.pattern == 'striped':
        bands = ImageChops.multiply(_stripes(rng, item, size), shape)
        band = {'white': '#8d8a86', 'black': '#a5a29c'}.get(item.colour)
        if band is None:
            band = '#f4efe2' if rng.random() < 0.5 else '#3a3535'
        sheet.paste(band, mask=ImageChops.multiply(bands, tooth))
    pen = ImageDraw.Draw(sheet, 'RGBA')
    ring = np.array(corners + corners[:1])
    for _ in range(1 + int(rng.random() * 2)):
        wobble = ring + rng.standard_normal(ring.shape) * 0.35 * _FINE
        wobble[-1] = wobble[0]
        pen.line([tuple(p) for p in wobble.tolist()], (40, 36, 38, 150),
                 max(1, round(0.7 * _FINE)), 'curve')


def render_paper(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Draws a scene with crayon and pencil on paper.

    Args:
        rng (np.random.Generator): Source of all choices.
        scene (Scene): What to draw, of named things only.

    Returns:
        np.ndarray: size x size x 3 uint8, BGR as OpenCV writes it.
    """
    sheet = _wash(rng, scene.size * _FINE)
    _hatch(rng, sheet)
    pressure = 0.55 + 0.4 * rng.random()
    for item in scene.objects:
        _colour_in(rng, sheet, item, pressure)
    tooth = _grain(rng, sheet.width, 0.45 * _FINE)
    tooth = tooth.point(lambda v: 205 + v * 50 // 255)
    sheet = ImageChops.multiply(sheet, tooth.convert('RGB'))
    sheet = sheet.resize((scene.size, scene.size), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(sheet)[..., ::-1])
