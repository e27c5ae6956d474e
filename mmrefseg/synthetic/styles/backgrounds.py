# Licensed under the Apache License, Version 2.0.
"""Backgrounds of many kinds: a field of numbers, coloured by a palette."""

import math
from collections.abc import Callable

import cv2
import numpy as np

from .colours import any_colour

Field = Callable[[np.random.Generator, int], np.ndarray]


def _axes(size: int) -> tuple[np.ndarray, np.ndarray]:
    at = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    return at[None], at[:, None]


def _along(rng: np.random.Generator, size: int) -> np.ndarray:
    """Coordinate -0.5..0.5 along a random direction."""
    x, y = _axes(size)
    turn = 2 * math.pi * rng.random()
    if rng.random() < 0.3:
        turn = round(turn / (math.pi / 2)) * (math.pi / 2)
    return x * math.cos(turn) + y * math.sin(turn)


def stretch(values: np.ndarray) -> np.ndarray:
    """Values moved and scaled to 0..1."""
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-6)).astype(np.float32)


def spectral_noise(rng: np.random.Generator, size: int,
                   slope: float) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the power of a slope.

    Args:
        rng (np.random.Generator): Source of the phases.
        size (int): Side in pixels.
        slope (float): 0 is white noise, about 1 what photographs have, 2
            and more are clouds.

    Returns:
        np.ndarray: size x size float32 in 0..1.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    if slope < 0.05:
        return stretch(white.clip(-3, 3))
    wave = np.fft.rfft2(white)
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    frequency = np.sqrt(fx**2 + fy**2)
    frequency[0, 0] = 1.
    wave = wave / frequency**slope
    wave[0, 0] = 0.
    return stretch(np.fft.irfft2(wave, s=(size, size)))


def _photo_noise(rng, size):
    return spectral_noise(rng, size, 0.6 + 1.2 * rng.random())


def _clouds(rng, size):
    return spectral_noise(rng, size, 1.7 + 1.1 * rng.random())


def _white_noise(rng, size):
    coarse = max(8, int(size * (0.15 + 0.85 * rng.random())))
    kind = (cv2.INTER_NEAREST, cv2.INTER_LINEAR,
            cv2.INTER_CUBIC)[int(rng.random() * 3)]
    return cv2.resize(
        rng.random((coarse, coarse), dtype=np.float32), (size, size),
        interpolation=kind)


