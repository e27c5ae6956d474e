# Licensed under the Apache License, Version 2.0.
"""Parameters, seconds per training step and seconds per image of each row.

All rows are timed in turns (A B C A B C ...) in one process, with one batch of
real sentences each, so that whatever else the machine does falls on all of
them. Weights are random: time does not depend on them.

Usage:
    python projects/systems/time_systems.py CSV [--rows ROWS.yml]
        [--data data/synthetic_refs] [--rounds 8] [--threads 2]
"""

import argparse
import csv
import os.path as osp
import statistics
import sys
import time
from collections.abc import Callable

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from prettytable import PrettyTable

from mmrefseg.registry import MODELS

PROJECT = osp.dirname(osp.abspath(__file__))
sys.path.insert(0, osp.join(osp.dirname(PROJECT), 'ablation'))

from ablation_runs import read_rows  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('csv', help='table to write')
    parser.add_argument('--rows', default=osp.join(PROJECT, 'rows.yml'))
    parser.add_argument('--data', default='data/synthetic_refs')
    parser.add_argument('--rounds', type=int, default=8)
    parser.add_argument('--threads', type=int, default=2)
    return parser.parse_args()


def prepare(config: str, data: str) -> tuple[Callable, Callable, int]:
    """A training step and a prediction of one image, to be called again and
    again, and the number of parameters of a model."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    loader = cfg.train_dataloader
    loader.dataset.data_root = data
    loader.update(num_workers=0, persistent_workers=False)
    batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    optimizer = Runner.build_optim_wrapper(
        _WithModel(model), cfg.optim_wrapper)
    one = pseudo_collate([
        dict(inputs=batch['inputs'][0], data_samples=batch['data_samples'][0])
    ])

    def step() -> None:
        model.train().train_step(batch, optimizer)

    def predict() -> None:
        model.eval().test_step(one)

    return step, predict, sum(p.numel() for p in model.parameters())


class _WithModel:
    """What build_optim_wrapper reads of a runner."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Time all rows in turns, print and write a table."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    rows = read_rows(args.rows)
    parts = {row.name: prepare(row.config, args.data) for row in rows}
    times: dict[str, tuple[list[float], list[float]]] = {
        row.name: ([], []) for row in rows}
    for i in range(args.rounds + 1):
        for name, (step, predict, _) in parts.items():
            found = seconds(step), seconds(predict)
            if i:  # the first round warms up
                for values, value in zip(times[name], found):
                    values.append(value)
    table = [
        dict(row=row.name, parameters=parts[row.name][2],
             step_min=min(step), step_median=statistics.median(step),
             image_min=min(image), image_median=statistics.median(image))
        for row in rows for step, image in [times[row.name]]
    ]
    with open(args.csv, 'w', newline='') as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    shown = PrettyTable(['row', 'parameters', 's per step (min, median)',
                         's per image (min, median)'])
    for line in table:
        shown.add_row([
            line['row'], f'{line["parameters"] / 1e6:.2f} M',
            f'{line["step_min"]:.3f} {line["step_median"]:.3f}',
            f'{line["image_min"]:.4f} {line["image_median"]:.4f}'
        ])
    print(shown)


if __name__ == '__main__':
    main()
