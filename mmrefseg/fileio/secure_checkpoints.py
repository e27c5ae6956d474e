# Licensed under the Apache License, Version 2.0.
"""Checkpoints read without running anything that a file asks for.

PyTorch's ``weights_only`` admits tensors and plain containers. A checkpoint of
MMEngine also holds the history of the logged numbers (``HistoryBuffer``),
which is made of NumPy arrays and scalars: they are plain data too and are
admitted here, while one of our functions reads a file and not otherwise.
"""

import functools
import os
import os.path as osp
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

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


def _allowed_globals() -> dict[str, Callable]:
    """What a checkpoint of MMEngine names besides tensors."""
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
    return allowed


def _is_strict() -> bool:
    """Whether ``weights_only`` can be told of further plain data by name."""
    return digit_version(torch.__version__) >= digit_version('2.6.0')


# What PyTorch admits is a setting of the process.
_lock = threading.RLock()


@contextmanager
def _admitted() -> Iterator[None]:
    """Within it, ``weights_only`` admits the plain data of MMEngine's
    checkpoints."""
    admit = nullcontext()
    if _is_strict():
        # Each with its name: the maintained MMEngine lists some of them
        # without while it loads a checkpoint, and takes what it listed away.
        admit = torch.serialization.safe_globals(
            [(kind, name) for name, kind in _allowed_globals().items()])
    with _lock, admit:
        yield


class _PlainUnpickler(pickle.Unpickler):
    """Does for PyTorch before 2.6 what ``weights_only`` does since."""

    def find_class(self, module: str, name: str) -> Any:
        if module == '__builtin__':  # as protocol 2 spells it
            module = 'builtins'
        if f'{module}.{name}' in _OLD_TORCH:
            return super().find_class(module, name)
        value = getattr(torch, name, None) if module == 'torch' else None
        if isinstance(value, torch.dtype) or (isinstance(value, type)
                                              and name.endswith('Storage')):
            return value
        try:
            return _allowed_globals()[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}') from None


_OLD_TORCH = ('collections.OrderedDict', 'torch.Size', 'torch.device',
              'torch._utils._rebuild_parameter',
              'torch._utils._rebuild_tensor_v2', '_codecs.encode')
_PLAIN_PICKLE = SimpleNamespace(
    __name__='plain_pickle',
    Unpickler=_PlainUnpickler,
    load=lambda file, **options: _PlainUnpickler(file, **options).load())


def load_plain_checkpoint(path: str,
                          map_location: Any = None,
                          *,
                          strict: bool | None = None) -> Any:
    """Read a file that ``torch.save`` wrote, if it holds plain data only.

    Args:
        path (str): A local path.
        map_location: As in :func:`torch.load`.
        strict (bool, optional): Use ``weights_only`` of PyTorch 2.6 and
            newer; else an unpickler of our own, since an older one refuses
            every training checkpoint. None decides by the version.

    Raises:
        ValueError: It holds more than plain data, or is damaged. In no case
            has code of the file run.
    """
    strict = _is_strict() if strict is None else strict
    how: dict = dict(weights_only=True)
    if not strict:
        how = dict(weights_only=False, pickle_module=_PLAIN_PICKLE)
    try:
        with _admitted():
            return torch.load(path, map_location=map_location, **how)
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(path, error)) from error
    except Exception as error:  # zip, torch and pickle have their own
        raise ValueError(f'The checkpoint {path} cannot be read '
                         f'({first_line(error)}): it may be cut off; get it '
                         'again.') from error


def first_line(error: Exception) -> str:
    """What an error says, without what PyTorch recommends below it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip()


def _refusal(path: str, error: Exception) -> str:
    return (f'The checkpoint {path} holds more than plain data, or is '
            f'damaged ({first_line(error)}). Such a file can run any code. '
            'If you trust its source, make a plain one of it: python '
            'tools/model_converters/publish_model.py CHECKPOINT OUT_DIR '
            '--trusted.')


def _load_from_local(filename: str, map_location: Any = None) -> Any:
    """Reader of local files for MMEngine."""
    filename = osp.expanduser(filename)
    if not osp.isfile(filename):
        raise FileNotFoundError(
            f'There is no checkpoint {filename}: give the path of a .pth '
            'file.')
    return load_plain_checkpoint(filename, map_location)


def _guarded(loader: Callable) -> Callable:
    """A reader of addresses that cannot run what it has fetched."""

    @functools.wraps(loader)
    def load(filename: str, *args: Any, **kwargs: Any) -> Any:
        name = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
        with _admitted():  # and the lock, for the environment
            before = os.environ.get(name)
            os.environ[name] = '1'
            try:
                return loader(filename, *args, **kwargs)
            except pickle.UnpicklingError as error:
                raise ValueError(_refusal(filename, error)) from error
            finally:
                if before is None:
                    del os.environ[name]
                else:
                    os.environ[name] = before

    vars(load)['_is_guarded'] = True
    return load


def secure_checkpoint_loading() -> None:
    """Keep MMEngine from running what a checkpoint asks for, from now on and
    in the whole process.

    The maintained MMEngine reads a file a second time, without
    ``weights_only``, when the first time was refused; the official one leaves
    it to PyTorch, which before 2.6 runs it. ``load_from``, ``resume``,
    ``init_cfg`` and :func:`mmengine.runner.load_checkpoint` all come here.

    Our commands call it (:mod:`mmrefseg.engine.launch`). A program that uses
    MMEngine's Runner by itself calls it once, or sets the environment
    variable ``MMREFSEG_SECURE_CHECKPOINTS=1``, by which ``import mmrefseg``
    does. ``init_model`` and ``RefSegInferencer`` need no such setting: they
    read files by :func:`load_plain_checkpoint`.

    Example:
        >>> import subprocess, sys
        >>> code = (
        ...     'from mmrefseg.fileio import secure_checkpoint_loading;'
        ...     'secure_checkpoint_loading()')
        >>> subprocess.run([sys.executable, '-c', code]).returncode
        0
    """
    from mmengine.runner.checkpoint import CheckpointLoader
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        if prefix and not getattr(loader, '_is_guarded', False):
            CheckpointLoader.register_scheme(
                prefix, _guarded(loader), force=True)
    CheckpointLoader.register_scheme('', _load_from_local, force=True)
