# Licensed under the Apache License, Version 2.0.
"""Building a model of any size without memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode


class _NumbersStayReal(TorchFunctionMode):
    """Keeps ``torch.linspace`` on the CPU: mmseg's Swin computes its drop path
    rates with it and reads them as numbers, which the meta device has not."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)


@contextmanager
def meta_device() -> Iterator[None]:
    """Within it, modules are built with shapes but without values.
    """
    with torch.device('meta'), _NumbersStayReal():
        yield
