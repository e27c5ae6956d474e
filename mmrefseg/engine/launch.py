# Licensed under the Apache License, Version 2.0.
"""A Runner from a config and the arguments of a command.

``tools/train.py`` and ``tools/test.py`` are thin layers over these functions;
a script of your own can call them just as well.
"""

import gc
import os
import os.path as osp

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.runner import Runner

from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.registry import RUNNERS
from .options import merge_options
from .work_dir import choose_work_dir


def load_config(path: str,
                *,
                options: dict | None = None,
                work_dir: str | None = None,
                launcher: str = 'none') -> Config:
    """Read a config file and apply what every command lets change.

    Args:
        path (str): Path of the config file.
        options (dict, optional): Settings to be changed, their names with
            dots: ``{'optim_wrapper.optimizer.lr': 1e-4}``.
        work_dir (str, optional): Folder for logs and checkpoints, see
            :func:`~mmrefseg.engine.work_dir.choose_work_dir`.
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'There is no config file {path}: give the path of a file, such '
            'as configs/<method>/<name>.py.')
    cfg = Config.fromfile(path)
    options = options or {}
    choose_work_dir(cfg, path, work_dir or options.get('work_dir'))
    cfg.launcher = launcher
    if options:
        merge_options(cfg, options)
    if work_dir:
        cfg.work_dir = work_dir
    return cfg


def prepare_distributed(cfg: Config) -> None:
    """Let several processes run on a machine without a GPU.

    MMEngine's own set-up asks CUDA for the device of each process. Here the
    processes are joined by ``gloo`` before the Runner is built, and the model
    is wrapped without device numbers. With a GPU nothing is done: MMEngine
    does it.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        ValueError: If processes on CPU are started by a launcher other than
            'pytorch'.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or get_device() != 'cpu':
        return
    if launcher != 'pytorch':
        raise ValueError(
            f"No GPU was found, and launcher '{launcher}' works on GPUs only: "
            'run several processes on CPU with tools/dist_train.sh or '
            "launcher 'pytorch'.")
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    wrapper = cfg.get('model_wrapper_cfg') or ConfigDict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.device_ids = None
    cfg.model_wrapper_cfg = wrapper


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config, on GPUs or CPU, one process or many.

    From here on checkpoints are read as plain data in this process, see
    :func:`~mmrefseg.fileio.secure_checkpoint_loading`.

    Args:
        cfg (Config): The config; its ``launcher`` says how the processes
            were started.

    Returns:
        Runner: Ready for ``train()``, ``val()`` or ``test()``.
    """
    secure_checkpoint_loading()
    prepare_distributed(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)


def leave_distributed() -> None:
    """Wait for the other processes and part from them, as the last step of a
    command that went well.

    A process that ends with its group still open leaves gloo's threads
    running, and now and then dies of it: PyTorch then reports a run as failed
    of which everything is done and written. After an error nothing of this is
    wanted: waiting for a process that is no more would hang.
    """
    if is_distributed():
        # The Runner holds the wrapped model, and that the group.
        gc.collect()
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def set_local_rank(rank: int) -> None:
    """Note the rank that an old launcher gave as an argument, where MMEngine
    looks for it; ``torchrun`` has set it there already.

    Args:
        rank (int): Number of the process on this machine, from 0.
    """
    os.environ.setdefault('LOCAL_RANK', str(rank))
