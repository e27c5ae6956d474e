# Licensed under the Apache License, Version 2.0.
"""Lists the COCO images that must not be trained on, because RefCOCO,
RefCOCO+, RefCOCOg or others test on them.

Example:
    python tools/dataset_converters/make_leak_list.py \\
        data/coco/held_out.txt "data/coco/refcoco/refs(unc).p" \\
        "data/coco/refcoco+/refs(unc).p" "data/coco/refcocog/refs(umd).p"
"""

import argparse
import sys

from mmrefseg.datasets.leak_list import write_leak_list


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='List images of val and test splits, one COCO id per '
        'line')
    parser.add_argument('out', help='text file to write, such as leak.txt')
    parser.add_argument(
        'refs', nargs='+', help='refs files, such as "refs(unc).p"')
    parser.add_argument(
        '--splits',
        nargs='+',
        help='take these splits (default: each whose name begins with val or '
        'test)')
    return parser.parse_args(args)


def main(args: list[str] | None = None) -> int:
    args = parse_args(args)
    try:
        counts = write_leak_list(args.out, args.refs, args.splits)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None
    total = counts.pop('all')
    for path, count in counts.items():
        print(f'{count:8} images of {path}')
    print(f'{total:8} images in all, written to {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
