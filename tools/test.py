# Licensed under the Apache License, Version 2.0.
"""Test a referring segmentor: measure, and on request draw or write down
what it predicts.

Usage:
    python tools/test.py CONFIG CHECKPOINT [--work-dir DIR]
        [--out FILE.jsonl] [--show] [--show-dir DIR]
        [--cfg-options key=value ...]

Models of configs/foundation bring their weights: give 'none' as CHECKPOINT,
or leave it out.
"""

import argparse

from command_options import draw_predictions, dump_predictions, set_checkpoint
from mmengine.config import DictAction

from mmrefseg.engine import launch


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Test a referring segmentor.')
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="path of the checkpoint; 'none' where the model brings its "
        'weights (configs/foundation)')
    parser.add_argument(
        '--work-dir', help='folder for the logs and the metrics')
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='write the predicted masks there, one JSON object per line '
        '(.jsonl)')
    parser.add_argument(
        '--show',
        action='store_true',
        help='show each prediction in a window')
    parser.add_argument(
        '--show-dir', metavar='DIR', help='draw each prediction to a file')
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        metavar='SECONDS',
        help='how long a window of --show stays; 0 waits for a key')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. '
        'test_dataloader.dataset.split=testA or key="[a,b]" (without spaces)')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes')
    # Given by the old torch.distributed.launch.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    launch.set_local_rank(args.local_rank)
    cfg = launch.load_config(
        args.config,
        options=args.cfg_options,
        work_dir=args.work_dir,
        launcher=args.launcher)
    set_checkpoint(cfg, args.checkpoint)
    cfg.resume = False
    if args.show or args.show_dir:
        draw_predictions(
            cfg,
            show=args.show,
            show_dir=args.show_dir,
            wait_time=args.wait_time)
    if args.out:
        dump_predictions(cfg, args.out)
    launch.build_runner(cfg).test()
    launch.leave_distributed()


if __name__ == '__main__':
    main()
