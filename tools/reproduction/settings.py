# Licensed under the Apache License, Version 2.0.
"""What the rows of a table share, and what it changes in their configs."""

from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from mmrefseg.evaluation.conventions import resolve_convention
from .commands import Launcher
from .tables import Row


@dataclass(frozen=True)
class Settings:
    """What is the same for all rows.

    Attributes:
        data (str): Folder of the data.
        work_dir (str): Folder of the table.
        convention (str): How masks are compared.
        launcher (Launcher): How processes are started.
        accumulate (int): Steps whose gradients are gathered.
        sync_bn (bool): Whether batch norms see all processes.
        checkpoint (str): 'best' on val, or 'last'.
        seed (int): Of the runs.
        options (dict): Settings of the configs that are changed.
    """
    data: str
    work_dir: str
    convention: str = 'default'
    launcher: Launcher = Launcher()
    accumulate: int = 1
    sync_bn: bool = False
    checkpoint: str = 'best'
    seed: int = 0
    options: dict[str, Any] | None = None


def settings_of_config(cfg: Config, row: Row, settings: Settings) -> dict:
    """What a row changes in its config.

    The batch over all processes stays that of the recipe.

    Args:
        cfg (Config): The config.
        row (Row): The row.
        settings (Settings): What all rows share.

    Returns:
        dict: Settings, their names with dots.

    Raises:
        ValueError: The batch cannot be divided among the processes.
    """
    batch = cfg.auto_scale_lr.base_batch_size
    shares = settings.launcher.gpus * settings.accumulate
    if batch % shares:
        raise ValueError(
            f'The batch of {row.name} is {batch}, which cannot be divided by '
            f'--gpus {settings.launcher.gpus} x --accumulate '
            f'{settings.accumulate}: choose them so that it can.')
    eval_size = resolve_convention(settings.convention).eval_size
    changed = {
        'randomness.seed': settings.seed,
        'train_dataloader.batch_size': batch // shares,
        'sync_bn': 'torch' if settings.sync_bn else None,
        'model.test_cfg.output_size': eval_size,
        'val_evaluator.convention': settings.convention,
        'test_evaluator.convention': settings.convention,
        'test_evaluator.breakdown': ['split'],
        'test_dataloader.dataset.split': row.splits,
    }
    if settings.accumulate > 1:
        changed['optim_wrapper.accumulative_counts'] = settings.accumulate
    for part in ('train', 'val', 'test'):
        changed[f'{part}_dataloader.dataset.data_root'] = settings.data
    return {**changed, **(settings.options or {})}
