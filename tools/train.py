# Licensed under the Apache License, Version 2.0.
"""Train a referring segmentor.

Usage:
    python tools/train.py CONFIG [--work-dir DIR] [--resume [CHECKPOINT]]
        [--amp] [--auto-scale-lr] [--cfg-options key=value ...]
"""

import argparse

from command_options import (check_training, enable_amp, enable_auto_scale_lr,
                             set_resume)
from mmengine.config import DictAction

from mmrefseg.engine import launch
from mmrefseg.engine.work_dir import lock_work_dir


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train a referring segmentor.')
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--work-dir', help='folder for the logs and the checkpoints')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint; without a path, from the latest one '
        'in the work directory')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision: float16 on a GPU, bfloat16 on a CPU')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the batch size of this run')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. '
        'optim_wrapper.optimizer.lr=1e-4 or key="[a,b]" (without spaces)')
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
    check_training(cfg)
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    set_resume(cfg, args.resume)
    lock_work_dir(cfg.work_dir, args.launcher)
    launch.build_runner(cfg).train()
    launch.leave_distributed()


if __name__ == '__main__':
    main()
