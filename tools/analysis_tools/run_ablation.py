# Licensed under the Apache License, Version 2.0.
"""Train the rows of an ablation over several seeds and write a table.

Every row is a config of a few lines in configs/mpg_lqgnet/ablations, laid over
the base config that you name; all rows get that config's budget, the same
seeds and the same data. What is done already is not done again, and a run
that was stopped is resumed, so the same command can be given again at any
time.

Examples:
    Table 2 with the nano model on synthetic scenes, on a CPU of 2 cores:

        python tools/dataset_converters/make_synthetic_refs.py \\
            data/synthetic_refs
        python tools/analysis_tools/run_ablation.py --table 2 --seeds 3 \\
            --jobs 2 --threads 1

    As published, on 8 GPUs:

        python tools/analysis_tools/run_ablation.py --table 2 3 4 5 6 \\
            --seeds 1 --gpus 8 --base \\
            configs/mpg_lqgnet/mpg-lqgnet_swin-b_8xb1-35e_refcoco-plus-448x448.py
"""

import argparse
import os.path as osp

from mmengine.config import DictAction

from mmrefseg.apis.analysis import ablation, ablation_tables
from mmrefseg.fileio import write_atomically

ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))
CONFIGS = osp.join(ROOT, 'configs', 'mpg_lqgnet')


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train the rows of an ablation and write a table.')
    parser.add_argument(
        '--table',
        nargs='+',
        default=['2'],
        help='tables of the list of rows: 2 to 6 as in the paper, cafg, '
        'attention (default: 2)')
    parser.add_argument(
        '--seeds',
        type=int,
        default=3,
        help='runs of each row, with the seeds 0, 1, ... (default: 3)')
    parser.add_argument(
        '--base',
        default=osp.join(
            CONFIGS, 'mpg-lqgnet_nano_1xb32-400it_synthetic-128x128.py'),
        help='config that every row changes (default: the nano model, 400 '
        'iterations on synthetic scenes)')
    parser.add_argument(
        '--rows',
        default=osp.join(CONFIGS, 'ablations', 'rows.yml'),
        help='list of the rows')
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


def main(args: list[str] | None = None) -> None:
    args = parse_args(args)
    rows = ablation.read_rows(args.rows, args.table)
    # Seed by seed, so that what is there when time is up is a whole table.
    runs = [
        ablation.prepare(
            row,
            base=args.base,
            seed=seed,
            work_dir=args.work_dir,
            options=args.cfg_options) for seed in range(args.seeds)
        for row in rows
    ]
    results = ablation.run_all(
        runs,
        ablation.train_command(osp.join(ROOT, 'tools'), args.gpus),
        jobs=args.jobs,
        threads=args.threads)
    name = osp.join(args.work_dir, 'table_' + '_'.join(args.table))
    table = ablation_tables.markdown(rows, results)
    write_atomically(f'{name}.md', table.encode())
    write_atomically(f'{name}.csv',
                     ablation_tables.as_csv(rows, results).encode())
    ablation_tables.plot(f'{name}.png', rows, results)
    print(f'\n{table}\nWritten: {name}.md, {name}.csv, {name}.png')


if __name__ == '__main__':
    main()
