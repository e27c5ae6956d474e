# Licensed under the Apache License, Version 2.0.
"""Files that are either whole or not there."""

import contextlib
import os
import os.path as osp
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, register_backend

TEMPORARY_SUFFIX = '.tmp'


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file so that no reader ever sees a part of it.

    The bytes go to ``<path>.tmp`` in the same folder, are forced to the disk,
    and the file is then renamed over ``path``. A process killed on the way
    leaves the old file as it was, and at worst a ``.tmp`` file beside it,
    which the next write to the same path replaces.

    Args:
        path (str | Path): File to write; its folder is made if need be.
        data (bytes): The whole content.

    Raises:
        OSError: It cannot be written, as on a full disk. The message names
            the file and its size, and the old file is as it was.
    """
    path = osp.abspath(path)
    folder = osp.dirname(path)
    temporary = path + TEMPORARY_SUFFIX
    try:
        os.makedirs(folder, exist_ok=True)
        with open(temporary, 'wb') as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)  # a part of it only takes space
        raise OSError(
            error.errno,
            f'{path} ({len(data)} bytes) could not be written: '
            f'{error.strerror}. What was there before is as it was; make '
            'room, or choose another folder, and resume') from error
    _sync_folder(folder)


@contextlib.contextmanager
def open_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece, so that it is there whole or not at all.

    As :func:`write_atomically`, for what is too large to be held at once.
    Where the ``with`` block raises, the old file stays as it was.

    Args:
        path (str | Path): File to write; its folder is made if need be.

    Yields:
        BinaryIO: Where to write.

    Example:
        >>> import os, tempfile
        >>> from mmrefseg.fileio.atomic import open_atomically
        >>> path = os.path.join(tempfile.mkdtemp(), 'lines.txt')
        >>> with open_atomically(path) as file:
        ...     print(file.write(b'one line'), os.path.exists(path))
        8 False
        >>> os.path.exists(path)
        True
    """
    path = osp.abspath(path)
    temporary = path + TEMPORARY_SUFFIX
    os.makedirs(osp.dirname(path), exist_ok=True)
    try:
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
    _sync_folder(osp.dirname(path))


def _sync_folder(folder: str) -> None:
    """Let a new name itself reach the disk, before old files may go."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local file backend with atomic writes.

    Known to MMEngine's file functions as ``atomic_local``:
    ``backend_args=dict(backend='atomic_local')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes atomically, see :func:`write_atomically`."""
        write_atomically(filepath, obj)

    def put_text(self,
                 obj: str,
                 filepath: str | Path,
                 encoding: str = 'utf-8') -> None:
        """Write text atomically, see :func:`write_atomically`."""
        write_atomically(filepath, obj.encode(encoding))
