# Licensed under the Apache License, Version 2.0.
"""Looking into the losses of a head that was not written for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def loss_parts(head: nn.Module) -> list[nn.Module]:
    """The parts of ``loss_decode`` of a head, of which there may be one."""
    parts = head.loss_decode
    return list(parts) if isinstance(parts, nn.ModuleList) else [parts]


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
