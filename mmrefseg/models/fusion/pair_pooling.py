# Licensed under the Apache License, Version 2.0.
"""Maxima over two words, two rows and two columns, of real words alone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def in_pairs(mask: Tensor) -> Tensor:
    """Which pairs of words hold a real one.

    Args:
        mask (Tensor): ``B x T``, bool; True marks a real word.

    Returns:
        Tensor: ``B x ceil(T / 2)``, bool.
    """
    return F.pad(mask, (0, mask.shape[1] % 2)).unflatten(1, (-1, 2)).any(2)


def pool_pairs(x: Tensor, mask: Tensor, size: Sequence[int]) -> Tensor:
    """Maxima over 2 x 2 x 2 of (word, y, x); odd sizes are rounded up.

    Args:
        x (Tensor): ``B x T x (H * W) x C``; anything but NaN on padding.
        mask (Tensor): ``B x T``, bool; True marks a real word.
        size (Sequence[int]): ``(H, W)``.

    Returns:
        Tensor: ``B x ceil(T / 2) x (ceil(H / 2) * ceil(W / 2)) x C``; 0 where
        both words are padding.
    """
    lowest = torch.finfo(x.dtype).min
    x = x.masked_fill(~mask[..., None, None], lowest)
    x = x.movedim(3, 1).unflatten(3, tuple(size))
    x = F.max_pool3d(x, 2, ceil_mode=True).flatten(3).movedim(1, 3)
    return x.masked_fill(~in_pairs(mask)[..., None, None], 0)
