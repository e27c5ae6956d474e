# Licensed under the Apache License, Version 2.0.
"""Lists the COCO images that must not be trained on, because RefCOCO,
RefCOCO+, RefCOCOg or others test on them.

Example:
    python tools/dataset_converters/make_leak_list.py \\
        data/coco/held_out.txt "data/coco/refcoco/refs(unc).p" \\
        "data/coco/refcoco+/refs(unc).p" "data/coco/refcocog/refs(umd).p"
"""

import argparse
import os.path as osp
import sys
from collections.abc import Sequence

from mmrefseg.datasets.leak_list import REFS_SUFFIXES, held_out_images
from mmrefseg.fileio import write_atomically


def write_leak_list(path: str,
                    refs_files: Sequence[str],
                    splits: Sequence[str] | None = None) -> dict[str, int]:
    """Write a leak list.

    Args:
        path (str): The list; must not end like a refs file.
        refs_files (Sequence[str]): Refs files.
        splits (Sequence[str], optional): Splits to take of each. Defaults to
            None: all val and test splits.

    Returns:
        dict[str, int]: Number of images by refs file, and their union under
        'all'.

    Raises:
        ValueError: ``path`` would be taken for a refs file, a file has none
            of the splits, or an image id is no number.
    """
    if path.endswith(REFS_SUFFIXES):
        raise ValueError(f'{path} would be taken for a refs file: let the '
                         'name of a leak list end in .txt.')
    counts: dict[str, int] = {}
    union: set[str] = set()
    for refs_file in refs_files:
        images = held_out_images(refs_file, splits)
        odd = sorted(x for x in images if not x.isdecimal())
        if odd:
            raise ValueError(f'{refs_file} has the image id {odd[0]!r}, which '
                             'is no number: a leak list holds COCO image ids.')
        counts[refs_file] = len(images)
        union |= images
    counts['all'] = len(union)
    which = 'val and test' if splits is None else ', '.join(splits)
    lines = [f'# Images of {which} splits, by COCO image id. Not to be trained'
             ' on.']
    lines += [f'# {_short(x)}: {counts[x]} images' for x in refs_files]
    lines += sorted(union, key=int)
    write_atomically(path, ('\n'.join(lines) + '\n').encode())
    return counts


def _short(path: str) -> str:
    """Folder and name of a file."""
    folder, name = osp.split(osp.abspath(path))
    return osp.join(osp.basename(folder), name)


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
