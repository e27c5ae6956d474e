# Licensed under the Apache License, Version 2.0.
"""The folder that a run writes to, for one run at a time."""

import logging
import os
import os.path as osp
import re
import socket
from pathlib import Path
from typing import TextIO

from mmengine.config import Config
from mmengine.logging import print_log

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Number of a process by launcher, before the processes have met.
_RANK = dict(
    pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
_locks: list[TextIO] = []


def choose_work_dir(cfg: Config, path: str, given: str | None = None) -> None:
    """Set the work directory of a config that was read from a file.

    It is the one given, else that of the config, else
    ``work_dirs/<name of the config file>``. What a run noted of itself in the
    config that it left in its work directory is not taken where that config
    was copied elsewhere, or is inherited from: neither ``work_dir``, nor what
    it was resumed from.

    Args:
        cfg (Config): The config, changed in place.
        path (str): Its file.
        given (str, optional): The work directory that the command names.

    Raises:
        ValueError: If the name of the copy leads to the old run's folder.
    """
    default = osp.join('work_dirs', osp.splitext(osp.basename(path))[0])
    noted = cfg.get('work_dir')
    if not noted or not _is_copy(cfg, path):
        cfg.work_dir = given or noted or default
        return
    cfg.work_dir = given or default
    if not given and osp.exists(noted) and _same(noted, default):
        raise ValueError(
            f'{path} is a copy of the config of the run in {noted} and would '
            'write into that run: give --work-dir, or another name to the '
            'file.')
    if cfg.get('resume'):
        cfg.resume, cfg.load_from = False, None
    print_log(
        f'{path} comes from the config that the run in {noted} left there: '
        f'this run writes to {cfg.work_dir}, and what that one was resumed '
        'from is not taken.',
        logger='current',
        level=logging.WARNING)


def lock_work_dir(work_dir: str, launcher: str = 'none') -> None:
    """Keep the work directory for this process until it ends, however it
    ends; the first process of several does it for all.

    Args:
        work_dir (str): The folder; it is made if need be.
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        RuntimeError: If another run has it. The message names its process.
    """
    rank = os.environ.get(_RANK.get(launcher, ''), '0')
    if fcntl is None or rank != '0':
        return
    os.makedirs(work_dir, exist_ok=True)
    lock = open(osp.join(work_dir, '.lock'), 'a+', encoding='utf-8')
    lock.seek(0)
    try:
        # Of the process, not of the open file: workers do not inherit it.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        owner = lock.read().strip() or 'another process'
        lock.close()
        raise RuntimeError(
            f'{work_dir} is the work directory of a run that is still going '
            f'on ({owner}): give this one another with --work-dir, or end '
            'that one first.') from None
    except OSError:  # a file system without locks
        lock.close()
        return
    lock.truncate(0)
    lock.write(f'process {os.getpid()} on {socket.gethostname()}\n')
    lock.flush()
    _locks.append(lock)


def _is_copy(cfg: Config, path: str) -> bool:
    """Whether ``work_dir`` was noted by a run whose folder is another.

    A run also notes its launcher, which nobody writes into a config.
    """
    if 'launcher' not in cfg or _same(osp.dirname(path), cfg.work_dir):
        return False
    text = Path(path).read_text(encoding='utf-8')
    inherits = re.search(r'^_base_\s*=', text, re.MULTILINE)
    sets = re.search(r'^work_dir\s*=', text, re.MULTILINE)
    return not (inherits and sets)


def _same(a: str, b: str) -> bool:
    return osp.realpath(a) == osp.realpath(b)
