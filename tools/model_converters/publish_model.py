# Licensed under the Apache License, Version 2.0.
"""Prepare a model for publication: weights without what only training needs,
a config that inherits nothing and names no path of this machine, and
what was measured.

Usage:
    python tools/model_converters/publish_model.py CHECKPOINT OUT_DIR
        [--name NAME] [--config CONFIG] [--half] [--safetensors]
        [--metrics-from FILE.json] [--metric oIoU=81.2 P0.5=88.1]
        [--note TEXT] [--trusted]
"""

import argparse

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.apis import publish_model


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Prepare a model for publication.')
    parser.add_argument('checkpoint', help='checkpoint of a training run')
    parser.add_argument(
        'out_dir',
        help='folder for config.py, the weights and metadata.json; files of '
        'an earlier publication there are replaced')
    parser.add_argument('--name', help="default: the folder's name")
    parser.add_argument(
        '--config', help='default: the config in the checkpoint')
    parser.add_argument(
        '--half',
        action='store_true',
        help='store float16, which is read as float32: half the size')
    parser.add_argument(
        '--safetensors',
        action='store_true',
        help='write .safetensors, which cannot hold code (a script of your '
        'own that loads with MMEngine alone reads .pth only)')
    parser.add_argument(
        '--metrics-from',
        metavar='FILE',
        help='JSON file that tools/test.py wrote, or scalars.json of the '
        'training run')
    parser.add_argument(
        '--metric',
        nargs='+',
        default=[],
        metavar='NAME=PERCENT',
        help='what was measured, e.g. oIoU=81.2')
    parser.add_argument('--note', help='how the model came to be')
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='also read a checkpoint that can run code: only if you trust '
        'its source')
    return parser.parse_args()


def parse_metrics(pairs: list[str]) -> dict[str, float]:
    metrics = {}
    for pair in pairs:
        name, _, value = pair.partition('=')
        try:
            metrics[name] = float(value)
        except ValueError:
            raise SystemExit(f'error: --metric {pair}: write NAME=PERCENT, '
                             'such as oIoU=81.2') from None
    return metrics


def main() -> None:
    args = parse_args()
    metrics = parse_metrics(args.metric)
    try:
        done = publish_model(
            args.checkpoint,
            args.out_dir,
            name=args.name,
            config=args.config,
            half=args.half,
            safetensors=args.safetensors,
            metrics=metrics,
            metrics_file=args.metrics_from,
            note=args.note,
            trusted=args.trusted)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(f'error: {error}') from None
    for change in done['changes']:
        print(f'config: {change}')
    for name in done['kept_float32']:
        print(f'float32 is kept, float16 cannot hold it: {name}')
    measured = ', '.join(f'{key} {value:.2f}'
                         for key, value in done['metrics'].items()
                         if '/' not in key)
    print(f"{done['name']}: {done['params'] / 1e6:.2f} M parameters, "
          f"{done['dtype']}, {done['bytes'] / 1e6:.2f} MB of weights, "
          f"{done['folder_bytes'] / 1e6:.2f} MB in all\n"
          f"measured: {measured or 'nothing was given (--metric)'}\n"
          f"written to {done['folder']}: {', '.join(done['files'])}\n"
          'Use it:  python demo/image_demo.py IMAGE "a sentence" --model '
          f"{done['folder']}")
    if done['weights'].endswith('.pth'):
        print(f"Test it: python tools/test.py {done['folder']}/config.py "
              f"{done['folder']}/{done['weights']}")


if __name__ == '__main__':
    main()
