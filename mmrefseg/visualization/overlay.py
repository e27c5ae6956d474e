# Licensed under the Apache License, Version 2.0.
"""Pictures with a sentence above and the mask of its referent."""

import cv2
import numpy as np
from PIL import Image

from mmrefseg.fileio.masks import mask_iou
from .text import Color, draw_line, line_height, text_width, wrap_text

PREDICTION_COLOR: Color = (255, 64, 64)
TRUTH_COLOR: Color = (40, 230, 200)
BANNER_COLOR: Color = (28, 30, 36)
TEXT_COLOR: Color = (245, 245, 245)
FAINT_COLOR: Color = (170, 174, 184)
FILLED, DASHED = '\u25a0 ', '\u2505\u2505 '  # marks of a legend


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Check an image (HxW, HxWx1 or HxWx3, uint8) and make it HxWx3."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(
            'An image to draw on is a uint8 array of HxW or HxWx3, not '
            f'{image.dtype} of shape {image.shape}.')
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def drawing_size(height: int,
                 width: int,
                 min_side: int = 448,
                 max_side: int | None = 1600) -> tuple[int, int]:
    """Height and width to draw at: a small image is enlarged until lines and
    letters are fine enough, a huge one reduced; the ratio stays.

    The shorter side gets ``min_side`` pixels at least, unless the longer one
    would exceed ``max_side`` (None means no limit).
    """
    scale = max(1., min_side / min(height, width))
    if max_side is not None:
        scale = min(scale, max_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (height, width): cubic when enlarging, by area otherwise."""
    if image.shape[:2] == tuple(size):
        return image
    larger = size[0] > image.shape[0] or size[1] > image.shape[1]
    return cv2.resize(
        image, (size[1], size[0]),
        interpolation=cv2.INTER_CUBIC if larger else cv2.INTER_AREA)


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask (HxW or 1xHxW, not 0 on the referent) to (height, width)
    with a smooth edge, as bool. One that is not empty stays so."""
    mask = np.asarray(mask)
    if mask.ndim == 3 and mask.shape[0] == 1:
        mask = mask[0]
    if mask.ndim != 2:
        raise ValueError(f'A mask is an array of HxW, not {mask.shape}.')
    mask = (mask != 0)
    if mask.shape == tuple(size):
        return mask
    soft = resize_image(mask.astype(np.float32), size)
    if mask.any() and soft.max() <= 0.5:
        # thinner than a pixel when reduced: keep what covers most
        return soft >= soft.max()
    return soft > 0.5


def line_thickness(mask: np.ndarray) -> int:
    """Thickness in pixels of a mask's outline: it grows with the picture,
    but stays fine around a small thing, which it would hide."""
    of_picture = 0.0045 * mask.size**0.5
    of_thing = 0.04 * float(mask.sum())**0.5
    return max(2, round(min(of_picture, of_thing)))


def _contours(mask: np.ndarray) -> list[np.ndarray]:
    # a frame of zeros closes an outline along the picture's edge
    padded = np.pad(mask.astype(np.uint8), 1)
    found = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [points - 1 for points in found[-2]]


def draw_outline(image: np.ndarray,
                 mask: np.ndarray,
                 color: Color,
                 thickness: int,
                 dashed: bool = False) -> None:
    """Draw the outline of a mask (HxW, bool) into an image (HxWx3, RGB), in
    place, cased so that it shows on any ground; ``thickness`` in pixels is
    that without the casing."""
    dash, period = 4 + 4 * thickness, 7 + 7 * thickness
    casing = 2 * max(1, thickness // 2)
    pieces = []
    for points in _contours(mask):
        if not dashed or len(points) < period:
            pieces.append((points, True))
            continue
        # a whole number of periods, so that first and last dash do not meet
        period_here = len(points) / max(1, round(len(points) / period))
        for start in np.arange(0, len(points) - 1e-6, period_here):
            pieces.append(
                (points[int(start):int(start + period_here * dash / period)],
                 False))
    dark = (255, 255, 255) if not dashed else (0, 40, 36)
    for width, shade in ((thickness + casing, dark), (thickness, color)):
        for points, closed in pieces:
            cv2.polylines(image, [points], closed, shade, width, cv2.LINE_AA)


def highlight(image: np.ndarray,
              mask: np.ndarray,
              color: Color = PREDICTION_COLOR,
              alpha: float = 0.3,
              dim: float = 0.25) -> np.ndarray:
    """Tint a mask (HxW, bool) by a share ``alpha``, dim what is around it by
    a share ``dim``, and draw its outline, all in a new image (HxWx3, uint8,
    RGB). An empty mask leaves the image as it is."""
    if not mask.any():
        return image.copy()
    out = image.astype(np.float32)
    tinted = (1 - alpha) * out + alpha * np.asarray(color, np.float32)
    out = np.where(mask[..., None], tinted, (1 - dim) * out)
    out = np.clip(out + 0.5, 0, 255).astype(np.uint8)
    draw_outline(out, mask, color, line_thickness(mask))
    return out


def add_banner(image: np.ndarray,
               text: str,
               legend: list[tuple[str, Color, str]] | None = None,
               max_lines: int = 4) -> np.ndarray:
    """Put a banner with a sentence, and a legend below it, above a picture.

    Args:
        image (np.ndarray): HxWx3, uint8, RGB.
        text (str): The sentence; long ones are wrapped.
        legend (list[tuple], optional): Entries (mark, colour, words): text
            in that colour, then faint text.
        max_lines (int): Most lines of the sentence. Defaults to 4.

    Returns:
        np.ndarray: (H + banner)xWx3, uint8.
    """
    height, width = image.shape[:2]
    size = int(np.clip(round(0.034 * (height * width)**0.5), 17, 48))
    small = max(13, round(0.72 * size))
    margin = round(0.7 * size)
    lines = wrap_text(text, width - 2 * margin, size, max_lines)
    rows = _legend_rows(legend or [], width - 2 * margin, small)
    step, small_step = line_height(size), line_height(small)
    gap = small // 4 if rows else 0
    height = margin + step * len(lines) + gap + small_step * len(rows)
    banner = Image.new('RGB', (width, height), BANNER_COLOR)
    y = margin // 2
    for line in lines:
        draw_line(banner, (margin, y + step // 2), line, size, TEXT_COLOR)
        y += step
    y += gap
    for row in rows:
        x = margin
        for mark, color, words in row:
            x = draw_line(banner, (x, y + small_step // 2), mark, small, color)
            x = draw_line(banner, (x, y + small_step // 2), words, small,
                          FAINT_COLOR) + small
        y += small_step
    return np.concatenate([np.asarray(banner), image])


def _legend_rows(legend: list[tuple[str, Color, str]], width: int,
                 size: int) -> list[list[tuple[str, Color, str]]]:
    """Distribute the entries of a legend over rows of at most ``width``."""
    rows: list[list] = []
    used = 0
    for entry in legend:
        need = text_width(entry[0] + entry[2], size) + size
        if not rows or used + need > width:
            rows.append([])
            used = 0
        rows[-1].append(entry)
        used += need
    return rows


def draw_referring_overlay(image: np.ndarray,
                           mask: np.ndarray | None = None,
                           text: str | None = None,
                           gt: np.ndarray | None = None,
                           *,
                           alpha: float = 0.3,
                           dim: float = 0.25,
                           min_side: int = 448,
                           max_side: int | None = 1600,
                           legend: bool = True) -> np.ndarray:
    """Draw a sentence and the mask of its referent.

    The predicted mask is tinted and outlined, and its surroundings are
    dimmed; the true mask is a dashed outline in another colour. The sentence
    stands in a banner above the picture and hides nothing of it.

    Args:
        image (np.ndarray): HxWx3 RGB (or HxW grey), uint8.
        mask (np.ndarray, optional): hxw, the predicted mask, not 0 on the
            referent. Any size; it is stretched to the image.
        text (str, optional): The sentence. Without it there is no banner.
        gt (np.ndarray, optional): hxw, the true mask.
        alpha (float): Share of the tint, 0 to 1. Defaults to 0.3.
        dim (float): How much darker the surroundings are, 0 to 1. Defaults
            to 0.25.
        min_side (int): Smaller images are enlarged. Defaults to 448.
        max_side (int, optional): Larger images are reduced; None draws them
            at their size. Defaults to 1600.
        legend (bool): Whether the banner explains the colours and, with both
            masks given, gives the IoU at the size of ``gt``. Defaults to
            True.

    Returns:
        np.ndarray: The picture, RGB, uint8.
    """
    image = to_rgb(image)
    size = drawing_size(image.shape[0], image.shape[1], min_side, max_side)
    out = resize_image(image, size)
    entries = []
    if mask is not None:
        drawn = resize_mask(mask, size)
        out = highlight(out, drawn, PREDICTION_COLOR, alpha, dim)
        entries.append(_entry(FILLED, PREDICTION_COLOR, 'prediction', drawn))
    if gt is not None:
        true = resize_mask(gt, size)
        out = out.copy() if mask is None else out
        draw_outline(out, true, TRUTH_COLOR, line_thickness(true), dashed=True)
        entries.append(_entry(DASHED, TRUTH_COLOR, 'ground truth', true))
    if mask is not None and gt is not None:
        label = resize_mask(gt, np.asarray(gt).shape[-2:])
        iou = mask_iou(resize_mask(mask, label.shape), label)
        entries.append(('', TEXT_COLOR, f'IoU {100 * iou:.1f}'))
    if text is None:
        return out
    return add_banner(out, text, entries if legend else None)


def _entry(mark: str, color: Color, words: str,
           mask: np.ndarray) -> tuple[str, Color, str]:
    return (mark, color, words) if mask.any() else ('', color,
                                                    f'{words}: empty')
