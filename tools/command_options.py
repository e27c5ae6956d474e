# Licensed under the Apache License, Version 2.0.
"""Options of the commands train.py and test.py, as changes of a config."""

import logging
import os.path as osp

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from mmrefseg.registry import MODELS

AMP_WRAPPERS = ('AmpOptimWrapper', 'AutocastOptimWrapper')


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 with loss scaling on a GPU, bfloat16
    on a CPU, which needs no scaling.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        ValueError: If the config's optimizer wrapper has no mixed-precision
            twin.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind in AMP_WRAPPERS:
        print_log(
            f'--amp changes nothing: the config already trains with {kind}.',
            logger='current',
            level=logging.WARNING)
        return
    if kind != 'OptimWrapper':
        raise ValueError(
            "--amp works with optim_wrapper.type='OptimWrapper' only, but the "
            f'config has {kind!r}: set a mixed-precision wrapper there.')
    if get_device() == 'cpu':
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    else:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the batch size of this run over the one the
    config was made for (``auto_scale_lr.base_batch_size``).

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        ValueError: If the config does not give its batch size.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ValueError(
            '--auto-scale-lr needs the batch size that the config was made '
            'for: add auto_scale_lr=dict(base_batch_size=...) to it.')
    cfg.auto_scale_lr.enable = True


def check_training(cfg: Config) -> None:
    """Raise where a config has nothing to train.

    Args:
        cfg (Config): The config.

    Raises:
        ValueError: It has no ``train_cfg``, as those of configs/foundation.
    """
    if cfg.get('train_cfg') is None:
        raise ValueError(
            f'The config {cfg.filename} is for testing and inference and has '
            'no train_cfg: train one of configs/mpg_lqgnet or configs/lavt.')


def set_resume(cfg: Config, checkpoint: str | None) -> None:
    """Resume a training run.

    Args:
        cfg (Config): The config, changed in place.
        checkpoint (str, optional): Checkpoint to resume from, or 'auto' for
            the newest one in the work directory. None leaves the config as
            it is.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
    """
    if checkpoint is None:
        return
    cfg.resume = True
    cfg.load_from = None
    if checkpoint != 'auto':
        check_checkpoint(checkpoint)
        cfg.load_from = checkpoint


def check_checkpoint(path: str) -> None:
    """Raise early if a checkpoint is missing.

    Args:
        path (str): A local path or an address such as ``https://...``.

    Raises:
        FileNotFoundError: If it is a local path and there is no such file.
    """
    if '://' not in path and not osp.exists(path):
        raise FileNotFoundError(
            f'There is no checkpoint {path}: see the .pth files in the work '
            'directory of the training run.')


def set_checkpoint(cfg: Config, path: str | None) -> None:
    """Load a checkpoint, unless the model brings its weights.

    Args:
        cfg (Config): The config, changed in place.
        path (str, optional): The checkpoint; None or 'none' for a model that
            needs none.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The model needs a checkpoint, and none is named.
    """
    if path not in (None, 'none'):
        check_checkpoint(path)
        cfg.load_from = path
        return
    cfg.load_from = None
    kind = cfg.model.type
    model = MODELS.get(kind) if isinstance(kind, str) else kind
    if not getattr(model, 'brings_weights', False):
        raise ValueError(
            f'No checkpoint is named, and {kind} brings no weights: '
            'give the path of a .pth file after the config.')


def draw_predictions(cfg: Config,
                     *,
                     show: bool = False,
                     show_dir: str | None = None,
                     wait_time: float = 0.) -> None:
    """Draw every sentence of a test, not only the few that the config asks
    for.

    Args:
        cfg (Config): The config, changed in place.
        show (bool): Open a window for each. Defaults to False.
        show_dir (str, optional): Folder for the pictures. Without it they go
            where the visualizer of the config puts them.
        wait_time (float): Seconds that a window stays; 0 waits for a key.

    Raises:
        ValueError: If the config has no hook that draws.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError(
            'Drawing needs a hook that does it: add '
            "default_hooks.visualization=dict(type='RefVisualizationHook') "
            'to the config.')
    hook.update(
        draw=True,
        num_test_samples=-1,
        show=show,
        out_dir=show_dir,
        wait_time=wait_time)


def dump_predictions(cfg: Config, out_file: str) -> None:
    """Write the predicted masks of a test to a file of JSON lines.

    Args:
        cfg (Config): The config, changed in place.
        out_file (str): The file.

    Raises:
        ValueError: If the file's name does not end in '.jsonl'.
    """
    if not out_file.endswith('.jsonl'):
        raise ValueError(
            f'--out writes JSON lines: let the name end in .jsonl, unlike '
            f'{out_file}.')
    evaluators = cfg.test_evaluator
    if not isinstance(evaluators, (list, tuple)):
        evaluators = [evaluators]
    # With the scope named, also a config of another default scope works.
    dump = dict(
        type='PredictionDump', _scope_='mmrefseg', out_file=out_file)
    cfg.test_evaluator = [*evaluators, dump]
