# Licensed under the Apache License, Version 2.0.
"""Looking into the losses of a head that was not written for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def loss_parts(head: nn.Module) -> list[nn.Module]:
    """The parts of ``loss_decode`` of a head, of which there may be one."""
    parts = head.loss_decode
    if isinstance(parts, nn.ModuleList):
        return list(parts)
    assert isinstance(parts, nn.Module)
    return [parts]


@contextmanager
def answering(
        head: nn.Module, answer: Callable[[Tensor, bool], Tensor | None]
) -> Iterator[None]:
    """Hear what logits a head compares with a mask, and answer for its loss.

    Args:
        head (nn.Module): With ``loss_decode``, as mmseg's heads have it.
        answer (Callable): Called with the logits that a part of
            ``loss_decode`` was given, and whether it is the first part. What
            it returns takes the place of the loss, unless it is None.
    """
    with ExitStack() as stack:
        for i, part in enumerate(loss_parts(head)):
            handle = part.register_forward_hook(
                lambda _, args, __, is_first=i == 0: answer(args[0], is_first))
            stack.callback(handle.remove)
        yield


@contextmanager
def without_statistics(model: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norms as they are; in training
    they normalise by those of the batch all the same."""
    norms = [
        x for x in model.modules()
        if isinstance(x, _BatchNorm) and x.training and x.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def two_channels(logits: Tensor) -> Tensor:
    """Logits of background and referent, float32 at least; where there is
    one channel, ``sigmoid(y) = softmax([0, y])``."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits


def weighted(losses: dict, weight: float) -> dict:
    """Losses times a weight; what is only logged stays."""
    return {
        name: _times(value, weight) if 'loss' in name else value
        for name, value in losses.items()
    }


def _times(value: Tensor | list[Tensor], weight: float) -> Any:
    if isinstance(value, list):
        return [weight * x for x in value]
    return weight * value
