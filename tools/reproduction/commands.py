# Licensed under the Apache License, Version 2.0.
"""The commands that train and test, on one GPU or many, here or by Slurm."""

import os
import os.path as osp
import sys
from dataclasses import dataclass, field

from .tables import ROOT

TOOLS = osp.join(ROOT, 'tools')
_GPUS_OF_A_NODE = 8


@dataclass(frozen=True)
class Command:
    """A command and the variables that it reads.

    Attributes:
        words (list[str]): The command.
        variables (dict[str, str]): Variables set beside those that are set.
    """
    words: list[str]
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The variables of its process; the scripts find this Python."""
        path = os.pathsep.join(
            [osp.dirname(sys.executable),
             os.environ.get('PATH', '')])
        return {**os.environ, 'PATH': path, **self.variables}


@dataclass(frozen=True)
class Launcher:
    """How processes are started.

    Attributes:
        gpus (int): Processes of a run. With 1, GPU or CPU as there is.
        partition (str, optional): Of Slurm. None means on this machine.
        port (int): Where the processes of a run on this machine meet.
    """
    gpus: int = 1
    partition: str | None = None
    port: int = 29500

    def train(self, name: str, config: str, work_dir: str) -> Command:
        """Train, from the newest checkpoint of the folder if it has one.

        Args:
            name (str): Of the job.
            config (str): Path of the config.
            work_dir (str): Folder of the run.
        """
        return self._command('train', name, [config],
                             ['--work-dir', work_dir, '--resume'])

    def test(self, name: str, config: str, checkpoint: str,
             work_dir: str) -> Command:
        """Test a checkpoint; arguments as of :meth:`train`."""
        return self._command('test', name, [config, checkpoint],
                             ['--work-dir', work_dir])

    def _command(self, tool: str, name: str, files: list[str],
                 options: list[str]) -> Command:
        script = osp.join(TOOLS, f'slurm_{tool}.sh')
        if self.partition is not None:
            return Command(
                ['bash', script, self.partition, name, *files, *options],
                dict(
                    GPUS=str(self.gpus),
                    GPUS_PER_NODE=str(min(self.gpus, _GPUS_OF_A_NODE))))
        if self.gpus == 1:
            tool = osp.join(TOOLS, f'{tool}.py')
            return Command([sys.executable, tool, *files, *options])
        script = osp.join(TOOLS, f'dist_{tool}.sh')
        return Command(['bash', script, *files, str(self.gpus), *options],
                       dict(PORT=str(self.port)))
