# Licensed under the Apache License, Version 2.0.
"""Colours that the pixels of a thing show plainly."""

from collections.abc import Sequence

import cv2
import numpy as np

from .layout import Layout

COLOURS = ('white', 'black', 'grey', 'brown', 'red', 'green', 'blue',
           'yellow', 'orange', 'pink', 'purple')
# Share of the pixels from which a thing is, and below which it is not, of a
# colour; of people it is the clothes that have it.
PLAIN, ABSENT = 0.55, 0.12
WORN, NOT_WORN = 0.45, 0.05
# What is around a thing must not look the same: a black bed in a dark room
# may be of any colour, and a white truck in fog.
AROUND = 0.35
# A thing that is mostly of colours between the names may be called by any.
UNNAMED = 0.6
# Glass shows what is behind it; and nobody says that an orange is orange.
_NO_COLOUR = frozenset(('wine glass', 'bottle', 'cup', 'vase', 'orange',
                        'carrot', 'broccoli', 'banana', 'zebra', 'giraffe'))
# Skin and hair.
_NOT_OF_CLOTHES = frozenset(('brown', 'orange', 'pink', 'yellow'))
# Too few pixels to judge, as a share of the photo.
_MIN_AREA = 0.002
# OpenCV's hues are degrees / 2.
_HUES = ((6, 'red'), (17, 'orange'), (34, 'yellow'), (85, 'green'),
         (129, 'blue'), (148, 'purple'), (172, 'pink'), (180, 'red'))


def name_pixels(image: np.ndarray) -> np.ndarray:
    """The colour of every pixel, where it has one that all agree on.

    Args:
        image (np.ndarray): ``H x W x 3``, uint8, BGR.

    Returns:
        np.ndarray: ``H x W``, int8: index in ``COLOURS``, -1 for pixels
        between colours.

    Example:
        >>> import numpy as np
        >>> from mmrefseg.derived_refs.colours import COLOURS, name_pixels
        >>> image = np.zeros((1, 2, 3), np.uint8)
        >>> image[0, 1] = 20, 30, 200
        >>> [COLOURS[i] for i in name_pixels(image)[0]]
        ['black', 'red']
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.int16)
    hue, chroma, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    names = np.full(hue.shape, -1, np.int8)
    start = 0
    for end, colour in _HUES:
        inside = (hue >= start) & (hue < end)
        start = end
        strong = inside & (chroma >= 110) & (value >= 70)
        names[strong] = COLOURS.index(colour)
        if colour == 'pink':
            names[inside & (chroma >= 60) & (value >= 130)] = COLOURS.index(
                'pink')
    names[(hue >= 78) & (hue < 98)] = -1  # green to some, blue to others
    red = (hue < 6) | (hue >= 172)
    names[red & (chroma >= 60) & (chroma < 120) & (value >= 190)] = (
        COLOURS.index('pink'))
    warm = (hue >= 3) & (hue < 20)
    names[warm & (chroma >= 80)] = -1  # tan, ginger
    names[warm & (chroma >= 80) & (value >= 45)
          & (value < 115)] = COLOURS.index('brown')
    names[(hue >= 6) & (hue < 17) & (chroma >= 150)
          & (value >= 170)] = COLOURS.index('orange')
    # Dark green is green to a person who sees the rest of it.
    names[(value < 55)] = -1
    names[(value < 30) | ((value < 55) & (chroma < 90))] = COLOURS.index(
        'black')
    plain = chroma <= 35
    names[plain & (value >= 190)] = COLOURS.index('white')
    names[plain & (value >= 85) & (value <= 165)] = COLOURS.index('grey')
    return names


class ColourShares:
    """Which share of each thing has which colour.

    Args:
        layout (Layout): The photo.
        image (np.ndarray): ``H x W x 3``, uint8, BGR, of its size.
    """

    def __init__(self, layout: Layout, image: np.ndarray) -> None:
        self._layout = layout
        self._names = name_pixels(cv2.GaussianBlur(image, (5, 5), 0))
        self._shares: dict[int, np.ndarray | None] = {}

    def _share(self, i: int) -> np.ndarray | None:
        if i not in self._shares:
            layout = self._layout
            share = None
            if not layout.crowd[i] and layout.area[i] >= _MIN_AREA and (
                    layout.category[i] not in _NO_COLOUR):
                share = self._measure(layout.mask(i).astype(bool))
            self._shares[i] = share
        return self._shares[i]

    def _measure(self, mask: np.ndarray) -> np.ndarray | None:
        ys, xs = np.nonzero(mask)
        if not len(ys):
            return None
        shares = _count(self._names[ys, xs])
        y0, y1, x0, x1 = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
        pad = max(4, (y1 - y0) // 6, (x1 - x0) // 6)
        at = np.s_[max(y0 - pad, 0):y1 + pad, max(x0 - pad, 0):x1 + pad]
        around = self._names[at][~mask[at]]
        if len(around):
            same = _count(around)
            # Neither plain nor absent.
            shares[(same > AROUND) & (shares > ABSENT)] = (PLAIN + ABSENT) / 3
        return shares

    def of(self, group: Sequence[int]) -> list[np.ndarray | None]:
        """Of some things: shares of ``COLOURS``, or None of what is too
        small to judge."""
        return [self._share(i) for i in group]


def _count(names: np.ndarray) -> np.ndarray:
    """Shares of ``COLOURS``; the rest has no name."""
    return np.bincount(names + 1, minlength=len(COLOURS) + 1)[1:] / len(names)


def the_coloured(shares: Sequence[np.ndarray | None],
                 people: bool) -> list[tuple[str, int]]:
    """Colours that one thing has plainly and no other one.

    Args:
        shares (Sequence): As :meth:`ColourShares.of` gives them.
        people (bool): Clothes count.

    Returns:
        list[tuple[str, int]]: Colours with the index of the thing.
    """
    yes, no = (WORN, NOT_WORN) if people else (PLAIN, ABSENT)
    found = []
    vague = [x is not None and x.sum() < 1 - UNNAMED for x in shares]
    for c, colour in enumerate(COLOURS):
        if people and colour in _NOT_OF_CLOTHES:
            continue
        values = [1. if x is None else float(x[c]) for x in shares]
        unknown = [x is None for x in shares]
        has = [i for i, x in enumerate(values) if x >= yes and not unknown[i]]
        open_ = [
            i for i, x in enumerate(values)
            if (x > no or vague[i]) and i not in has
        ]
        if len(has) == 1 and not open_:
            found.append((colour, has[0]))
    return found


def absent_colours(shares: Sequence[np.ndarray | None],
                   people: bool) -> list[str]:
    """Colours that plainly none of some things has."""
    if any(x is None for x in shares):
        return []
    if any(x is not None and x.sum() < 1 - UNNAMED for x in shares):
        return []
    no = NOT_WORN / 4 if people else ABSENT / 4
    return [
        colour for c, colour in enumerate(COLOURS)
        if all(x is not None and x[c] <= no for x in shares)
    ]
