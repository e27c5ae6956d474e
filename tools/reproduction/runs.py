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
from glob import escape, glob
from typing import Any

from mmengine.config import Config

from mmrefseg.engine.options import merge_options
from mmrefseg.fileio import write_atomically
from .commands import Command
from .settings import Settings, settings_of_config
from .tables import Row


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
