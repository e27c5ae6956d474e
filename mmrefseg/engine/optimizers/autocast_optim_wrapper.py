# Licensed under the Apache License, Version 2.0.
"""Mixed precision on machines without a GPU, too."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch.optim import Optimizer

from mmrefseg.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Train under ``torch.autocast`` in bfloat16, on CPU and on CUDA.

    MMEngine's ``AmpOptimWrapper`` wants a GPU. bfloat16 has the range of
    float32, so that no gradient scaler is needed and there is nothing to save
    or to restore; for float16 on a GPU use ``AmpOptimWrapper``.

    Parameters, gradients and the optimizer's state stay float32; only the
    forward pass (and thereby the operations of the backward pass) is cast.
    A CPU that cannot multiply in bfloat16 would be 15 times slower than in
    float32: there autocast stays off, with a warning.

    Args:
        optimizer (Optimizer): Optimizer of the model's parameters.
        dtype (str): 'bfloat16', or 'float32' to switch autocast off.
            Defaults to 'bfloat16'.
        accumulative_counts (int): Iterations per optimizer step. Defaults
            to 1.
        clip_grad (dict, optional): As in ``OptimWrapper``, e.g.
            ``dict(max_norm=1.0)``. Defaults to None.

    Raises:
        ValueError: For any other dtype.

    Example:
        >>> optim_wrapper = dict(
        ...     type='AutocastOptimWrapper', dtype='bfloat16',
        ...     optimizer=dict(type='AdamW', lr=1e-4))
    """

    def __init__(self,
                 *,
                 optimizer: Optimizer,
                 dtype: str = 'bfloat16',
                 accumulative_counts: int = 1,
                 clip_grad: dict | None = None) -> None:
        if dtype not in ('bfloat16', 'float32'):
            raise ValueError(
                f"AutocastOptimWrapper knows 'bfloat16' and 'float32', not "
                f"{dtype!r}; float16 needs a gradient scaler: use "
                "type='AmpOptimWrapper' on a GPU.")
        super().__init__(
            optimizer=optimizer,
            accumulative_counts=accumulative_counts,
            clip_grad=clip_grad)
        self.dtype = getattr(torch, dtype)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass: autocast on the model's device, and
        no gradient exchange in accumulating iterations.

        Args:
            model (nn.Module): The model; its first parameter tells the
                device.
        """
        device = next(model.parameters()).device.type
        if (self.dtype is torch.bfloat16 and device == 'cpu'
                and not cpu_has_bfloat16()):
            self.dtype = torch.float32
            print_log(
                'This CPU has no bfloat16: training runs in float32.',
                'current', logging.WARNING)
        with super().optim_context(model), torch.autocast(
                device_type=device,
                dtype=torch.bfloat16,
                enabled=self.dtype is torch.bfloat16):
            yield


def cpu_has_bfloat16() -> bool:
    """Whether PyTorch multiplies matrices in bfloat16 on this CPU."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
