# Licensed under the Apache License, Version 2.0.
"""Draw samples of a config's dataset with their sentences and masks, as the
model will get them.

Usage:
    python tools/analysis_tools/browse_dataset.py CONFIG [--split val]
        [--num 20] [--out-dir DIR] [--cfg-options key=value ...]
"""

import argparse
import os.path as osp

from dataset_pictures import browse_dataset
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmrefseg.engine.options import merge_options
from mmrefseg.registry import DATASETS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Draw samples of a dataset with sentences and masks.')
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='train',
        help='which data loader of the config (default: train)')
    parser.add_argument(
        '--num',
        type=int,
        default=20,
        help='number of samples, spread evenly over the split; -1 for all '
        '(default: 20)')
    parser.add_argument(
        '--seed', type=int, help='choose the samples at random instead')
    parser.add_argument(
        '--out-dir',
        help='folder for the pictures (default: work_dirs/browse/CONFIG/SPLIT)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. '
        'test_dataloader.dataset.split=testB')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)
    name = osp.splitext(osp.basename(args.config))[0]
    out_dir = args.out_dir or osp.join('work_dirs', 'browse', name, args.split)
    init_default_scope(cfg.get('default_scope', 'mmrefseg'))
    dataset = DATASETS.build(cfg[f'{args.split}_dataloader'].dataset)
    files = browse_dataset(dataset, out_dir, args.num, args.seed)
    print(f'{len(dataset)} samples in {args.split}; {len(files) - 1} drawn. '
          f'See {files[0]} and the pictures beside it.')


if __name__ == '__main__':
    main()
