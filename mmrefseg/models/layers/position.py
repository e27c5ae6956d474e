# Licensed under the Apache License, Version 2.0.
"""Positions of pixels: sinusoidal encodings and plain coordinates."""

import math

import torch
from torch import Tensor

from .tensor_cache import cached_tensor


@cached_tensor
def sine_position_2d(height: int, width: int, channels: int,
                     dtype: torch.dtype, device: torch.device) -> Tensor:
    """2-D sinusoidal position encoding of DETR, normalised to 2 pi.

    Args:
        height (int): Height of the map.
        width (int): Width of the map.
        channels (int): Channels, a multiple of 4: the first half encodes y,
            the second x.
        dtype (torch.dtype): Type of the result.
        device (torch.device): Device of the result.

    Returns:
        Tensor: ``(height * width) x channels``, in -1..1.
    """
    if channels % 4:
        raise ValueError('A 2-D sine position needs a multiple of 4 channels, '
                         f'not {channels}.')
    half = channels // 2
    step = torch.arange(half // 2, device=device, dtype=torch.float64)
    frequency = 10000.0**(-2 * step / half)

    def encode(size: int) -> Tensor:
        place = torch.arange(1, size + 1, device=device).double() / size
        angle = 2 * math.pi * place[:, None] * frequency
        return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)

    rows = encode(height)[:, None].expand(height, width, half)
    columns = encode(width)[None, :].expand(height, width, half)
    position = torch.cat([rows, columns], dim=2)
    return position.view(height * width, channels).to(dtype)


@cached_tensor
def coordinates(height: int, width: int, dtype: torch.dtype,
                device: torch.device) -> Tensor:
    """Coordinates of the pixels, from -1 at the first to 1 at the last.

    Args:
        height (int): Height of the map.
        width (int): Width of the map.
        dtype (torch.dtype): Type of the result.
        device (torch.device): Device of the result.

    Returns:
        Tensor: ``1 x 2 x height x width``: x (to the right), then y (down).
    """
    x = torch.linspace(-1, 1, width, dtype=torch.float64, device=device)
    y = torch.linspace(-1, 1, height, dtype=torch.float64, device=device)
    return torch.stack([
        x[None, :].expand(height, width), y[:, None].expand(height, width)
    ])[None].to(dtype)


@cached_tensor
def cell_coordinates(height: int, width: int, dtype: torch.dtype,
                     device: torch.device) -> Tensor:
    """Where each cell of a map lies, from edge to edge of the map, in the
    eight numbers of CMSA-Net.

    Args:
        height (int): Height of the map.
        width (int): Width of the map.
        dtype (torch.dtype): Type of the result.
        device (torch.device): Device of the result.

    Returns:
        Tensor: ``(height * width) x 8``: left, upper, right and lower edge of
        the cell and x and y of its centre, in -1..1, then 1 / width and
        1 / height.
    """

    def edges(size: int) -> Tensor:
        first = torch.arange(size, device=device).double() * 2 / size - 1
        return torch.stack([first, first + 2 / size, first + 1 / size])

    x = edges(width)[:, None, :].expand(3, height, width)
    y = edges(height)[:, :, None].expand(3, height, width)
    shares = [torch.full_like(x[0], 1 / size) for size in (width, height)]
    cells = torch.stack([x[0], y[0], x[1], y[1], x[2], y[2], *shares], dim=2)
    return cells.flatten(0, 1).to(dtype)
