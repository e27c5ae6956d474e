# Licensed under the Apache License, Version 2.0.
"""MMEngine's own loading of checkpoints, made to read plain data only."""

import contextlib
import functools
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .weights import plain_data_admitted, read_weights, refusal

_STRICT = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'


def secure_checkpoint_loading() -> contextlib.ExitStack:
    """Keep MMEngine from running what a checkpoint asks for, from now on or
    within a ``with`` block.

    The maintained MMEngine reads a file a second time, without
    ``weights_only``, when the first time was refused; the official one leaves
    it to PyTorch, which before 2.6 runs it. Afterwards ``load_from``,
    ``resume``, ``init_cfg`` and :func:`mmengine.runner.load_checkpoint` read
    plain data only, in this process and for every package in it. So nothing
    but the commands of mmrefseg (:func:`mmrefseg.engine.launch.build_runner`)
    calls it; a script of your own can, or set the environment variable
    ``MMREFSEG_SECURE_CHECKPOINTS=1``, with which ``import mmrefseg`` does.

    Returns:
        ExitStack: As a context manager it restores the loaders that were
        there before.

    Example:
        >>> from mmengine.runner import CheckpointLoader
        >>> from mmrefseg.fileio import secure_checkpoint_loading
        >>> before = dict(CheckpointLoader._schemes)
        >>> with secure_checkpoint_loading():
        ...     CheckpointLoader._schemes[''].__name__
        'load_from_plain_file'
        >>> CheckpointLoader._schemes == before
        True
    """
    from mmengine.runner.checkpoint import CheckpointLoader
    before = CheckpointLoader._schemes
    # A new one, in the same order: the longest prefix goes first.
    CheckpointLoader._schemes = OrderedDict(
        (prefix, _secured(prefix, loader))
        for prefix, loader in before.items())
    restore = contextlib.ExitStack()
    restore.callback(setattr, CheckpointLoader, '_schemes', before)
    return restore


def load_from_plain_file(filename: str, map_location: Any = None) -> Any:
    """Takes the place of MMEngine's readers of local files and of ``http``;
    see :func:`read_weights`."""
    return read_weights(filename, map_location=map_location)


def _secured(prefix: str, loader: Callable) -> Callable:
    if prefix in ('', 'http://', 'https://'):
        return load_from_plain_file
    if hasattr(loader, '__wrapped__'):  # this function has been here already
        return loader

    @functools.wraps(loader)
    def load(filename: str, *args: Any, **kwargs: Any) -> Any:
        before = os.environ.get(_STRICT)
        os.environ[_STRICT] = '1'
        try:
            with plain_data_admitted():
                return loader(filename, *args, **kwargs)
        except pickle.UnpicklingError as error:
            raise ValueError(refusal(filename, error)) from error
        finally:
            if before is None:
                del os.environ[_STRICT]
            else:
                os.environ[_STRICT] = before

    return load
