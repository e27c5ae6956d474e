# Licensed under the Apache License, Version 2.0.
"""Files of weights, read without running anything that they ask for.

PyTorch's ``weights_only`` admits tensors and plain containers. A checkpoint of
MMEngine also holds the history of the logged numbers (``HistoryBuffer``),
which is made of NumPy arrays and scalars: they are plain data too and are
admitted here, while such a file is read. Nothing else becomes loadable.
"""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version
from torch import Tensor

from .download import download_file
from .messages import first_line
from .plain_pickle import NotPlain, RestrictedUnpickler

StateDict = dict[str, Tensor]

# What is text in the header of a .safetensors file, and what is JSON.
HEADER_TEXT, HEADER_JSON = ('cfg', ), ('dataset_meta', 'published')
# What the history of numbers is made of: floats, counts and flags.
_DTYPES = (bool, np.int32, np.int64, np.float16, np.float32, np.float64)
_OLD_TORCH = ('collections.OrderedDict', 'torch.Size', 'torch.device',
              'torch._utils._rebuild_parameter',
              'torch._utils._rebuild_tensor_v2', '_codecs.encode')
_PUBLISH = ('make a plain one of it: python '
            'tools/model_converters/publish_model.py CHECKPOINT OUT_DIR '
            '--trusted')


