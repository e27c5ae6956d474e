# Licensed under the Apache License, Version 2.0.
"""Runs of a table: a config written once, and steps that are done once.

A finished step leaves a file with the digest of what it was made of; as long
as that is the same, the step is not run again. A training that was killed goes
on from its newest checkpoint.
"""

import hashlib
import json
import os
import os.path as osp
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from glob import escape, glob
from typing import Any

from mmengine.config import Config

from mmrefseg.engine.options import merge_options
from mmrefseg.evaluation.conventions import resolve_convention
from mmrefseg.fileio import write_atomically
from .commands import Command, Launcher
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


class Run:
    """A row with its folder.

    Args:
        row (Row): The row.
        settings (Settings): What all rows share.
    """

    def __init__(self, row: Row, settings: Settings) -> None:
        self.row = row
        self.settings = settings
        self.folder = osp.join(settings.work_dir, row.name)
        self.config = osp.join(self.folder, 'config.py')
        self.cfg = Config.fromfile(row.config, format_python_code=False)
        # The text depends on no formatter, and is made at once. What MMEngine
        # makes of the argument for a file that inherits is left undone.
        self.cfg.__dict__['_format_python_code'] = False
        merge_options(self.cfg, settings_of_config(self.cfg, row, settings))
        self.text = self.cfg.pretty_text
        self._digest = hashlib.sha256(self.text.encode()).hexdigest()

    def prepare(self) -> None:
        """Write the config into the folder.

        Raises:
            FileExistsError: A run with other settings stands there.
        """
        if osp.exists(self.config):
            with open(self.config, encoding='utf-8') as file:
                if file.read() != self.text:
                    raise FileExistsError(
                        f'{self.config} has other settings than this command: '
                        'give the options that it was made with, another '
                        '--work-dir, or remove its folder.')
            return
        os.makedirs(self.folder, exist_ok=True)
        write_atomically(self.config, self.text.encode())

    def state(self, step: str) -> str:
        """Of 'train' or 'test': 'done', 'to be resumed' or 'to do'."""
        if self.result(step) is not None:
            return 'done'
        if step == 'train' and osp.exists(
                osp.join(self.folder, 'train', 'last_checkpoint')):
            return 'to be resumed'
        return 'to do'

    def result(self, step: str) -> dict | None:
        """What a step left; None if it is not done with this config."""
        path = osp.join(self.folder, f'{step}.json')
        if not osp.exists(path):
            return None
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
        if found.pop('config_sha256') != self._digest:
            return None
        return found

    def _finish(self, step: str, **result: Any) -> dict:
        write_atomically(
            osp.join(self.folder, f'{step}.json'),
            json.dumps(
                dict(config_sha256=self._digest, **result),
                indent=1).encode())
        return result

    def command(self, step: str) -> Command:
        """The command of 'train' or 'test'."""
        launcher, folder = self.settings.launcher, osp.join(self.folder, step)
        if step == 'train':
            return launcher.train(self.row.name, self.config, folder)
        done = self.result('train')
        checkpoint = done['checkpoint'] if done else osp.join(
            self.folder, 'train', f'<{self.settings.checkpoint}>.pth')
        return launcher.test(self.row.name, self.config, checkpoint, folder)

    def execute(self, report: Callable[[str], None] = print) -> dict:
        """Train and test, as far as it is not done.

        Args:
            report (Callable): Gets a line about each step.

        Returns:
            dict[str, dict[str, float]]: Metrics by split.

        Raises:
            RuntimeError: A command failed, or left nothing to go on with.
        """
        self.prepare()
        for step, finish in (('train', self._trained), ('test',
                                                        self._tested)):
            state = self.state(step)
            report(f'{self.row.name}, {step}: {state}')
            if state != 'done':
                self._start(step, report)
                self._finish(step, **finish())
        done = self.result('test')
        assert done is not None
        return done['metrics']

    def _start(self, step: str, report: Callable[[str], None]) -> None:
        log = osp.join(self.folder, f'{step}.log')
        report(f'    output: {log}')
        command = self.command(step)
        with open(log, 'ab') as file:
            code = start(command, file)
        if code:
            raise RuntimeError(
                f'{self.row.name}: {step} ended with code {code}; see the end '
                f'of {log}. The same command goes on from here.')

    def _trained(self) -> dict:
        folder = osp.join(self.folder, 'train')
        if self.settings.checkpoint == 'best':
            found = glob(osp.join(escape(folder), 'best_oIoU_*.pth'))
            found.sort(key=osp.getmtime)
        else:
            pointer = osp.join(folder, 'last_checkpoint')
            found = []
            if osp.exists(pointer):
                with open(pointer, encoding='utf-8') as file:
                    found = [file.read().strip()]
        if not found:
            raise RuntimeError(
                f'{self.row.name}: the training left no '
                f'{self.settings.checkpoint} checkpoint in {folder}; see its '
                'log.')
        return dict(checkpoint=found[-1])

    def _tested(self) -> dict:
        # MMEngine writes what a test measured to STAMP/STAMP.json.
        found = [
            x for x in sorted(
                glob(osp.join(escape(self.folder), 'test/*/*.json')))
            if osp.basename(x) == f'{osp.basename(osp.dirname(x))}.json'
        ]
        if not found:
            raise RuntimeError(f'{self.row.name}: the test left no metrics in '
                               f'{osp.join(self.folder, "test")}.')
        with open(found[-1], encoding='utf-8') as file:
            measured = json.load(file)
        metrics: dict[str, dict[str, float]] = {}
        for key, value in measured.items():
            field, _, rest = key.partition('/')
            split, _, name = rest.partition('/')
            if field == 'split' and name:
                metrics.setdefault(split, {})[name] = value
        missing = [x for x in self.row.splits if x not in metrics]
        if missing:
            raise RuntimeError(f'{self.row.name}: {found[-1]} has no metrics '
                               f'of {", ".join(missing)}.')
        return dict(metrics=metrics)


def start(command: Command, log) -> int:
    """Run a command to its end.

    Args:
        command (Command): The command.
        log (file): Where its output goes.

    Returns:
        int: Its exit code.
    """
    return subprocess.run(
        command.words,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=command.environment()).returncode
