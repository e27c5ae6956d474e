# Licensed under the Apache License, Version 2.0.
"""Tensors that depend on sizes alone, computed once and kept."""

from collections.abc import Callable
from functools import lru_cache, wraps

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

_is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)


def cached_tensor(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator that keeps the 64 results asked for last.

    Results are neither computed under inference mode, since they could then
    not take part in training, nor shared between tracing and eager mode:
    ``torch.export`` and ``torch.compile`` compute their own.

    Args:
        function (Callable): Of hashable arguments, the type and the device of
            the result among them. Nobody may change what it returns.
    """

    def compute(*args) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return function(*args)

    cached = lru_cache(maxsize=64)(compute)

    @wraps(function)
    def get(*args) -> Tensor:
        if _is_compiling() or _get_current_dispatch_mode() is not None:
            return function(*args)
        return cached(*args)

    return get
