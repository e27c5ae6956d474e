# Licensed under the Apache License, Version 2.0.
"""Trains a small MPG-LQGNet from scratch on synthetic scenes, tests it, and
draws its masks: the main path of the package in one command.

Example:
    python demo/synthetic_demo.py
"""

import argparse
import copy
import os.path as osp
import time

import mmcv
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from prettytable import PrettyTable

from mmrefseg.engine.options import merge_options
from mmrefseg.engine.work_dir import lock_work_dir
from mmrefseg.synthetic import make_synthetic_refs
from mmrefseg.visualization import draw_panels

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))
CONFIG = osp.join(
    ROOT, 'configs/mpg_lqgnet/'
    'mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py')

NUM = 20  # scenes by each of the renderers that training never sees


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train, test and draw a nano MPG-LQGNet')
    parser.add_argument('--config', default=CONFIG)
    parser.add_argument(
        '--data-root', default=osp.join(ROOT, 'data/synthetic_refs'))
    parser.add_argument(
        '--work-dir', default=osp.join(ROOT, 'work_dirs/synthetic_demo'))
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """The config, with all dataloaders on the scenes of ``--data-root``."""
    cfg = Config.fromfile(args.config)
    cfg.work_dir = args.work_dir
    for name in ('train', 'val', 'test'):
        cfg[f'{name}_dataloader'].dataset.data_root = args.data_root
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)
    return cfg


def exchange_sentences(runner: Runner, cfg: Config) -> dict[str, float]:
    """Test once more with the sentences of each image exchanged among its
    objects: what a model that does not read would lose nothing by."""
    loader = cfg.test_dataloader.copy()
    loader.dataset = dict(type='ExchangedSentences', dataset=loader.dataset)
    return evaluate(runner, loader)


def try_unseen_renderers(runner: Runner, cfg: Config) -> dict[str, float]:
    """Test on a few scenes by two renderers that training never sees."""
    root = f'{cfg.test_dataloader.dataset.data_root.rstrip(osp.sep)}_unseen'
    none = dict(train=0, val=0, testA=0, testB=0)
    make_synthetic_refs(root, **none, unseenA=NUM, unseenB=NUM)
    loader = copy.deepcopy(cfg.test_dataloader)
    loader.dataset.update(data_root=root, split=('unseenA', 'unseenB'))
    return evaluate(runner, loader)


@torch.no_grad()
def evaluate(runner: Runner, loader: dict) -> dict[str, float]:
    """Test on the dataset of another dataloader."""
    loader = runner.build_dataloader(loader)
    evaluator = runner.build_evaluator(dict(type='ReferringIoUMetric'))
    runner.model.eval()
    for batch in loader:
        evaluator.process(
            data_samples=runner.model.test_step(batch), data_batch=batch)
    return evaluator.evaluate(len(loader.dataset))


@torch.no_grad()
def draw_overview(runner: Runner, path: str, num: int = 12) -> None:
    """Draw the masks of sentences spread over the test split, in one picture.
    """
    dataset = runner.test_loop.dataloader.dataset
    runner.model.eval()
    panels = []
    for index in np.linspace(0, len(dataset) - 1, num).astype(int):
        item = dataset[index]
        sample = runner.model.test_step(pseudo_collate([item]))[0]
        image = mmcv.imread(sample.metainfo['img_path'], channel_order='rgb')
        panels.append((sample.metainfo.get('kind', ''),
                       runner.visualizer.draw_sample(image, sample)))
    mmcv.imwrite(draw_panels(panels, columns=4)[..., ::-1], path)


def main() -> None:
    args = parse_args()
    print(f'Scenes: {args.data_root}', flush=True)
    make_synthetic_refs(args.data_root)
    cfg = load_config(args)
    # the test below would repeat the validation of the last iteration
    cfg.train_cfg.val_begin = cfg.train_cfg.max_iters + 1

    lock_work_dir(cfg.work_dir)
    runner = Runner.from_cfg(cfg)
    start = time.perf_counter()
    runner.train()
    minutes = (time.perf_counter() - start) / 60
    metrics = runner.test()
    overview = osp.join(args.work_dir, 'overview.png')
    draw_overview(runner, overview)
    control = exchange_sentences(runner, cfg)
    unseen = try_unseen_renderers(runner, cfg)

    table = PrettyTable(['val of the scenes', 'oIoU', 'mIoU', 'P@0.5'])
    for name, values in (('this model', metrics),
                         ('control: sentences exchanged', control),
                         ('unseen renderers', unseen)):
        table.add_row(
            [name] +
            [f'{values[key]:.2f}' for key in ('oIoU', 'mIoU', 'P0.5')])
    for kind in ('location', 'appearance', 'relation'):
        table.add_row([f'  {kind} sentences'] + [
            f'{metrics[f"kind/{kind}/{key}"]:.2f}'
            for key in ('oIoU', 'mIoU', 'P0.5')
        ])
    print(f'\nTrained from scratch for {minutes:.1f} minutes.')
    print(table)
    reads = control['oIoU'] < metrics['oIoU'] / 2
    print('The control is ' + ('below' if reads else 'NOT below') +
          ' half of the result: the model ' +
          ('reads its sentences.' if reads else 'hardly reads.'))
    print(f'Pictures: {overview} and\n'
          f'  {osp.join(runner.log_dir, "vis_data", "vis_image")}')
    print('Your own sentence, with the model that the package ships:\n'
          '  python demo/image_demo.py demo/scene.png "the star to the left '
          'of the blue square" --model mpg-lqgnet_nano')


if __name__ == '__main__':
    main()