def _value_noise(rng, size):
    """Octaves of smooth noise on grids, stretched along one axis or not."""
    total = np.zeros((size, size), np.float32)
    long = 1 + int(rng.random() * 5) if rng.random() < 0.4 else 1
    weight, cells = 1., 2 + int(rng.random() * 5)
    for _ in range(5):
        grid = rng.random((cells, max(2, cells // long)), dtype=np.float32)
        total += weight * cv2.resize(
            grid, (size, size), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * (0.35 + 0.35 * rng.random()), cells * 2
    return stretch(total if rng.random() < 0.5 else total.T)


def _gradient(rng, size):
    return stretch(_along(rng, size))


def _radial(rng, size):
    x, y = _axes(size)
    a, b = rng.random(2) - 0.5
    return stretch(np.sqrt((x - a)**2 + (y - b)**2))


def _waves(rng, size):
    return 0.5 + 0.5 * np.sin(_along(rng, size) * (12 + 90 * rng.random()) +
                              6 * rng.random())


def _stripes(rng, size):
    wave = np.sin(_along(rng, size) * (12 + 90 * rng.random()) +
                  6 * rng.random())
    return np.clip((wave - 0.8 * (rng.random() - 0.5)) * 8 + 0.5, 0, 1)


def _warped(rng, size):
    """Marble and wood: waves along a bent coordinate."""
    bend = spectral_noise(rng, size, 1.8)
    straight = _along(rng, size) if rng.random() < 0.6 else _radial(rng, size)
    return 0.5 + 0.5 * np.sin(straight * (10 + 50 * rng.random()) + bend *
                              (4 + 14 * rng.random()))


def _checks(rng, size):
    count = 4 + 16 * rng.random()
    a, b = _along(rng, size), None
    if rng.random() < 0.6:
        x, y = _axes(size)
        a, b = x, y
    else:
        b = a.T[::-1]
    mix = (np.floor(a * count) + np.floor(b * count)) % 2
    return np.broadcast_to(mix, (size, size)).astype(np.float32)


def _lattice(rng, size):
    """Thin lines, as of tiles, bricks or squared paper."""
    x, y = _axes(size)
    count, width = 4 + 14 * rng.random(), 0.05 + 0.12 * rng.random()
    row = np.floor((y + 0.5) * count)
    shift = 0.5 * (row % 2) if rng.random() < 0.5 else 0.
    long = 1 + (rng.random() < 0.5)
    a = np.abs(((x + 0.5) * count / long + shift) % 1 - 0.5) < width / long
    b = np.abs(((y + 0.5) * count) % 1 - 0.5) < width
    tone = 0.4 * rng.random((size, 1), dtype=np.float32)
    return np.maximum(a | b, tone[row.astype(int) % size, 0])


def _dots(rng, size):
    x, y = _axes(size)
    count = 5 + 16 * rng.random()
    a, b = (x + 0.5) * count, (y + 0.5) * count
    if rng.random() < 0.5:
        a = a + 0.5 * (np.floor(b) % 2)
    away = np.sqrt((a % 1 - 0.5)**2 + (b % 1 - 0.5)**2)
    return np.clip((0.18 + 0.2 * rng.random() - away) * 10, 0, 1)


def _spots(rng, size):
    """Noise cut at a level: camouflage, islands, splashes."""
    noise = spectral_noise(rng, size, 1.2 + 1.3 * rng.random())
    level = np.quantile(noise, 0.3 + 0.5 * rng.random())
    return np.clip((noise - level) * (10 + 60 * rng.random()) + 0.5, 0, 1)


def _patches(rng, size):
    """Rectangles, polygons or segments of any grey, one over the other."""
    mix = np.full((size, size), 0.5, np.float32)
    count = 5 + int(rng.random() * 35)
    kind = int(rng.random() * 3)
    for _ in range(count):
        x, y, w, h, value = rng.random(5).tolist()
        x, y = (x * 1.2 - 0.1) * size, (y * 1.2 - 0.1) * size
        w, h = (0.03 + 0.3 * w) * size, (0.03 + 0.3 * h) * size
        if kind == 0:
            corners = np.array([[x, y], [x + w, y], [x + w, y + h],
                                [x, y + h]])
        elif kind == 1:
            corners = np.array([[x, y]]) + (rng.random(
                (3 + int(rng.random() * 4), 2)) - 0.5) * 2 * (w, h)
            corners = cv2.convexHull(corners.astype(np.float32))[:, 0]
        else:
            end = (x + 4 * (w - 0.15 * size), y + 4 * (h - 0.15 * size))
            cv2.line(mix, (int(x), int(y)), (int(end[0]), int(end[1])), value,
                     1 + int(rng.random() * 0.04 * size), cv2.LINE_AA)
            continue
        cv2.fillPoly(mix, [np.round(corners).astype(np.int32)], value,
                     cv2.LINE_AA)
    return mix


def _cells(rng, size):
    """Each pixel has the value of the nearest of some points (Voronoi)."""
    count = 6 + int(rng.random() * 60)
    points = rng.random((count, 2), dtype=np.float32) - 0.5
    x, y = _axes(size)
    best = np.full((size, size), np.inf, np.float32)
    mix = np.zeros((size, size), np.float32)
    shaded = rng.random() < 0.3
    for (a, b), value in zip(points, rng.random(count, dtype=np.float32)):
        away = (x - a)**2 + (y - b)**2
        nearer = away < best
        best[nearer], mix[nearer] = away[nearer], value
    return stretch(np.sqrt(best)) if shaded else mix


def _horizon(rng, size):
    """Two halves, as of ground and sky or floor and wall."""
    x, y = _axes(size)
    edge = 0.35 * (rng.random() - 0.5) + 0.3 * (rng.random() - 0.5) * x
    upper = y + 0 * x < edge
    noise = _value_noise(rng, size)
    return np.where(upper, 0.15 + 0.2 * noise, 0.65 + 0.35 * noise)


FIELDS: tuple[Field, ...] = (_photo_noise, _photo_noise, _clouds, _clouds,
                             _white_noise, _value_noise, _value_noise,
                             _gradient, _gradient, _radial, _waves, _stripes,
                             _warped, _checks, _lattice, _dots, _spots,
                             _spots, _patches, _patches, _cells, _horizon)


def _palette(rng: np.random.Generator, near: bool) -> np.ndarray:
    """2 to 4 colours, all alike or of any kind."""
    count = 2 + int(rng.random() * 3)
    first = any_colour(rng)
    if not near:
        return np.stack([first] + [any_colour(rng) for _ in range(count - 1)])
    reach = 15 + 70 * rng.random()
    light = (rng.random((count, 1)) - 0.5) * 2 * reach
    tint = (rng.random((count, 3)) - 0.5) * reach * 0.6
    return (first + light + tint).clip(0, 255).astype(np.float32)


def _coloured(field: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colours of a palette, between which the values 0..1 lead."""
    at = np.linspace(0, 1, 256) * (len(palette) - 1)
    table = np.stack([
        np.interp(at, np.arange(len(palette)), channel)
        for channel in palette.T
    ], axis=1).astype(np.float32)
    field = np.broadcast_to(field, (field.shape[0], field.shape[-1]))
    return table[(np.clip(field, 0, 1) * 255).astype(np.uint8)]


def draw_any_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A background of one or two layers, of any kind and colour.

    Args:
        rng (np.random.Generator): Source of all choices.
        size (int): Side in pixels.

    Returns:
        np.ndarray: size x size x 3 float32 RGB in 0..255.
    """
    u = rng.random(4)
    image: np.ndarray
    if u[0] < 0.14:
        image = np.empty((size, size, 3), np.float32)
        image[:] = any_colour(rng)
    else:
        field = FIELDS[int(rng.random() * len(FIELDS))](rng, size)
        if not field.shape == (size, size):
            field = np.broadcast_to(field, (size, size))
        image = _coloured(field, _palette(rng, u[1] < 0.6))
    if u[2] < 0.4:
        field = FIELDS[int(rng.random() * len(FIELDS))](rng, size)
        layer = _coloured(
            np.broadcast_to(field, (size, size)),
            _palette(rng, rng.random() < 0.6))
        mix: float | np.ndarray = 0.15 + 0.45 * rng.random()
        if rng.random() < 0.3:
            mix = np.clip(4 * (spectral_noise(rng, size, 2.) - 0.5) + 0.5, 0,
                          1)[..., None]
        image = image + mix * (layer - image)
    if u[3] < 0.25:
        # Grain of its own in each channel, as of sand or cloth.
        slope = 1.2 * rng.random()
        grain = np.stack([spectral_noise(rng, size, slope) for _ in range(3)],
                         axis=-1)
        image = image + (grain - 0.5) * (20 + 90 * rng.random())
    return image.clip(0, 255).astype(np.float32)
