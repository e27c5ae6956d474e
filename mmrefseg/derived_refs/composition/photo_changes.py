# Licensed under the Apache License, Version 2.0.
"""Changes of a whole photo: its colours, and the part of it that is seen."""

import cv2
import numpy as np


def change_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another light, another camera.

    Brightness, contrast, saturation and a slight change of hue always; now
    and then grey, blurred, or with noise.

    Args:
        image (np.ndarray): ``H x W x 3``, uint8, BGR.
        rng (np.random.Generator): Chooses.

    Returns:
        np.ndarray: The same shape and type.
    """
    pixels: np.ndarray = image.astype(np.float32)
    pixels *= rng.uniform(0.7, 1.3)
    mean = float(pixels.mean())
    pixels = (pixels - mean) * rng.uniform(0.7, 1.3) + mean
    saturation = rng.uniform(0.6, 1.4) if rng.random() > 0.05 else 0.
    grey = pixels @ np.array([0.114, 0.587, 0.299], np.float32)
    pixels = grey[..., None] + (pixels - grey[..., None]) * saturation
    pixels *= rng.uniform(0.93, 1.07, 3).astype(np.float32)
    pixels = np.clip(pixels, 0, 255)
    if rng.random() < 0.15:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(2, 10), pixels.shape)
        pixels = np.clip(pixels + noise.astype(np.float32), 0, 255)
    return pixels.astype(np.uint8)


def zoom_matrix(width: int, height: int, size: tuple[int, int], zoom: float,
                flip: bool, rng: np.random.Generator) -> np.ndarray:
    """Matrix that maps a photo onto a canvas of the same shape.

    Args:
        width, height (int): Of the photo.
        size (tuple[int, int]): Width and height of the canvas.
        zoom (float): Above 1 a random part fills the canvas, below 1 the
            photo fills a random part of it.
        flip (bool): Left becomes right.
        rng (np.random.Generator): Chooses the part.

    Returns:
        np.ndarray: ``2 x 3``, float64, for ``cv2.warpAffine``.
    """
    scale = zoom * size[0] / width, zoom * size[1] / height
    free = size[0] * (1 - zoom), size[1] * (1 - zoom)
    shift = [rng.random() * free[0], rng.random() * free[1]]
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    if flip:
        matrix[0] = -matrix[0, 0], 0, matrix[0, 2] + width * scale[0]
    # Pixel centres lie at halves: keep them there.
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return matrix


def fill_around(image: np.ndarray, size: tuple[int, int],
                rng: np.random.Generator) -> np.ndarray:
    """What lies around a photo that does not fill the canvas: nothing that
    could be taken for a thing."""
    width, height = size
    if rng.random() < 0.5:
        tiny = cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA)
        return cv2.resize(tiny, size, interpolation=cv2.INTER_CUBIC)
    colour = image.reshape(-1, 3).mean(0) if rng.random() < 0.5 else (
        rng.uniform(0, 255, 3))
    return np.broadcast_to(
        np.asarray(colour, np.float64).astype(np.uint8),
        (height, width, 3)).copy()


def warp_mask(mask: np.ndarray, matrix: np.ndarray,
              size: tuple[int, int]) -> np.ndarray:
    """A mask mapped onto a canvas, ``height x width``, bool."""
    warped = cv2.warpAffine(
        mask.astype(np.uint8) * 255, matrix, size, flags=cv2.INTER_LINEAR)
    return warped >= 128
