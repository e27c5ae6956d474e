# Licensed under the Apache License, Version 2.0.
"""Constant tensors of layers, computed once and kept."""

import pytest
import torch
from torch import nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch._subclasses import FakeTensorMode

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
    arguments = (arguments[0] + 4, *arguments[1:])  # not asked for before
    with torch.inference_mode():
        made = function(*arguments)
    assert function(*arguments) is made
    weight = torch.ones((), requires_grad=True)
    (weight * made).sum().backward()
    assert weight.grad is not None and not made.requires_grad


class _Adds(nn.Module):
    """Adds a kept tensor, of a size that no other test asks for."""

    def __init__(self, function, arguments):
        super().__init__()
        self.function = function
        self.arguments = (arguments[0] + 8, *arguments[1:])

    def forward(self, x):
        return x + self.function(*self.arguments)


def _export(module, x):
    return torch.export.export(module, (x, )).module()(x)


def _fake(module, x):
    with FakeTensorMode() as mode:
        module(mode.from_tensor(x))


WAYS = {
    'torch.export': _export,
    'fake tensors': _fake,
    'torch.compile': lambda module, x: torch.compile(
        module, backend='eager')(x),
    'torch.func': lambda module, x: torch.func.grad(
        lambda x: module(x).sum())(x),
    'functionalize': lambda module, x: torch.func.functionalize(module)(x),
    'vmap': lambda module, x: torch.func.vmap(module)(x[None]),
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('function, arguments', KEPT)
def test_tracing_leaves_nothing_behind(function, arguments, way):
    """Nor does it get what eager mode kept: a real tensor is no part of a
    traced program."""
    arguments = (arguments[0] + 4 * list(WAYS).index(way), *arguments[1:])
    module = _Adds(function, arguments)
    x = torch.zeros(())
    WAYS[way](module, x)
    eager = module(x)
    assert type(eager) is torch.Tensor
    kept = function(*module.arguments)
    assert type(kept) is torch.Tensor and torch.equal(eager, kept)
    assert not is_functorch_wrapped_tensor(kept)
    assert function(*module.arguments) is kept
    assert torch.isfinite(kept).all()  # has numbers
    traced = WAYS[way](module, x)
    if way in ('torch.export', 'torch.compile'):
        assert torch.equal(traced, eager)


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
