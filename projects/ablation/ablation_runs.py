# Licensed under the Apache License, Version 2.0.
"""Training runs of an ablation: its rows over any base config and seeds.

A row is a config of a few lines; what it changes is laid over the base config
that is asked for, so the rows of the paper, written for Swin-B and RefCOCO+,
run on small models and synthetic scenes as well. Every row gets the base's
budget and the same seeds.
"""

import hashlib
import json
import os
import os.path as osp
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import yaml
from mmengine.config import Config

from mmrefseg.engine.options import merge_options
from mmrefseg.fileio import write_atomically

RESULT = 'result.json'
_BASE = re.compile(r"^_base_ = '[^']*'(?:  # noqa: E501)?$", re.M)


@dataclass(frozen=True)
class Row:
    """A row of an ablation.

    Attributes:
        name (str): Its name, such as 'T2-1'.
        config (str): Path of its config file.
        tables (tuple[str]): The tables that it stands in.
        what (str): What is changed, in words.
        published (dict[str, float]): Published metrics, maybe none.
        whole (bool): The config stands by itself and is not laid over a base.
    """
    name: str
    config: str
    tables: tuple[str, ...]
    what: str
    published: dict[str, float]
    whole: bool = False


@dataclass(frozen=True)
class Run:
    """A row with a seed.

    Attributes:
        row (Row): The row.
        seed (int): ``randomness.seed`` of the run.
        folder (str): Its work directory.
    """
    row: Row
    seed: int
    folder: str

    @property
    def config(self) -> str:
        """Path of the whole config."""
        return osp.join(self.folder, f'{self.row.name}.py')


def read_rows(path: str, tables: Sequence[str] | None = None) -> list[Row]:
    """Read a list of rows.

    Args:
        path (str): A YAML file as ``projects/ablation/rows.yml``.
        tables (Sequence[str], optional): Names of the tables wanted. None
            takes all rows.

    Returns:
        list[Row]: In the order of the file.

    Raises:
        ValueError: If there is no such table.
    """
    with open(path, encoding='utf-8') as file:
        content = yaml.safe_load(file)
    rows = [
        Row(name=row['row'],
            config=osp.normpath(
                osp.join(osp.dirname(path), 'configs', row['config'])),
            tables=tuple(map(str, row['tables'])),
            what=row['what'],
            published=dict(
                zip(content['metrics'], row.get('published', ()))),
            whole=content.get('whole', False))
        for row in content['rows']
    ]
    if tables is None:
        return rows
    known = sorted({table for row in rows for table in row.tables})
    for table in tables:
        if table not in known:
            raise ValueError(f'{path} has no table {table!r}; it has '
                             f'{", ".join(known)}.')
    return [row for row in rows if set(tables) & set(row.tables)]


def lay_over(row: Row, base: str) -> str:
    """The text of a row's config, over another base unless it is whole.

    Args:
        row (Row): The row.
        base (str): Path of the base config.

    Returns:
        str: Text of a config.

    Raises:
        ValueError: If the row's config does not name its one base in a line
            of its own.
    """
    if row.whole:
        return f'_base_ = {osp.abspath(row.config)!r}\n'
    with open(row.config, encoding='utf-8') as file:
        text = file.read()
    text, found = _BASE.subn(
        lambda _: f'_base_ = {osp.abspath(base)!r}', text)
    if found != 1:
        raise ValueError(f"{row.config} needs one line _base_ = '...'.")
    return text


def prepare(row: Row, *, base: str, seed: int, work_dir: str,
            options: dict | None = None) -> Run:
    """Write the whole config of a run into its folder.

    Args:
        row (Row): The row.
        base (str): Path of the base config.
        seed (int): Seed of the run.
        work_dir (str): Folder of the ablation.
        options (dict, optional): Settings changed in every row, their names
            with dots.

    Returns:
        Run: The run, its config written.

    Raises:
        FileExistsError: If a run of another config stands in that folder.
    """
    run = Run(row, seed, osp.join(work_dir, row.name, f'seed_{seed}'))
    os.makedirs(run.folder, exist_ok=True)
    source = osp.join(run.folder, 'row.py')
    write_atomically(source, lay_over(row, base).encode())
    cfg = Config.fromfile(source)
    merge_options(cfg, {**(options or {}), 'randomness.seed': seed})
    text = cfg.pretty_text
    if osp.exists(run.config):
        with open(run.config, encoding='utf-8') as file:
            if file.read() != text:
                raise FileExistsError(
                    f'{run.config} is of another base or has other settings: '
                    'use another --work-dir, or remove this one.')
    else:
        write_atomically(run.config, text.encode())
    return run


