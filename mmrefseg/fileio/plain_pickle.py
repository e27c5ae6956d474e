# Licensed under the Apache License, Version 2.0.
"""Pickles that hold plain data, read without running anything.

REFER keeps its sentences in pickles (``refs(unc).p``), and a pickle is a
small program: the standard loader runs whatever function the file names. The
files are passed on between strangers' mirrors, so this reader knows a short
list of names, all of them answered by functions of this module, and refuses
a file that asks for anything else.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

# What a download that went wrong usually is instead of a pickle.
_LOOKALIKES = (
    (b'<', 'a web page'),
    (b'version https://git-lfs', 'a Git LFS pointer'),
    (b'PK\x03\x04', 'a zip archive'),
    (b'\x1f\x8b', 'a gzip archive'),
    (b'{"', 'a JSON file'),
    (b'[{', 'a JSON file'),
)


class PlainPickleError(ValueError):
    """A pickle is damaged, or holds more than plain data."""


class NotPlain(pickle.UnpicklingError):
    """Raised from within an unpickler for what is not allowed."""

    def __str__(self) -> str:
        return f'it asks for {self.args[0]}'


class RestrictedUnpickler(pickle.Unpickler):
    """Looks names up in a table of its own, and nowhere else."""

    allowed: Mapping[str, Any] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        if module == '__builtin__':  # as protocol 2 spells it
            module = 'builtins'
        try:
            return self.allowed[f'{module}.{name}']
        except KeyError:
            raise NotPlain(f'{module}.{name}') from None


class _Maker:
    """A function that a pickle may call, but whose attributes it cannot set
    (the opcode BUILD sets those of whatever it is given)."""

    __slots__ = ('_function', )
    _function: Callable

    def __init__(self, function: Callable) -> None:
        object.__setattr__(self, '_function', function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise NotPlain(f'setting {name}')


class _PlainDtype:
    """Stands for a numpy dtype of plain numbers while a pickle is read."""

    def __init__(self, code: str, align=False, copy=True) -> None:
        self.dtype = np.dtype(code)
        # Object, structured and date types have states of their own that
        # numpy trusts blindly.
        if self.dtype.kind not in 'biuf':
            raise NotPlain(f'numpy.dtype({code!r})')

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ('<', '>'):
            self.dtype = self.dtype.newbyteorder(state[1])


class _PlainArray(list):
    """Stands for a numpy array while a pickle is read: nested lists."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self[:] = _read_array(data, dtype, shape, 'F' if fortran else 'C')


def _read_array(data, dtype: _PlainDtype, shape: tuple[int, ...],
                order: Literal['C', 'F']) -> list:
    if isinstance(data, str):  # written by Python 2, read as latin1
        data = data.encode('latin1')
    array = np.frombuffer(data, dtype=dtype.dtype)
    return array.reshape(shape, order=order).tolist()


def _make_scalar(dtype: _PlainDtype, data):
    return _read_array(data, dtype, (1, ), 'C')[0]


def _make_array(kind, shape, code) -> _PlainArray:
    return _PlainArray()


def _make_bytes(text: str = '', encoding: str = 'latin1') -> bytes:
    # How Python 3 writes bytes into the protocols of Python 2.
    return text.encode('latin1')


def _numpy_ndarray() -> None:
    """Only a name that ``_reconstruct`` is handed; never called."""


_ALLOWED: dict[str, Callable] = {
    'builtins.set': set,
    'builtins.frozenset': frozenset,
    'builtins.bytes': _make_bytes,
    'collections.OrderedDict': dict,
    '_codecs.encode': _make_bytes,
    'numpy.dtype': _PlainDtype,
    'numpy.ndarray': _numpy_ndarray,
}
for _core in ('numpy.core', 'numpy._core'):
    _ALLOWED.update({
        f'{_core}.multiarray.scalar': _make_scalar,
        f'{_core}.multiarray._reconstruct': _make_array,
        f'{_core}.numeric._frombuffer': _read_array,
    })


class _DataUnpickler(RestrictedUnpickler):
    allowed = {name: _Maker(function) for name, function in _ALLOWED.items()}


def _lengths() -> dict[int, int]:
    """Length of what follows each opcode, or a negative number that says
    where the length stands (see ``pickletools.ArgumentDescriptor``)."""
    lengths = {}
    for opcode in pickletools.opcodes:
        length = 0 if opcode.arg is None else opcode.arg.n
        if opcode.name in ('GLOBAL', 'INST'):
            length = _TWO_LINES
        lengths[ord(opcode.code)] = length
    return lengths


_TWO_LINES = -9
_OPCODES = _lengths()
_SIZE_OF_LENGTH = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_PUT, _LONG_BINPUT, _STOP = b'pr.'


def _check_memo(content: bytes) -> None:
    """Refuse a pickle that numbers its objects beyond all measure.

    Python's unpickler makes room for as many objects as the largest number
    says, at once: ten bytes can ask for 64 GB.
    """
    position, end = 0, len(content)
    while position < end:
        opcode = content[position]
        length = _OPCODES.get(opcode)
        if length is None or opcode == _STOP:
            return  # the unpickler says what is wrong
        position += 1
        if length < 0:
            if length in _SIZE_OF_LENGTH:
                start = position
                position += _SIZE_OF_LENGTH[length]
                length = int.from_bytes(content[start:position], 'little')
            else:
                start = position
                position = content.find(b'\n', position) + 1
                if length == _TWO_LINES and position:
                    position = content.find(b'\n', position) + 1
                if not position:
                    return
                if opcode == _PUT and position - start > len(str(end)) + 1:
                    raise pickle.UnpicklingError(
                        'it numbers more objects than it can hold')
                continue
        elif opcode == _LONG_BINPUT and int.from_bytes(
                content[position:position + 4], 'little') > end:
            raise pickle.UnpicklingError(
                'it numbers more objects than it can hold')
        position += length


def loads_plain_pickle(content: bytes, path: str) -> Any:
    """Read a pickle of plain data from bytes.

    Plain data are dict, list, tuple, set, str, bytes, int, float, bool and
    None. ``OrderedDict`` comes back as dict, numpy numbers as Python numbers
    and numpy arrays of numbers as nested lists. All pickle protocols are
    read, those of Python 2 included; its byte strings are taken as UTF-8
    and, where that fails, as latin1.

    Args:
        content (bytes): The pickle.
        path (str): Where it came from, for the error message.

    Returns:
        Any: The data.

    Raises:
        PlainPickleError: The pickle is empty, damaged, or names something
            that is not plain data. In no case has code of the file run.
    """
    if not content:
        raise PlainPickleError(
            f'{path} is empty (0 bytes): get it again, see docs/data.md.')
    try:
        _check_memo(content)
        try:
            return _DataUnpickler(
                io.BytesIO(content), encoding='utf-8').load()
        except UnicodeDecodeError:
            return _DataUnpickler(
                io.BytesIO(content), encoding='latin1').load()
    except NotPlain as error:
        raise PlainPickleError(
            f'{path} is refused and nothing in it was run: {error}, '
            'and a file of sentences holds plain data only (dict, '
            'list, str, numbers); get a clean copy, see docs/data.md.'
        ) from None
    except Exception as error:  # a damaged pickle can raise almost anything
        likely = next((f' (it looks like {what})'
                       for start, what in _LOOKALIKES
                       if content.lstrip().startswith(start)), '')
        raise PlainPickleError(
            f'{path} is not a readable pickle{likely}, damaged or cut off: '
            f'{type(error).__name__}: {error}; get it again, see '
            'docs/data.md.') from error
