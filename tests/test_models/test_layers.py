# Licensed under the Apache License, Version 2.0.
"""What layers compute once and keep."""

import pytest
import torch

from mmrefseg.models.layers import coordinates, sine_position_2d
from mmrefseg.models.layers.window_attention import shifted_window_mask

CPU = torch.device('cpu')
KEPT = [
    (coordinates, (3, 5, torch.float32, CPU)),
    (sine_position_2d, (3, 5, 8, torch.float32, CPU)),
    (shifted_window_mask, (8, 8, 4, 2, torch.float32, CPU)),
]


@pytest.mark.parametrize('function, arguments', KEPT)
def test_what_inference_mode_made_can_be_trained_with(function, arguments):
    """A tensor of inference mode refuses to be saved for a backward pass."""
    function.cache_clear()
    with torch.inference_mode():
        made = function(*arguments)
    assert function(*arguments) is made
    weight = torch.ones((), requires_grad=True)
    (weight * made).sum().backward()
    assert weight.grad is not None and not made.requires_grad


@pytest.mark.parametrize('function, arguments', KEPT)
def test_each_type_and_device_has_its_own(function, arguments):
    *size, _, _ = arguments
    double = function(*size, torch.float64, CPU)
    assert double.dtype == torch.float64
    assert function(*size, torch.float32, CPU).dtype == torch.float32
    assert function(*size, torch.float64, torch.device('meta')).is_meta
    assert function(*size, torch.float64, CPU) is double


def test_coordinates_reach_from_edge_to_edge():
    x, y = coordinates(3, 5, torch.float64, CPU)[0]
    assert x[0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert y[:, 0].tolist() == [-1, 0, 1]
    assert (x == x[:1]).all() and (y == y[:, :1]).all()


def test_odd_number_of_channels_is_refused():
    with pytest.raises(ValueError, match='multiple of 4 channels, not 6'):
        sine_position_2d(2, 2, 6, torch.float32, CPU)
