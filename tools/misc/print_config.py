# Licensed under the Apache License, Version 2.0.
"""Print a config with everything that it inherits.

Usage:
    python tools/misc/print_config.py CONFIG [--cfg-options key=value ...]
        [--save-path FILE.py]
"""

import argparse

from mmengine.config import Config, DictAction

from mmrefseg.engine.options import merge_options


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Print a config with everything that it inherits.')
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--save-path',
        metavar='FILE',
        help='write the whole config there, too (.py, .json or .yml)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. '
        'optim_wrapper.optimizer.lr=1e-4 or key="[a,b]" (without spaces)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)
    print(cfg.pretty_text)
    if args.save_path:
        cfg.dump(args.save_path)


if __name__ == '__main__':
    main()
