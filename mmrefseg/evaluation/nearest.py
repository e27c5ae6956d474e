# Licensed under the Apache License, Version 2.0.
"""Scaling of masks as LAVT scales them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch


def resize_nearest(labels: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Scale a label map, taking the pixel nearest to each new pixel's centre.

    This is what Pillow does, by which LAVT scales its masks, to the pixel.
    (Torch's 'nearest' and OpenCV's take the pixel at the corner instead.)

    Args:
        labels (Tensor): HxW, integers.
        size (sequence[int]): Height and width.

    Returns:
        Tensor: height x width, dtype as ``labels``.
    """
    rows, columns = (
        torch.from_numpy(_nearest(old, new)).to(labels.device)
        for old, new in zip(labels.shape, size))
    return labels[rows][:, columns]


@lru_cache(maxsize=1024)
def _nearest(old: int, new: int) -> np.ndarray:
    """Which of ``old`` pixels each of ``new`` pixels takes."""
    # a new centre often falls on the border of two pixels (640 to 480, every
    # third time): summed up in steps, as Pillow does, it falls as there
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.minimum(np.cumsum(steps).astype(np.int64), old - 1)
