# Licensed under the Apache License, Version 2.0.
"""Reproduce a table of published results: check the data, train every row,
test all its splits, and write the table beside the published numbers.

What is finished is not run again and a killed training goes on from its newest
checkpoint, so the same command can be given again at any time.

Examples:
    What it would run, and what that costs:

        python tools/reproduce.py table1 --data data/coco --gpus 8 --dry-run

    Eight GPUs of this machine; or of a partition of Slurm:

        python tools/reproduce.py table1 --data data/coco --gpus 8
        python tools/reproduce.py table1 --data data/coco --gpus 8 \\
            --slurm PARTITION --jobs 3

    On a CPU, with synthetic scenes:

        python tools/dataset_converters/make_synthetic_refs.py \\
            data/synthetic_refs
        python tools/reproduce.py synthetic
"""

import argparse
import os.path as osp
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from mmengine.config import DictAction
from reproduction import report
from reproduction.commands import Launcher
from reproduction.costs import count_row, estimate
from reproduction.data_check import check_data
from reproduction.runs import Run
from reproduction.settings import Settings
from reproduction.tables import Table, read_tables

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.evaluation.conventions import CONVENTIONS


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Reproduce a table of published results.')
    parser.add_argument('table', choices=list(read_tables()))
    parser.add_argument(
        '--data', metavar='ROOT', help='folder of the data, as data/README.md '
        'shows it (default: that of the table, such as data/coco)')
    parser.add_argument(
        '--rows', nargs='+', help='some rows of the table, such as refcoco')
    parser.add_argument(
        '--work-dir', help='folder of the runs and of the table (default: '
        'work_dirs/reproduce_TABLE)')
    parser.add_argument(
        '--gpus', type=int, default=1, help='processes of a run (default: 1)')
    parser.add_argument(
        '--accumulate', type=int, default=1, metavar='STEPS',
        help='gather the gradients of so many steps, where the batch of a '
        'recipe does not fit (default: 1)')
    parser.add_argument(
        '--slurm', metavar='PARTITION', help='run by Slurm')
    parser.add_argument(
        '--jobs', type=int, default=1,
        help='rows side by side (default: 1), with --slurm')
    parser.add_argument(
        '--port', type=int, default=29500,
        help='where the processes of a run on this machine meet')
    parser.add_argument(
        '--convention', choices=sorted(CONVENTIONS),
        help='how masks are compared (default: as the published ones)')
    parser.add_argument(
        '--checkpoint', choices=('best', 'last'), default='best',
        help='what is tested: the best on val (default), or the last')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--dry-run', action='store_true',
        help='print what would be run, and start nothing')
    parser.add_argument(
        '--tflops', type=float, default=19.5,
        help='peak of a GPU, for the estimate of --dry-run (default: 19.5, an '
        'A100 in float32)')
    parser.add_argument(
        '--utilisation', type=float, default=0.35,
        help='assumed share of the peak that is reached (default: 0.35)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='change settings of every config')
    args = parser.parse_args(args)
    if min(args.gpus, args.accumulate, args.jobs) < 1:
        parser.error('--gpus, --accumulate and --jobs are at least 1')
    if args.jobs > 1 and args.slurm is None:
        parser.error('--jobs needs --slurm: rows on one machine would share '
                     'its GPUs')
    if min(args.tflops, args.utilisation) <= 0:
        parser.error('--tflops and --utilisation are positive')
    return args


def settings_of(args: argparse.Namespace, table: Table) -> Settings:
    """What all rows share."""
    work_dir = args.work_dir or osp.join('work_dirs',
                                         f'reproduce_{table.name}')
    has_gpus = args.slurm is not None or torch.cuda.is_available()
    return Settings(
        data=osp.abspath(args.data or table.data),
        work_dir=osp.abspath(work_dir),
        convention=args.convention or table.convention,
        launcher=Launcher(args.gpus, args.slurm, args.port),
        accumulate=args.accumulate,
        sync_bn=args.gpus > 1 and has_gpus,
        checkpoint=args.checkpoint,
        seed=args.seed,
        options=args.cfg_options)


def describe(runs: list[Run], tflops: float, utilisation: float) -> str:
    """What would be run, and what it would cost.

    Args:
        runs (list[Run]): The runs.
        tflops (float): Peak of a GPU.
        utilisation (float): Share of it that is assumed to be reached.

    Returns:
        str: Lines to be read.
    """
    lines, total = [], 0.
    for run in runs:
        lines.append(f'{run.row.name}: {osp.relpath(run.row.config)}')
        for step in ('train', 'test'):
            command = run.command(step)
            words = [f'{k}={v}' for k, v in command.variables.items()]
            words.append(shlex.join(command.words))
            lines += [f'  {step}: {run.state(step)}', f'    {" ".join(words)}']
        counts = count_row(run.row, run.settings.data)
        cost = estimate(run.cfg, counts, run.row.splits)
        if cost is None:
            lines.append('  cost: not known, the data is missing')
            continue
        hours = cost.hours(tflops, utilisation)
        total += hours if run.state('train') != 'done' else 0
        lines.append(
            f'  cost: {cost.trained:,} sentences x {cost.passes} passes and '
            f'{cost.predicted:,} predicted, {cost.forward / 1e9:.1f} G '
            f'multiply-adds each: {hours:.2f} GPU hours')
    lines += [
        '', f'Trainings that are not done: about {total:.2f} GPU hours, if a '
        f'GPU reaches {utilisation:.0%} of {tflops:g} TFLOPS. That share is '
        'assumed, not measured; language encoder and reading of data are not '
        'counted.'
    ]
    return '\n'.join(lines)


def execute(table: Table, runs: list[Run], settings: Settings,
            jobs: int) -> str:
    """Run what is not done, and write the table after each row.

    Args:
        table (Table): The whole table; rows that were done before with the
            same settings have their numbers.
        runs (list[Run]): Its rows, or some.
        settings (Settings): What they share.
        jobs (int): Rows side by side.

    Returns:
        str: Path of the table, without its ending.
    """
    results: dict = {}
    for row in table.rows:
        if row.name in [run.row.name for run in runs]:
            continue
        found = Run(row, settings).result('test')
        if found is not None:
            results[row.name] = found['metrics']
    lock, failed = threading.Lock(), threading.Event()

    def work(run: Run) -> None:
        if failed.is_set():  # started rows finish; no new one is started
            return
        try:
            measured = run.execute()
        except BaseException:
            failed.set()
            raise
        with lock:
            results[run.row.name] = measured
            report.write(table, results, settings)

    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(work, run) for run in runs]
        try:
            for one in pending:
                one.result()
        except BaseException:
            failed.set()
            raise
    return report.write(table, results, settings)


def main(args: list[str] | None = None) -> None:
    args = parse_args(args)
    table = read_tables()[args.table]
    settings = settings_of(args, table)
    try:
        rows = list(table.only(args.rows).rows)
        runs = [Run(row, settings) for row in rows]
        if args.dry_run:
            print(describe(runs, args.tflops, args.utilisation))
            print('Nothing was started.')
            return
        check_data(rows, settings)
        path = execute(table, runs, settings, args.jobs)
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f'error: {error}') from None
    with open(f'{path}.md', encoding='utf-8') as file:
        print('\n' + file.read())
    print(f'Written: {path}.md, {path}.csv')


if __name__ == '__main__':
    main()