def execute(run: Run, command: Callable[[str, str], list[str]],
            threads: int | None = None) -> dict[str, float]:
    """Train and validate a run, unless it is done already.

    Args:
        run (Run): The run.
        command (Callable): Gives the command that trains, from the path of a
            config and a work directory. It is to resume from what it finds
            there.
        threads (int, optional): ``OMP_NUM_THREADS`` of the command.

    Returns:
        dict[str, float]: Metrics of the last validation.

    Raises:
        RuntimeError: If the command fails or has measured nothing.
    """
    path = osp.join(run.folder, RESULT)
    with open(run.config, 'rb') as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if osp.exists(path):
        with open(path, encoding='utf-8') as file:
            result = json.load(file)
        if result['config_sha256'] == digest:
            return result['metrics']
    env = dict(os.environ)
    if threads is not None:
        env['OMP_NUM_THREADS'] = str(threads)
    log = osp.join(run.folder, 'output.log')
    with open(log, 'ab') as file:
        code = subprocess.run(
            command(run.config, run.folder),
            stdout=file,
            stderr=subprocess.STDOUT,
            env=env).returncode
    if code:
        raise RuntimeError(f'{run.row.name}, seed {run.seed}, ended with code '
                           f'{code}: see the end of {log}.')
    metrics = last_metrics(run.folder)
    write_atomically(
        path,
        json.dumps(
            dict(row=run.row.name, seed=run.seed, config_sha256=digest,
                 metrics=metrics),
            indent=1).encode())
    return metrics


def last_metrics(folder: str) -> dict[str, float]:
    """What the newest training run in a folder measured last.

    Args:
        folder (str): A work directory.

    Returns:
        dict[str, float]: Metrics in percent.

    Raises:
        RuntimeError: If nothing was measured there.
    """
    found = {}
    for stamp in sorted(os.listdir(folder)):
        path = osp.join(folder, stamp, 'vis_data', 'scalars.json')
        if not osp.exists(path):
            continue
        with open(path, encoding='utf-8') as file:
            for line in file:
                values = json.loads(line)
                if 'oIoU' in values:
                    found = values
    if not found:
        raise RuntimeError(
            f'No validation was found in {folder}: let the base config '
            'validate at its end.')
    return {
        key: value
        for key, value in found.items()
        if 'time' not in key and key not in ('step', 'iter', 'epoch')
    }


def run_all(runs: Sequence[Run],
            command: Callable[[str, str], list[str]],
            *,
            jobs: int = 1,
            threads: int | None = None,
            report: Callable[[str], None] = print,
            test: Callable[[Run], dict[str, float]] | None = None
            ) -> dict[str, dict[int, dict[str, float]]]:
    """Train and validate several runs.

    Args:
        runs (Sequence[Run]): The runs, in the order wanted.
        command (Callable): See :func:`execute`.
        jobs (int): Runs side by side. Defaults to 1.
        threads (int, optional): Threads of each run.
        report (Callable): Gets a line when a run is done.
        test (Callable, optional): Measures more of a trained run.

    Returns:
        dict: Metrics by the row's name and the seed.
    """
    results: dict[str, dict[int, dict[str, float]]] = {}

    def work(run: Run) -> None:
        metrics = dict(execute(run, command, threads))
        if test is not None:
            metrics.update(test(run))
        results.setdefault(run.row.name, {})[run.seed] = metrics
        report(f'{run.row.name:16s} seed {run.seed}   '
               f'oIoU {metrics["oIoU"]:.2f}   mIoU {metrics["mIoU"]:.2f}')

    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(work, run) for run in runs]
        try:
            for one in pending:
                one.result()
        except BaseException:
            # Started runs finish; no new one is started.
            for one in pending:
                one.cancel()
            raise
    return results


def train_command(tools: str, gpus: int = 1) -> Callable[[str, str],
                                                         list[str]]:
    """The command that trains a run by the package's own tools.

    Args:
        tools (str): The folder ``tools``.
        gpus (int): Processes; with 1, GPU or CPU as there is.

    Returns:
        Callable: From config and work directory to a command.
    """

    def command(config: str, work_dir: str) -> list[str]:
        rest = ['--work-dir', work_dir, '--resume']
        if gpus > 1:
            return [
                'bash',
                osp.join(tools, 'dist_train.sh'), config,
                str(gpus), *rest
            ]
        return [sys.executable, osp.join(tools, 'train.py'), config, *rest]

    return command
