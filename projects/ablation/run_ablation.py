# Licensed under the Apache License, Version 2.0.
"""Train the rows of an ablation over several seeds and write a table.

A row is a config of a few lines in projects/ablation/configs, laid over the
base config that you name; all rows get that config's budget, the same seeds
and the same data. Finished runs are kept and a stopped run is resumed, so the
same command can be given again at any time. Without --table, the command
lists what it would run and starts nothing.

Examples:
    Table 2 with the nano model on synthetic scenes, on a CPU of 2 cores:

        python tools/dataset_converters/make_synthetic_refs.py \\
            data/synthetic_refs
        python projects/ablation/run_ablation.py --table 2 --seeds 3 \\
            --jobs 2 --threads 1

    As published, on 8 GPUs:

        python projects/ablation/run_ablation.py --table 2 3 4 5 6 \\
            --seeds 1 --gpus 8 --base \\
            configs/mpg_lqgnet/mpg-lqgnet_swin-b_8xb1-35e_refcoco-plus-448x448.py
"""

import argparse
import os.path as osp
import shlex
import sys
from collections.abc import Sequence

import ablation_tests
from mmengine.config import Config, DictAction

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.engine.options import merge_options
from mmrefseg.fileio import write_atomically
import ablation_runs
import ablation_tables

PROJECT = osp.dirname(osp.abspath(__file__))
ROOT = osp.dirname(osp.dirname(PROJECT))
NANO = osp.join(ROOT, 'configs', 'mpg_lqgnet',
                'mpg-lqgnet_nano_1xb32-400it_synthetic-128x128.py')


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train the rows of an ablation and write a table; '
        'without --table, list the rows and start nothing.')
    parser.add_argument(
        '--table',
        nargs='+',
        help='tables of the list of rows: 2 to 6 as in the paper, cafg, '
        'attention')
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='list what would be run, and start nothing')
    parser.add_argument(
        '--seeds',
        type=int,
        default=3,
        help='runs of each row, with the seeds 0, 1, ... (default: 3)')
    parser.add_argument(
        '--base',
        default=NANO,
        help='config that every row changes (default: the nano model, 400 '
        'iterations on synthetic scenes)')
    parser.add_argument(
        '--rows',
        default=osp.join(PROJECT, 'rows.yml'),
        help="list of the rows; those of a list that says 'whole: true' are "
        'configs by themselves, and --base plays no part')
    parser.add_argument(
        '--tests',
        nargs='+',
        default=[],
        choices=ablation_tests.TESTS,
        help='more tests of every trained run: control (the sentences of an '
        'image exchanged among its objects), unseen (renderers that no '
        'training sees; the scenes need the splits unseenA and unseenB)')
    parser.add_argument(
        '--work-dir', default='work_dirs/ablation', help='folder of the runs')
    parser.add_argument(
        '--gpus', type=int, default=1, help='processes of a run (default: 1)')
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs side by side (default: 1)')
    parser.add_argument(
        '--threads',
        type=int,
        help='OMP_NUM_THREADS of a run; on a CPU with --jobs, share the cores')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of every row')
    args = parser.parse_args(args)
    if min(args.seeds, args.gpus, args.jobs) < 1:
        parser.error('--seeds, --gpus and --jobs are at least 1')
    return args


def describe(args: argparse.Namespace,
             rows: Sequence[ablation_runs.Row]) -> str:
    """What a command would run: rows, base, data, cost and folder.

    Args:
        args (Namespace): As :func:`parse_args` gives it.
        rows (Sequence[Row]): The rows of its tables.

    Returns:
        str: Lines to be read.
    """
    base = rows[0].config if rows[0].whole else args.base
    cfg = Config.fromfile(base, format_python_code=False)
    merge_options(cfg, args.cfg_options or {})
    budget, unit = cfg.train_cfg.get('max_iters'), 'iterations'
    if budget is None:
        budget, unit = cfg.train_cfg.max_epochs, 'epochs'
    data = cfg.train_dataloader.dataset.data_root
    lines = [f'{"row":<16}{"tables":<30}what']
    lines += [
        f'{row.name:<16}{" ".join(row.tables):<30}{row.what}' for row in rows
    ]
    runs = len(rows) * args.seeds
    cost = (f'{runs} runs of {budget} {unit}, '
            f'{cfg.train_dataloader.batch_size} sentences a batch')
    if osp.samefile(base, NANO) and not args.cfg_options:
        # A run was measured at about 4 minutes on one CPU core.
        cost += (f'; about 4 minutes each on one CPU core, {4 * runs} minutes '
                 'in all')
    missing = '' if osp.isdir(data) else ' (missing)'
    if missing and osp.basename(data) == 'synthetic_refs':
        missing = (' (missing: python tools/dataset_converters/'
                   f'make_synthetic_refs.py {data})')
    lines += [
        '', f'base:   {osp.relpath(base)}', f'data:   {data}{missing}',
        f'cost:   {cost}', f'folder: {args.work_dir}'
    ]
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    try:
        rows = ablation_runs.read_rows(args.rows, args.table)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from None
    if args.dry_run or not args.table:
        start = [] if args.table else ['--table', '2']
        start += [x for x in argv if x != '--dry-run']
        command = f'projects/ablation/run_ablation.py {shlex.join(start)}'
        print(f'{describe(args, rows)}\n\nNothing was started. To start'
              f'{"" if args.table else ", here Table 2"}:\n  python {command}')
        return
    # Seed by seed: an interrupted ablation leaves whole tables.
    runs = [
        ablation_runs.prepare(
            row,
            base=args.base,
            seed=seed,
            work_dir=args.work_dir,
            options=args.cfg_options) for seed in range(args.seeds)
        for row in rows
    ]
    tools = osp.join(ROOT, 'tools')

    def test(run: ablation_runs.Run) -> dict[str, float]:
        return {
            name: value
            for kind in args.tests for name, value in ablation_tests.run_test(
                run, kind, tools, args.threads).items()
        }

    results = ablation_runs.run_all(
        runs,
        ablation_runs.train_command(tools, args.gpus),
        jobs=args.jobs,
        threads=args.threads,
        test=test)
    metrics = (*ablation_tables.METRICS, *ablation_tests.names_of(args.tests))
    name = osp.join(args.work_dir, 'table_' + '_'.join(args.table))
    table = ablation_tables.markdown(rows, results, metrics)
    write_atomically(f'{name}.md', table.encode())
    write_atomically(f'{name}.csv',
                     ablation_tables.as_csv(rows, results,
                                            metrics).encode())
    ablation_tables.plot(f'{name}.png', rows, results)
    print(f'\n{table}\nWritten: {name}.md, {name}.csv, {name}.png')


if __name__ == '__main__':
    main()
