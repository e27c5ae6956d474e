# Licensed under the Apache License, Version 2.0.
"""What each part of the photo recipe brings, and what more photos bring.

Short runs of equal length, one for each variant: compose, derive sentences,
train, evaluate. A row that the table has already is not run again.

Usage:
    python projects/photos/study.py INSTANCES.json IMAGES WORK_DIR CSV
        [--variants full no_paste ...] [--iters 150] [--size 192]
        [--number 1000] [--threads 1]
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import torch
from evaluate_photos import run

from mmrefseg.apis import RefSegInferencer

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CONVERTERS = ROOT / 'tools/dataset_converters'
CONFIG = next((ROOT / 'configs/mpg_lqgnet').glob(
    'mpg-lqgnet_efficientnet-lite2-minilm_*_photos-*.py'))
# Name: options of compose_coco.py, photos to train on, what the model does
# not see.
VARIANTS: dict[str, dict] = dict(
    full={},
    no_paste=dict(compose=['--no-paste']),
    no_flip=dict(compose=['--no-flip']),
    no_colour=dict(compose=['--no-colour']),
    no_scale=dict(compose=['--no-scale']),
    photos_50=dict(photos=50),
    photos_100=dict(photos=100),
    photos_200=dict(photos=200),
    blind_image=dict(blind='image'),
    blind_text=dict(blind='text'))
BLIND = dict(image='BlankImage', text='FixedSentence')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('instances', help="file in COCO's layout")
    parser.add_argument('images', help='folder of its photos')
    parser.add_argument('work_dir', help='folder for sets and checkpoints')
    parser.add_argument('csv', help='table, to which rows are added')
    parser.add_argument(
        '--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument('--iters', type=int, default=150)
    parser.add_argument('--size', type=int, default=192, help='pixels')
    parser.add_argument(
        '--number', type=int, default=1000, help='compositions')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def call(*command: str | Path, log: Path) -> None:
    """Run a script of this repository; its output goes to a file."""
    with log.open('a') as file:
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=ROOT, stdout=file,
            stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f'{command[0]} failed; {log} says why.')


def make_set(args: argparse.Namespace, folder: Path, ids: list[str],
             compose: list[str], more: list[str]) -> None:
    """Photos, compositions of them and sentences, once."""
    if (folder.with_suffix('.jsonl')).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix('.log')
    id_file = folder.with_suffix('.txt')
    id_file.write_text('\n'.join(ids) + '\n')
    call(CONVERTERS / 'compose_coco.py', args.instances, args.images, folder,
         '--ids', id_file, '--originals', '--size', '400', '--max-pasted', '3',
         '--seed', str(args.seed), *compose, log=log)
    call(CONVERTERS / 'coco_to_refs.py', folder / 'instances.json',
         folder.with_suffix('.jsonl'), '--images', folder / 'images',
         '--plurals', *more, log=log)


def train(args: argparse.Namespace, name: str, train_set: Path,
          blind: str | None) -> Path:
    """One training; its folder."""
    out = Path(args.work_dir) / 'runs' / name
    out.mkdir(parents=True, exist_ok=True)
    iters, size = args.iters, f'({args.size},{args.size})'
    warmup = max(iters // 20, 1)
    options = {
        'train_dataloader.dataset.data_root': '',
        'train_dataloader.dataset.ann_file': train_set.with_suffix('.jsonl'),
        'train_dataloader.dataset.data_prefix.img_path':
        f'{train_set}/images/',
        'train_dataloader.dataset.pipeline.2.scale': size,
        'test_dataloader.dataset.pipeline.1.scale': size,
        'train_dataloader.num_workers': 1,
        'max_iters': iters,
        'train_cfg.max_iters': iters,
        'train_cfg.val_interval': 10 * iters,
        'param_scheduler.0.end': warmup,
        'param_scheduler.1.begin': warmup,
        'param_scheduler.1.end': iters,
        'default_hooks.checkpoint.interval': iters,
        'randomness.seed': args.seed,
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None,
    }
    config = CONFIG
    if blind:  # a step more, behind those that the options above count
        config = out / 'blind.py'
        config.write_text(
            f"_base_ = '{CONFIG}'\n"
            'train_pipeline = _base_.train_pipeline\n'
            f"train_pipeline.insert(3, dict(type='{BLIND[blind]}'))\n"
            'train_dataloader = dict(dataset=dict(pipeline=train_pipeline))\n'
            "custom_imports = dict(imports=['mmrefseg', "
            "'projects.photos.blind'])\n")
    call('tools/train.py', config, '--work-dir', out, '--cfg-options',
         *(f'{key}={value}' for key, value in options.items()),
         log=out / 'log.txt')
    return out


def main() -> None:
    """Run what the table lacks."""
    args = parse_args()
    os.environ.update(
        OMP_NUM_THREADS=str(args.threads), PYTHONPATH=str(ROOT))
    torch.set_num_threads(args.threads)
    work_dir, table = Path(args.work_dir).resolve(), Path(args.csv)
    args.work_dir = str(work_dir)
    val = work_dir / 'val'
    make_set(args, val, (HERE / 'split_val.txt').read_text().split(),
             ['--number', '0'], ['--no-target', '0.15'])
    ids = (HERE / 'split_train.txt').read_text().split()
    random.Random(args.seed).shuffle(ids)
    for name in args.variants:
        done = set()
        if table.exists():
            with table.open() as file:
                done = {row['variant'] for row in csv.DictReader(file)}
        if name in done:
            continue
        variant = VARIANTS[name]
        blind = variant.get('blind')
        train_set = work_dir / ('full' if blind else name)
        start = time.time()
        make_set(args, train_set, ids[:variant.get('photos')],
                 ['--number', str(args.number), *variant.get('compose', [])],
                 ['--no-target', '0.06', '--min-area', '0.01'])
        made = time.time()
        out = train(args, name, train_set, blind)
        trained = time.time()
        config = next(path for path in out.glob('*.py'))
        inferencer = RefSegInferencer(
            str(config), str(out / f'iter_{args.iters}.pth'), 'cpu')
        inferencer.model.decode_head.existence.threshold = 0.
        scores, _ = run(inferencer, f'{val}.jsonl', f'{val}/images', 0., blind)
        rows = [
            dict(variant=name, photos=len(ids[:variant.get('photos')]),
                 iters=args.iters, size=args.size,
                 minutes_to_train=round((trained - made) / 60, 1), **row)
            for row in scores.table()
            if row['row'] == 'model' or name == 'full'
        ]
        is_new = not table.exists()
        with table.open('a', newline='') as file:
            writer = csv.DictWriter(file, rows[0])
            if is_new:
                writer.writeheader()
            writer.writerows(rows)
        said = {row['kind']: f'{row["oIoU"]:.1f}' for row in rows
                if row['row'] == 'model'}
        print(f'{name}: {said}; set {made - start:.0f} s, training '
              f'{trained - made:.0f} s, test {time.time() - trained:.0f} s',
              flush=True)


if __name__ == '__main__':
    main()
