# Licensed under the Apache License, Version 2.0.
"""What a fusion attends to, as a picture: of each word, or of the whole
sentence."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np

from .overlay import BANNER_COLOR, resize_image
from .panels import (COLORMAP, draw_color_bar, draw_heat_map, draw_panels,
                     vstack)


def draw_word_attention(image: np.ndarray, maps: np.ndarray,
                        tokens: Sequence[str] | None,
                        width: int) -> np.ndarray:
    """Draw the attention of each word, one panel a word.

    Args:
        image (np.ndarray): HxWx3, RGB, uint8.
        maps (np.ndarray): ``T x h x w``, 0 or more.
        tokens (Sequence[str], optional): The words; None numbers them.
        width (int): Of the picture, in pixels.

    Returns:
        np.ndarray: RGB, uint8.
    """
    if tokens is None:
        tokens = [f'word {i + 1}' for i in range(len(maps))]
    columns = int(np.clip(round(width / 190), 2, 8))
    rows = -(-len(maps) // columns)
    columns = -(-len(maps) // rows)
    gap = 6
    panel_width = (width - (columns - 1) * gap) // columns
    small = resize_image(
        image,
        (max(1, round(image.shape[0] * panel_width / image.shape[1])),
         panel_width))
    # a word's attention is compared over places, not between words: each
    # panel reaches the hottest colour at its own maximum
    return draw_panels(
        [(token, draw_heat_map(small, heat, vmax=None))
         for token, heat in zip(tokens, maps)],
        columns=columns,
        panel_width=panel_width,
        gap=gap)


def draw_sentence_attention(image: np.ndarray, places: np.ndarray | None,
                            channels: Sequence[float] | None,
                            width: int) -> np.ndarray:
    """Draw spatial and channel attention side by side.

    Colours go from 0 to 1 and are not stretched, so that an attention that
    tells nothing apart looks so; the captions give the range that is there.

    Args:
        image (np.ndarray): HxWx3, RGB, uint8.
        places (np.ndarray, optional): Attention to pixels, ``1 x h x w`` or
            ``h x w``, in 0..1.
        channels (Sequence[float], optional): Attention to each channel, in
            0..1: a square each, row by row.
        width (int): Of the picture, in pixels.

    Returns:
        np.ndarray: RGB, uint8, ``width`` pixels wide.
    """
    gap = 6
    panel_width = (width - gap) // 2
    height = max(1, round(image.shape[0] * panel_width / image.shape[1]))
    panels = []
    if places is not None:
        small = resize_image(image, (height, panel_width))
        panels.append((_caption('places', places),
                       draw_heat_map(small, places)))
    if channels is not None:
        panels.append((_caption(f'{len(channels)} channels', channels),
                       _squares(np.asarray(channels), height, panel_width)))
    bar = draw_color_bar(width, 'attention of the whole sentence')
    return vstack([
        bar,
        draw_panels(panels, columns=2, panel_width=panel_width, gap=gap)
    ])


def _caption(name: str, values: Sequence[float] | np.ndarray) -> str:
    return f'{name}: {np.min(values):.2f} to {np.max(values):.2f}'


def _squares(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values as squares, row by row, on about the room that there is; what
    is left of the last row has the colour of the banner."""
    columns = max(1, math.ceil(math.sqrt(len(values) * width / height)))
    side = max(1, width // columns)
    picture = np.full((-(-len(values) // columns) * columns, 3), BANNER_COLOR,
                      np.uint8)
    colors = matplotlib.colormaps[COLORMAP](values)[:, :3]
    picture[:len(values)] = np.round(colors * 255)
    squares = picture.reshape(-1, columns, 3)
    return squares.repeat(side, axis=0).repeat(side, axis=1)
