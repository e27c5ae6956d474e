# Licensed under the Apache License, Version 2.0.
"""Prints how hard the synthetic scenes are: oracles that hardly read.

Example:
    python tools/analysis_tools/synthetic_oracles.py data/synthetic_refs
"""

import argparse

from mmrefseg.datasets.synthetic.oracles import format_oracles, measure_oracles


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Weak oracles and other figures of synthetic scenes')
    parser.add_argument('data_root', help='folder of the scenes')
    parser.add_argument('--split', default='val')
    parser.add_argument(
        '--seed', type=int, default=0, help='of the random oracle')
    args = parser.parse_args()
    try:
        report = measure_oracles(args.data_root, args.split, args.seed)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(format_oracles(report))


if __name__ == '__main__':
    main()