class CheckpointAdapter(Protocol):
    """Knows one way of naming the tensors of a model."""

    def matches(self, names: Collection[str]) -> bool:
        """Whether names, without prefixes of wrappers, are of this kind."""

    def rename(self, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        """Our name of a tensor, and the tensor as it lies with us; None if it
        has no place in our models."""


def read_weights(path: str | Path,
                 *,
                 map_location: Any = 'cpu',
                 trusted: bool = False,
                 admit: Sequence[type] = (),
                 hint: str = 'give the path of a .pth or .safetensors file',
                 if_trusted: str = _PUBLISH) -> Any:
    """Read a file of weights.

    Args:
        path (str | Path): What ``torch.save`` wrote (``.pth``, ``.pt``,
            ``.bin``), a ``.safetensors`` file, or the address of one
            (``https://...``), which is kept in PyTorch's hub folder.
        map_location: As in :func:`torch.load`.
        trusted (bool): Also read a file that can run code. Defaults to False.
        admit (Sequence[type]): Further classes of plain data in it.
        hint (str): What to do where there is no such file, for the message.
        if_trusted (str): What to do with a file that holds more than plain
            data but is trusted, for the message.

    Returns:
        Any: What the file holds; of a ``.safetensors`` file a dict of
        ``state_dict`` and ``meta``, see :func:`serialize_weights`.

    Raises:
        FileNotFoundError: There is no such file, or it cannot be downloaded.
        ValueError: It holds more than plain data, or is damaged. In neither
            case has code of the file run.

    Example:
        >>> import torch
        >>> from mmrefseg.fileio import read_weights
        >>> torch.save({'weight': torch.ones(2)}, 'some.pth')
        >>> read_weights('some.pth')
        {'weight': tensor([1., 1.])}
    """
    file = Path(path).expanduser()
    if '://' in str(path):
        try:
            file = download_file(str(path))
        except OSError as error:
            raise FileNotFoundError(
                f"The weights '{path}' cannot be downloaded ({error}): fetch "
                f'them in another way, and {hint}.') from error
    if not file.is_file():
        raise FileNotFoundError(f"The weights '{path}' do not exist: {hint}.")
    try:
        if file.suffix == '.safetensors':
            return _read_safetensors(file)
        if trusted:
            return torch.load(
                file, map_location=map_location, weights_only=False)
        return _load_plain(file, map_location, admit)
    except Exception as error:  # zip, pickle and safetensors have their own
        raise ValueError(refusal(path, error, if_trusted)) from error


def refusal(path: str | Path,
            error: Exception,
            if_trusted: str = _PUBLISH) -> str:
    """The message for a file that would run code, or is damaged."""
    wanted = re.search(r"(?:GLOBAL|Unsupported class|asks for) '?([\w.]+)",
                       str(error))
    if wanted is None:
        # PyTorch puts advice before its reason: to try without weights_only.
        reason = str(error).partition('WeightsUnpickler error: ')[2]
        return (f"The weights '{path}' cannot be read "
                f'({first_line(reason or error)}): they are damaged, cut off '
                'or no weights at all; get them again.')
    return (f"The weights '{path}' hold more than plain data (it asks for "
            f"'{wanted[1]}'). Such a file can run any code. If you trust its "
            f'source, {if_trusted}.')


def find_state_dict(content: Any) -> StateDict:
    """The tensors in what a file holds, without prefixes of wrappers.

    Args:
        content (Any): A state dict, or a mapping that holds one as
            'state_dict' or 'model'.

    Returns:
        dict[str, Tensor]: Names without ``module.``, which a wrapper for
        several GPUs puts before each; empty if there is no tensor.
    """
    for container in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(
                content.get(container), Mapping):
            content = content[container]
    if not isinstance(content, Mapping):
        return {}
    tensors = {k: x for k, x in content.items() if isinstance(x, Tensor)}
    return without_wrapper(tensors)


def without_wrapper(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Without the ``module.`` of a wrapper for several GPUs."""
    prefix = 'module.'
    if all(name.startswith(prefix) for name in state_dict):
        return {name[len(prefix):]: x for name, x in state_dict.items()}
    return dict(state_dict)


def _read_safetensors(file: Path) -> dict[str, Any]:
    from safetensors import safe_open
    with safe_open(file, framework='pt') as opened:
        header = opened.metadata() or {}
        state_dict = {name: opened.get_tensor(name) for name in opened.keys()}
    meta = {key: header[key] for key in HEADER_TEXT if key in header}
    for key in HEADER_JSON:
        if key in header:
            meta[key] = json.loads(header[key])
    return dict(state_dict=state_dict, meta=meta)


def _load_plain(file: Path, map_location: Any, admit: Sequence[type]) -> Any:
    if _is_strict():
        with plain_data_admitted(admit):
            return torch.load(
                file, map_location=map_location, weights_only=True)

    # An older PyTorch refuses every training checkpoint with weights_only.
    class Unpickler(RestrictedUnpickler):
        allowed = {**_old_torch_globals(), **_plain_globals(admit)}

    reader: Any = SimpleNamespace(
        __name__='plain_pickle',
        Unpickler=Unpickler,
        load=lambda opened, **options: Unpickler(opened, **options).load())
    return torch.load(
        file,
        map_location=map_location,
        weights_only=False,
        pickle_module=reader)


def _is_strict() -> bool:
    """Whether ``weights_only`` can be given further plain data by name."""
    return digit_version(torch.__version__) >= digit_version('2.6.0')


# A loader of another package may call those of MMEngine in turn.
_ADMITTING = threading.RLock()


@contextlib.contextmanager
def plain_data_admitted(admit: Sequence[type] = ()) -> Iterator[None]:
    """Within it ``torch.load(..., weights_only=True)`` takes the plain data
    of MMEngine's checkpoints; afterwards all is as it was."""
    if not _is_strict():
        yield
        return
    with _ADMITTING:  # the list is one for all threads
        with torch.serialization.safe_globals(
            [(kind, name) for name, kind in _plain_globals(admit).items()]):
            yield


def _plain_globals(admit: Sequence[type]) -> dict[str, Callable]:
    """What a checkpoint of MMEngine names besides tensors."""
    kinds: tuple[type, ...] = (HistoryBuffer, np.ndarray, np.dtype, *admit)
    kinds += tuple(type(np.dtype(dtype)) for dtype in _DTYPES)
    allowed: dict[str, Callable] = {
        f'{kind.__module__}.{kind.__qualname__}': kind
        for kind in kinds
    }
    # The two functions that NumPy's own pickles call. NumPy 2 renamed
    # numpy.core to numpy._core: a checkpoint written under the one loads
    # under the other.
    for value in (np.float64(0), np.empty(0)):
        function: Any = value.__reduce__()[0]
        for package in ('numpy.core', 'numpy._core'):
            name = f'{package}.multiarray.{function.__name__}'
            allowed[name] = function
    allowed['builtins.getattr'] = _statistic
    return allowed


def _old_torch_globals() -> dict[str, Any]:
    """What ``weights_only`` of PyTorch 2.6 admits of its own."""
    allowed = {
        f'torch.{name}': value
        for name, value in vars(torch).items()
        if isinstance(value, torch.dtype) or (
            isinstance(value, type) and name.endswith('Storage'))
    }
    for name in _OLD_TORCH:
        module, attribute = name.rsplit('.', 1)
        allowed[name] = getattr(__import__(module, fromlist=['']), attribute)
    return allowed


def _statistic(owner: type, name: str) -> Callable:
    """Stands in for ``getattr`` in a checkpoint, where ``HistoryBuffer`` asks
    for its own ``min``, ``max``, ``mean`` and ``current`` by it; a checkpoint
    that asks for anything else is refused."""
    if owner is not HistoryBuffer or name.startswith('_'):
        raise NotPlain(f'{name!r} of {owner!r}, which would run code')
    return getattr(owner, name)
