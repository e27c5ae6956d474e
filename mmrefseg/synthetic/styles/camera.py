# Licensed under the Apache License, Version 2.0.
"""What light, lens, sensor and file do to a picture."""

import math

import cv2
import numpy as np

from .backgrounds import spectral_noise


def light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Uneven light: a gradient, a vignette, a lamp, shadows or none."""
    size = len(image)
    at = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = at[None], at[:, None]
    kind, depth = rng.random(2)
    depth = 0.1 + 0.35 * depth
    if kind < 0.45:
        return image
    if kind < 0.65:
        turn = 2 * math.pi * rng.random()
        factor = 1 + depth * (x * math.cos(turn) + y * math.sin(turn))
    elif kind < 0.78:
        factor = 1.1 - 1.6 * depth * (x**2 + y**2)
    elif kind < 0.88:
        a, b = rng.random(2) - 0.5
        factor = 0.85 + depth * np.exp(-6 * ((x - a)**2 + (y - b)**2))
    elif kind < 0.95:
        factor = 1 + depth * (spectral_noise(rng, size, 2.2) - 0.6)
    else:  # the edge of a shadow
        turn = 2 * math.pi * rng.random()
        along = x * math.cos(turn) + y * math.sin(turn)
        factor = 1 - depth * np.clip(along * 30 + 4 * (rng.random() - 0.5), 0,
                                     1)
    return image * np.asarray(factor, np.float32)[..., None]


def tone(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Contrast, brightness, gamma and a slight cast; names stay true."""
    u = rng.random(6)
    if u[0] < 0.35:
        return image
    image = (image.clip(0, 255) / 255)**(0.8 + 0.5 * u[1])
    contrast = 0.75 + 0.35 * u[2]
    image = (image - 0.5) * contrast + 0.5 + (u[3] - 0.5) * 0.12
    cast = 1 + (rng.random(3).astype(np.float32) - 0.5) * 0.12
    return image * cast * 255


def blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Out of focus, moved, or enlarged from fewer pixels; or sharp."""
    size, kind, amount = len(image), *rng.random(2)
    if kind < 0.5:
        return image
    if kind < 0.75:
        sigma = (0.3 + 0.9 * amount) * size / 128
        return cv2.GaussianBlur(image, (0, 0), sigma)
    if kind < 0.85:
        length = 2 + int(amount * 0.025 * size)
        kernel = np.zeros((length, length), np.float32)
        direction = int(rng.random() * 3)
        if direction == 0:
            kernel[length // 2] = 1
        elif direction == 1:
            kernel[:, length // 2] = 1
        else:
            np.fill_diagonal(kernel, 1)
        return cv2.filter2D(image, -1, kernel / length)
    if kind < 0.95:
        small = max(72, int(size * (0.45 + 0.5 * amount)))
        coarse = cv2.resize(
            image, (small, small), interpolation=cv2.INTER_AREA)
        kind = (cv2.INTER_NEAREST, cv2.INTER_LINEAR,
                cv2.INTER_CUBIC)[int(rng.random() * 3)]
        return cv2.resize(coarse, (size, size), interpolation=kind)
    soft = cv2.GaussianBlur(image, (0, 0), size / 110)
    return image + (0.4 + amount) * (image - soft)


def noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Noise of a sensor: grey, coloured, coarse, or single wrong pixels."""
    size, (kind, amount) = len(image), rng.random(2)
    if kind < 0.3:
        return image
    deviation = 1 + 17 * amount**1.5
    if kind < 0.6:
        grain = rng.standard_normal((size, size, 3), dtype=np.float32)
    elif kind < 0.8:
        grain = rng.standard_normal((size, size, 1), dtype=np.float32)
    elif kind < 0.92:
        half = (size + 1) // 2
        grain = cv2.resize(
            rng.standard_normal((half, half, 3), dtype=np.float32),
            (size, size),
            interpolation=cv2.INTER_LINEAR) * 1.5
    else:
        wrong = rng.random((size, size, 1)) < 0.015 * amount
        value = np.where(rng.random((size, size, 1)) < 0.5, 0., 255.)
        return np.where(wrong, value, image).astype(np.float32)
    return image + grain * deviation


def save_and_load(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Few colours or a JPEG file of any quality.

    Args:
        rng (np.random.Generator): Source of the choices.
        image (np.ndarray): H x W x 3 uint8 BGR.

    Returns:
        np.ndarray: H x W x 3 uint8 BGR.
    """
    kind, amount = rng.random(2)
    if kind < 0.06:
        step = 8 + int(amount * 26)
        return (image // step * step + step // 2).clip(0, 255).astype(np.uint8)
    if kind < 0.35:
        return image
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    if rng.random() < 0.4:
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    done, data = cv2.imencode('.jpg', image, [
        cv2.IMWRITE_JPEG_QUALITY,
        int(28 + 68 * amount), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling
    ])
    loaded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert done and loaded is not None
    return loaded


def photograph(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Light, tone, blur, noise and file, each of a random kind.

    Args:
        rng (np.random.Generator): Source of all choices.
        canvas (np.ndarray): size x size x 3 float32 RGB in 0..255.

    Returns:
        np.ndarray: size x size x 3 uint8 BGR.
    """
    for step in (light, tone, blur, noise):
        canvas = step(rng, np.asarray(canvas, np.float32))
    image = np.rint(canvas).clip(0, 255).astype(np.uint8)
    return save_and_load(rng, np.ascontiguousarray(image[..., ::-1]))
