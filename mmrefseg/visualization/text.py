# Licensed under the Apache License, Version 2.0.
"""Unicode text in pictures.

OpenCV's own text is ASCII only. Here text is drawn by Pillow with DejaVu Sans,
which comes with matplotlib and covers Latin with all its accents, Greek,
Cyrillic and more. For characters beyond (Chinese, Japanese, Korean, ...) a
font of the system is used where one is installed; else a box stands in for
the character.
"""

import os.path as osp
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

_DEFAULT = osp.join(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')


@lru_cache(maxsize=None)
def _covered(path: str) -> frozenset[int]:
    """Code points that a font file has; none if it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@lru_cache(maxsize=None)
def _font_for(char: str) -> str:
    """File of a font that has the character, else the default font's."""
    if ord(char) in _covered(_DEFAULT):
        return _DEFAULT
    # imported when needed: it may have to list all fonts of the system first
    from matplotlib import font_manager

    # bitmap colour fonts come in one size only: Pillow cannot scale them;
    # matplotlib's 'Last Resort' has a box for every character
    files = (
        font.fname for font in font_manager.fontManager.ttflist
        if not re.search('Color|Last Resort', font.name))
    return next((x for x in files if ord(char) in _covered(x)), _DEFAULT)


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def _runs(text: str) -> list[tuple[str, str]]:
    """Split a text into (font file, piece) with one font per piece."""
    return [(path, ''.join(run)) for path, run in groupby(text, _font_for)]


def clean_text(text: str) -> str:
    """One line of printable characters, composed and singly spaced.

    Control and formatting characters (among them the joiners and selectors
    within emoji) have no picture of their own and are removed.
    """
    text = ' '.join(unicodedata.normalize('NFC', str(text)).split())
    return ''.join(
        char for char in text if unicodedata.category(char)[0] != 'C'
        and not '\ufe00' <= char <= '\ufe0f')


def text_width(text: str, size: int) -> int:
    """Width of a line in pixels at a font size in pixels."""
    width = sum(_font(path, size).getlength(s) for path, s in _runs(text))
    return int(np.ceil(width))


def line_height(size: int) -> int:
    """Distance of two lines in pixels at a font size in pixels."""
    return int(round(size * 1.35))


def wrap_text(text: str,
              width: int,
              size: int,
              max_lines: int = 4) -> list[str]:
    """Break a text into lines that are at most ``width`` pixels wide.

    Lines break at spaces; a word wider than a line, as in scripts without
    spaces, breaks anywhere. What is beyond ``max_lines`` gives way to an
    ellipsis. An empty text gives ``['']``.
    """
    lines = ['']
    for word in clean_text(text).split(' '):
        longer = f'{lines[-1]} {word}' if lines[-1] else word
        if text_width(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append('')
        for char in word:
            if lines[-1] and text_width(lines[-1] + char, size) > width:
                lines.append('')
            lines[-1] += char
    if len(lines) > max_lines:
        lines = lines[:max_lines]
        while lines[-1] and text_width(lines[-1] + '…', size) > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] = lines[-1].rstrip() + '…'
    return lines


def draw_line(canvas: Image.Image, xy: Sequence[int], text: str, size: int,
              color: Color) -> int:
    """Draw one line of text onto an RGB image, in place.

    ``xy`` is its left end and vertical middle, ``size`` that of the font, in
    pixels. Returns the x coordinate where the line ends.
    """
    draw = ImageDraw.Draw(canvas)
    x, y = float(xy[0]), xy[1]
    for path, piece in _runs(text):
        font = _font(path, size)
        # all pieces stand on one base line, whatever their fonts' heights
        draw.text((x, y + 0.36 * size), piece, font=font, fill=color,
                  anchor='ls')
        x += font.getlength(piece)
    return int(np.ceil(x))
