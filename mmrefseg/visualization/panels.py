# Licensed under the Apache License, Version 2.0.
"""Heat maps over pictures, and pictures side by side."""

from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from PIL import Image

from .overlay import (BANNER_COLOR, FAINT_COLOR, TEXT_COLOR, resize_image,
                      to_rgb)
from .text import clean_text, draw_line, line_height, text_width, wrap_text

COLORMAP = 'turbo'


def draw_heat_map(image: np.ndarray,
                  heat: np.ndarray,
                  alpha: float = 0.75,
                  vmax: float | None = 1.) -> np.ndarray:
    """Lay a heat map over the grey version of an image.

    Args:
        image (np.ndarray): HxWx3 RGB (or HxW grey), uint8.
        heat (np.ndarray): hxw, float, 0 or more; stretched to the image.
        alpha (float): Share of the heat map where it is hottest, 0 to 1; a
            third of that where it is coldest, so that the image stays to be
            seen. Defaults to 0.75.
        vmax (float, optional): The value shown in the hottest colour; 0 is
            the coldest. None takes the map's maximum. Defaults to 1.

    Returns:
        np.ndarray: HxWx3, uint8, RGB.
    """
    image = to_rgb(image)
    heat = np.asarray(heat, dtype=np.float32)
    if heat.ndim == 3 and heat.shape[0] == 1:
        heat = heat[0]
    heat = np.nan_to_num(heat)
    height, width = image.shape[:2]
    heat = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    top = float(heat.max()) if vmax is None else vmax
    heat = np.clip(heat / top, 0, 1) if top > 0 else np.zeros_like(heat)
    colors = matplotlib.colormaps[COLORMAP](heat)[..., :3] * 255
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    share = alpha * (1 + 2 * heat[..., None]) / 3
    out = (1 - share) * grey + share * colors
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def _caption(title: str, width: int, size: int) -> np.ndarray:
    strip = Image.new('RGB', (width, line_height(size) + size // 2),
                      BANNER_COLOR)
    line = wrap_text(clean_text(title), width - size, size, max_lines=1)[0]
    x = (width - text_width(line, size)) // 2
    draw_line(strip, (max(x, 0), strip.height // 2), line, size, TEXT_COLOR)
    return np.asarray(strip)


def draw_panels(panels: Sequence[tuple[str, np.ndarray]],
                *,
                columns: int | None = None,
                panel_width: int = 320,
                gap: int = 6) -> np.ndarray:
    """Lay captioned pictures out in a grid.

    Args:
        panels (sequence[tuple[str, np.ndarray]]): Caption and picture (HxWx3
            RGB or HxW grey, uint8) of each panel. Pictures are scaled to
            the width of a panel; where heights differ, the lower ones are
            centred.
        columns (int, optional): Panels in a row. Defaults to the number of
            panels, at most 4.
        panel_width (int): In pixels. Defaults to 320.
        gap (int): Space between panels in pixels. Defaults to 6.

    Returns:
        np.ndarray: The grid, RGB, uint8.

    Raises:
        ValueError: If there is no panel.
    """
    if len(panels) == 0:
        raise ValueError('draw_panels needs at least one panel.')
    columns = min(len(panels), columns or 4)
    size = int(np.clip(round(0.055 * panel_width), 13, 30))
    cells: list[np.ndarray] = []
    for title, image in panels:
        image = to_rgb(image)
        height = max(1, round(image.shape[0] * panel_width / image.shape[1]))
        cells.append(
            np.concatenate([
                _caption(title, panel_width, size),
                resize_image(image, (height, panel_width))
            ]))
    tallest = max(cell.shape[0] for cell in cells)
    rows = -(-len(cells) // columns)
    canvas = np.empty((rows * tallest + (rows - 1) * gap,
                       columns * panel_width + (columns - 1) * gap, 3),
                      np.uint8)
    canvas[:] = BANNER_COLOR
    for i, cell in enumerate(cells):
        y = (i // columns) * (tallest + gap)
        x = (i % columns) * (panel_width + gap)
        y += (tallest - cell.shape[0]) // 2
        canvas[y:y + cell.shape[0], x:x + panel_width] = cell
    return canvas


def draw_color_bar(width: int,
                   words: str,
                   height: int | None = None,
                   size: int = 16) -> np.ndarray:
    """A strip (height x width x 3, RGB) that explains the colours of a heat
    map from 0 to 1.

    The words stand at its lower end; ``height`` defaults to what they need.
    """
    needed = line_height(size) + size // 2
    height = max(needed, height or 0)
    strip = Image.new('RGB', (width, height), BANNER_COLOR)
    y, bar = height - needed // 2, min(7 * size, width // 3)
    line = wrap_text(words, max(size, width - bar - 5 * size), size, 1)[0]
    x = draw_line(strip, (size, y), line, size, TEXT_COLOR) + size
    x = draw_line(strip, (x, y), '0', size, FAINT_COLOR) + size // 3
    ramp = matplotlib.colormaps[COLORMAP](np.linspace(0, 1, bar))[:, :3] * 255
    ramp = np.repeat(ramp[None].astype(np.uint8), round(0.7 * size), axis=0)
    strip.paste(Image.fromarray(ramp), (x, y - ramp.shape[0] // 2))
    draw_line(strip, (x + bar + size // 3, y), '1', size, FAINT_COLOR)
    return np.asarray(strip)


def hstack(left: np.ndarray, right: np.ndarray, gap: int = 6) -> np.ndarray:
    """Put two pictures (HxWx3, RGB) of one height side by side."""
    between = np.full((left.shape[0], gap, 3), BANNER_COLOR, np.uint8)
    return np.concatenate([left, between, right], axis=1)


def vstack(pictures: Sequence[np.ndarray], gap: int = 6) -> np.ndarray:
    """Put pictures (HxWx3, RGB) below each other, each scaled to the widest
    one's width."""
    width = max(picture.shape[1] for picture in pictures)
    parts: list[np.ndarray] = []
    for picture in pictures:
        if parts:
            parts.append(np.full((gap, width, 3), BANNER_COLOR, np.uint8))
        height = round(picture.shape[0] * width / picture.shape[1])
        parts.append(resize_image(picture, (height, width)))
    return np.concatenate(parts)
