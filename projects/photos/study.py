# Licensed under the Apache License, Version 2.0.
"""What each part of the photo recipe brings, and what more photos bring.

Short trainings of equal length, one for each variant and seed: compose,
derive sentences, train, evaluate. Rows that the table has already are not run
again. All seeds of a variant train on the same set.

Usage:
    python projects/photos/study.py INSTANCES.json IMAGES WORK_DIR CSV
        [--variants full no_paste ...] [--seeds 0 1] [--iters 150]
        [--size 192] [--number 1000] [--jobs 1] [--threads 1]
        [--device cuda] [--cfg-options key=value ...]
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CONVERTERS = ROOT / 'tools/dataset_converters'
CONFIG = (ROOT / 'configs/mpg_lqgnet' /
          'mpg-lqgnet_efficientnet-lite2-minilm_1xb32-2400it_photos-256x256.py')
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
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0], help='of the training')
    parser.add_argument('--iters', type=int, default=150)
    parser.add_argument('--size', type=int, default=192, help='pixels')
    parser.add_argument(
        '--number', type=int, default=1000, help='compositions')
    parser.add_argument(
        '--jobs', type=int, default=1, help='trainings at the same time')
    parser.add_argument(
        '--threads', type=int, default=1, help='of each training')
    parser.add_argument('--device', default='cpu', help='to evaluate on')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='of the trainings')
    return parser.parse_args()


def train_ids(name: str) -> list[str]:
    """Ids of the photos that a variant is trained on."""
    ids = (HERE / 'split_train.txt').read_text().split()
    random.Random(0).shuffle(ids)
    return ids[:VARIANTS[name].get('photos')]


def call(*command: str | Path, log: Path) -> None:
    """Run a script of this repository; its output goes to a file."""
    with log.open('a') as file:
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=ROOT, stdout=file,
            stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f'{command[0]} failed; {log} says why.')


def make_set(args: argparse.Namespace, name: str) -> None:
    """Photos, compositions of them and sentences, once."""
    folder = args.work_dir / name
    if name == 'val':
        ids = (HERE / 'split_val.txt').read_text().split()
        compose, more = ['--number', '0'], ['--no-target', '0.15']
    else:
        ids = train_ids(name)
        compose = ['--number', str(args.number),
                   *VARIANTS[name].get('compose', [])]
        more = ['--no-target', '0.06', '--min-area', '0.01']
    if (folder.with_suffix('.jsonl')).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix('.log')
    id_file = folder.with_suffix('.txt')
    id_file.write_text('\n'.join(ids) + '\n')
    call(CONVERTERS / 'compose_coco.py', args.instances, args.images, folder,
         '--ids', id_file, '--originals', '--size', '400', '--max-pasted', '3',
         *compose, log=log)
    call(CONVERTERS / 'coco_to_refs.py', folder / 'instances.json',
         folder.with_suffix('.jsonl'), '--images', folder / 'images',
         '--plurals', *more, log=log)


def train(args: argparse.Namespace, name: str, seed: int) -> Path:
    """One training; its folder."""
    blind = VARIANTS[name].get('blind')
    train_set = args.work_dir / ('full' if blind else name)
    out = args.work_dir / f'runs/{name}_{seed}'
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
        'randomness.seed': seed,
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
         *args.cfg_options,
         log=out / 'log.txt')
    return out


def evaluate(args: argparse.Namespace, name: str, out: Path) -> list[dict]:
    """Rows of the table of one training."""
    val, blind = args.work_dir / 'val', VARIANTS[name].get('blind')
    call('projects/photos/evaluate_photos.py', next(out.glob('*.py')),
         val.with_suffix('.jsonl'), val / 'images', '--weights',
         out / f'iter_{args.iters}.pth', '--csv', out / 'scores.csv',
         # what no threshold empties
         '--threshold', '0', '--device', args.device,
         *(('--blind', blind) if blind else ()), log=out / 'log.txt')
    with (out / 'scores.csv').open() as file:
        return [row for row in csv.DictReader(file)
                if row['row'] == 'model' or name == 'full']


def rows_of(table: Path) -> list[dict]:
    """What a table has already."""
    if not table.exists():
        return []
    with table.open() as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Run what the table lacks."""
    args = parse_args()
    paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    os.environ.update(
        OMP_NUM_THREADS=str(args.threads),
        PYTHONPATH=os.pathsep.join(filter(None, paths)))
    for name in ('instances', 'images', 'work_dir'):
        setattr(args, name, Path(getattr(args, name)).resolve())
    table = Path(args.csv)
    done = {(row['variant'], row['seed']) for row in rows_of(table)}
    runs = [(name, seed) for seed in args.seeds for name in args.variants
            if (name, str(seed)) not in done]
    writing = threading.Lock()

    def run(name: str, seed: int) -> None:
        start = time.time()
        out = train(args, name, seed)
        minutes = round((time.time() - start) / 60, 1)
        rows = [dict(variant=name, seed=seed, photos=len(train_ids(name)),
                     iters=args.iters, size=args.size,
                     minutes_to_train=minutes, **row)
                for row in evaluate(args, name, out)]
        with writing:
            is_new = not table.exists()
            with table.open('a', newline='') as file:
                writer = csv.DictWriter(file, rows[0])
                if is_new:
                    writer.writeheader()
                writer.writerows(rows)
        said = {row['kind']: f'{float(row["oIoU"]):.1f}' for row in rows
                if row['row'] == 'model'}
        print(f'{name}, seed {seed}: {said}; trained for {minutes} minutes',
              flush=True)

    with ThreadPoolExecutor(args.jobs) as pool:
        sets = {'full' if VARIANTS[name].get('blind') else name
                for name, _ in runs}
        list(pool.map(lambda name: make_set(args, name),
                      sorted(sets | {'val'})))
        list(pool.map(lambda item: run(*item), runs))


if __name__ == '__main__':
    main()
