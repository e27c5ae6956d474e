# Licensed under the Apache License, Version 2.0.
"""Files from the network, fetched once and never half."""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import torch
from mmengine.logging import print_log

from .atomic import TEMPORARY_SUFFIX

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_TIMEOUT = 60  # seconds without an answer


def download_file(url: str, folder: str | Path | None = None) -> Path:
    """Fetch a file, if it is not there yet.

    Any number of processes may ask for the same file at once: one fetches it
    and the others wait. Until the file is whole it has another name.

    Args:
        url (str): ``http(s)://...``; the last part of its path is the name of
            the file.
        folder (str | Path, optional): Where to keep it. Defaults to
            ``checkpoints`` in PyTorch's hub folder (``TORCH_HOME``).

    Returns:
        Path: The file.

    Raises:
        OSError: It cannot be fetched whole.
    """
    folder = Path(folder or Path(torch.hub.get_dir()) / 'checkpoints')
    path = folder / unquote(urlsplit(url).path).rsplit('/', 1)[-1]
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(path):
            if not path.is_file():
                print_log(f'Downloading {url} to {path}', 'current')
                _fetch(url, path)
    return path


def _fetch(url: str, path: Path) -> None:
    own = f'{os.getpid()}-{threading.get_ident()}'
    part = Path(f'{path}.{own}{TEMPORARY_SUFFIX}')
    request = Request(url, headers={'User-Agent': 'mmrefseg'})
    try:
        with urlopen(request, timeout=_TIMEOUT) as answer:
            with open(part, 'wb') as file:
                shutil.copyfileobj(answer, file, 1 << 20)
                given, size = file.tell(), answer.headers['Content-Length']
        if size is not None and given != int(size):
            raise OSError(f'{given} of {size} bytes arrived')
        os.replace(part, path)
    except HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Keep other processes that want the same file waiting."""
    lock = Path(f'{path}.lock')
    with open(lock, 'w') as file:
        # Where nothing can be locked, each fetches the file: a waste, but the
        # last step of each is to replace a whole file by a whole one.
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()
