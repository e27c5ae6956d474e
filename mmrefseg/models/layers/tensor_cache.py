# Licensed under the Apache License, Version 2.0.
"""Constant tensors that are made once for each size, dtype and device."""

import functools
from collections.abc import Callable, Hashable

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

# PyTorch 2.1 has no such function; it looks into what is cached anyway.
_is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)


def cached_tensor(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator: keep the last 64 results of a function of plain values.

    A tensor that is made while a program is traced (``torch.export``,
    ``torch.compile``, ``FakeTensorMode``, the transforms of ``torch.func``)
    belongs to that program and may hold no numbers at all. So within those the
    function runs anew: nothing is kept, and nothing kept is given out.

    Args:
        make (Callable): The function; its arguments are hashable, the device
            among them.

    Returns:
        Callable: The same, with a memory. No result needs a gradient, but
        training may use each, also one that was made in inference mode.
    """
    # A tensor born in inference mode could not take part in training.
    plain = torch.inference_mode(False)(torch.no_grad()(make))
    kept = functools.lru_cache(maxsize=64)(plain)

    @functools.wraps(make)
    def get(*args: Hashable, **kwargs: Hashable) -> Tensor:
        traced = _is_compiling() or _get_current_dispatch_mode_stack()
        if traced or peek_interpreter_stack() is not None:
            return make(*args, **kwargs)
        return kept(*args, **kwargs)

    return get
