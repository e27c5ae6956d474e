# Licensed under the Apache License, Version 2.0.
"""Count the parameters and FLOPs (multiply-adds) of a config's model.

Prints a table with a row for each part and, as the last line, JSON with
``params_m``, ``gflops`` and ``excludes``. The language encoder is left out, as
published numbers of referring segmentation do; it need not be at hand.

Usage:
    python tools/analysis_tools/get_flops.py CONFIG [--shape 480 480]
        [--tokens 20] [--cfg-options key=value ...]
"""

import argparse
import json

from complexity import count_complexity
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmrefseg.engine.options import merge_options


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Count the parameters and FLOPs of a config's model.")
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--shape',
        type=int,
        nargs='+',
        default=[480, 480],
        metavar='PIXELS',
        help='height and width of the image, or one number for both')
    parser.add_argument(
        '--tokens',
        type=int,
        default=20,
        help='tokens of the sentence, [CLS] and [SEP] counted')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. '
        'model.backbone.window_size=12 or key="[a,b]" (without spaces)')
    args = parser.parse_args(args)
    if len(args.shape) > 2:
        parser.error('--shape takes one or two numbers')
    if min(args.shape) < 1 or args.tokens < 1:
        parser.error('--shape and --tokens must be positive')
    return args


def main(args: list[str] | None = None) -> None:
    args = parse_args(args)
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmrefseg'))
    complexity = count_complexity(
        cfg.model,
        shape=(args.shape[0], args.shape[-1]),
        tokens=args.tokens)
    height, width = complexity.shape
    print(f'{args.config}: image {height} x {width}, {args.tokens} tokens, '
          'multiply-adds')
    print(complexity.table())
    print(json.dumps(complexity.summary()))


if __name__ == '__main__':
    main()
