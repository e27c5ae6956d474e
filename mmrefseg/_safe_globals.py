# Licensed under the Apache License, Version 2.0.
"""Lets ``torch.load`` read checkpoints of MMEngine without running code.

Since PyTorch 2.6 ``torch.load`` admits tensors and plain containers only. A
checkpoint of MMEngine also holds the history of the logged numbers
(``HistoryBuffer``), which is made of NumPy arrays and scalars: they are plain
data too and are declared so here. Nothing else becomes loadable.
"""

import pickle
from typing import Callable

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

# What the history of numbers is made of: floats, counts and flags.
_DTYPES = (bool, np.int32, np.int64, np.float16, np.float32, np.float64)


def _statistic(owner: type, name: str) -> Callable:
    """Stands in for ``getattr`` in a checkpoint, where ``HistoryBuffer`` asks
    for its own ``min``, ``max``, ``mean`` and ``current`` by it; a checkpoint
    that asks for anything else is refused."""
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(
            f'A checkpoint may not ask for {name!r} of {owner!r}: it would '
            'run code. Load it only if you trust its source, with '
            '`torch.load(..., weights_only=False)`.')
    return getattr(owner, name)


def allow_checkpoint_globals() -> None:
    """Declare the plain data of MMEngine's checkpoints safe to load.

    Before PyTorch 2.6 it is not needed: ``torch.load`` is not strict there.
    """
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        return
    allowed = {
        f'{kind.__module__}.{kind.__qualname__}': kind
        for kind in (HistoryBuffer, np.ndarray, np.dtype,
                     *(type(np.dtype(dtype)) for dtype in _DTYPES))
    }
    # The two functions that NumPy's own pickles call. NumPy 2 renamed
    # numpy.core to numpy._core: a checkpoint written under the one loads
    # under the other.
    for function in (np.float64(0).__reduce__()[0],
                     np.empty(0).__reduce__()[0]):
        for package in ('numpy.core', 'numpy._core'):
            name = f'{package}.multiarray.{function.__name__}'
            allowed[name] = function
    allowed['builtins.getattr'] = _statistic
    # Each with its name: the maintained MMEngine lists some of them without
    # while it loads a checkpoint, and takes what it listed away afterwards.
    torch.serialization.add_safe_globals(
        [(kind, name) for name, kind in allowed.items()])
