# Licensed under the Apache License, Version 2.0.
"""Convert an official LAVT checkpoint into one of mmrefseg.

Both kinds are read: `lavt` files (`model` and `bert_model`) and `lavt_one`
files (BERT within `model`). Every tensor is accounted for; what does not fit
is listed and nothing is written.

Usage:
    python tools/model_converters/lavt2mmrefseg.py OFFICIAL.pth OUT.pth
        [--config CONFIG] [--cfg-options key=value ...] [--trusted]
"""

import argparse
from collections import Counter

from mmengine.config import DictAction

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.apis.checkpoints.lavt_checkpoints import (
    DEFAULT_CONFIG, convert_lavt_checkpoint)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Convert an official LAVT checkpoint into one of '
        'mmrefseg.')
    parser.add_argument('checkpoint', help='the official checkpoint')
    parser.add_argument('out', help='the .pth file to write')
    parser.add_argument(
        '--config',
        default=DEFAULT_CONFIG,
        help='name or path of the config whose model it is (default: '
        '%(default)s)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, which OUT carries, e.g. '
        'model.language_encoder.vocab=/data/bert/vocab.txt')
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='also read a file that can run code: only if you trust its '
        'source')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        report = convert_lavt_checkpoint(
            args.checkpoint,
            args.out,
            config=args.config,
            cfg_options=args.cfg_options,
            trusted=args.trusted)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(f'error: {error}') from None
    parts = Counter(name.split('.')[0] for name in report.names.values())
    print(f'{args.checkpoint} is a {report.kind} file: {len(report.names)} '
          'tensors converted (' +
          ', '.join(f'{part} {count}' for part, count in parts.items()) + ').')
    for name, why in report.dropped.items():
        print(f'left out: {name} ({why})')
    if report.added:
        print(f'{len(report.added)} tensors that are not learned were '
              'computed: the file leaves them out.')
    config = args.config
    if not config.endswith('.py'):
        config = f'configs/lavt/{config}.py'
    print(f'written to {args.out}\n'
          f'Test it: python tools/test.py {config} {args.out}')


if __name__ == '__main__':
    main()
