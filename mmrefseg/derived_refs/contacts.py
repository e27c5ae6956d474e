# Licensed under the Apache License, Version 2.0.
"""What the masks of a photo say where boxes do not suffice."""

import cv2
import numpy as np

from .layout import Layout

_STEP = 0.015  # of the photo's height
_UNDER, _OTHERS_UNDER = 0.6, 0.3


class Contacts:
    """Which masks touch, and how. Masks are drawn when they are asked for.

    Args:
        layout (Layout): The photo.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._masks: dict[int, np.ndarray] = {}
        self._known: dict[tuple[str, int, int], float] = {}

    def _mask(self, i: int) -> np.ndarray:
        if i not in self._masks:
            self._masks[i] = self.layout.mask(i).astype(bool)
        return self._masks[i]

    def rests_on(self, i: int, j: int) -> bool:
        """Whether j, and no third thing, goes on below the mask of i."""
        if ('on', i, j) not in self._known:
            self._known['on', i, j] = self._rests(i, j)
        return bool(self._known['on', i, j])

    def _rests(self, i: int, j: int) -> bool:
        above = self._mask(i)
        columns = np.flatnonzero(above.any(0))
        if not len(columns):
            return False
        height = above.shape[0]
        lowest = height - 1 - above[::-1, columns].argmax(0)
        under = np.minimum(lowest + max(2, round(_STEP * height)), height - 1)
        if self._mask(j)[under, columns].mean() < _UNDER:
            return False
        box = self.layout.box
        for k in range(len(self.layout)):
            apart = (box[k, :2] > box[i, 2:] + _STEP).any() or (
                box[k, 2:] < box[i, :2] - _STEP).any()
            if k in (i, j) or apart or self.layout.crowd[k]:
                continue
            if self._mask(k)[under, columns].mean() > _OTHERS_UNDER:
                return False
        return True

    def around(self, i: int, j: int) -> float:
        """Share of a thin ring around j that the mask of i covers; what of
        the ring lies beyond the photo's edge counts neither way."""
        if ('around', i, j) not in self._known:
            mask = self._mask(j)
            step = max(2, round(_STEP * mask.shape[0]))
            ys, xs = np.nonzero(mask)
            value = 0.
            if len(ys):
                at = np.s_[max(ys.min() - step, 0):ys.max() + step + 1,
                           max(xs.min() - step, 0):xs.max() + step + 1]
                own = mask[at].astype(np.uint8)
                kernel = np.ones((2 * step + 1, 2 * step + 1), np.uint8)
                ring = (cv2.dilate(own, kernel) > own)
                if ring.any():
                    value = float(self._mask(i)[at][ring].mean())
            self._known['around', i, j] = value
        return self._known['around', i, j]
