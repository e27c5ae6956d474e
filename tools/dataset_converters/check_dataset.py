# Licensed under the Apache License, Version 2.0.
"""Checks data in the layout of REFER, gRefCOCO or R-RefCOCO: refs, sentences,
images, masks, held against the published counts; and JSON lines. Ends with 0
if all is well and with 1 if there are faults.

Example:
    python tools/dataset_converters/check_dataset.py data/coco/refcoco
    python tools/dataset_converters/check_dataset.py data/coco --read-images
    python tools/dataset_converters/check_dataset.py data/my_refs/val.jsonl
"""

import argparse
import os
import os.path as osp
import sys

from refer_checks.check_report import format_report
from refer_checks.jsonl_check import check_lines
from refer_checks.refer_check import RefsReport, check_folder

from mmrefseg.datasets.refer_files import ALL_NAMES, list_refs_files


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check data in the layout of REFER, gRefCOCO or '
        'R-RefCOCO, or JSON lines')
    parser.add_argument(
        'roots',
        nargs='+',
        help='folders with instances.json, folders of such folders, or files '
        'of JSON lines (.jsonl)')
    parser.add_argument(
        '--images',
        help='folder of the images (default: the first of the usual places)')
    parser.add_argument(
        '--split-by', help='check this refs file alone, such as unc')
    parser.add_argument(
        '--read-images',
        action='store_true',
        help='read every image: slow, and sees damage')
    parser.add_argument(
        '--sentence-field',
        choices=('raw', 'sent'),
        default='raw',
        help='where the sentences are: as typed, or in lower case')
    parser.add_argument(
        '--strict',
        action='store_true',
        help='end with 1 for harmless faults as well')
    parser.add_argument(
        '--limit', type=int, default=5, help='examples of each kind of fault')
    return parser.parse_args(args)


def find_folders(root: str) -> list[str]:
    """The folder itself, or the folders in it that have annotations, if only
    one of their two files."""
    if not osp.isdir(root) or osp.exists(osp.join(root, 'instances.json')):
        return [root]
    own = [root] if list_refs_files(root, ALL_NAMES) else []
    inner = [osp.join(root, name) for name in sorted(os.listdir(root))]
    inner = [
        x for x in inner if osp.exists(osp.join(x, 'instances.json'))
        or list_refs_files(x, ALL_NAMES)
    ]
    return own + inner or [root]


def _check(path: str, args: argparse.Namespace) -> list[RefsReport]:
    if path.endswith('.jsonl'):
        return check_lines(
            path, images=args.images, read_images=args.read_images)
    return check_folder(
        path,
        images=args.images,
        split_by=args.split_by,
        read_images=args.read_images,
        sentence_field=args.sentence_field)


def main(args: list[str] | None = None) -> int:
    args = parse_args(args)
    reports = [
        report for root in args.roots for folder in find_folders(root)
        for report in _check(folder, args)
    ]
    for report in reports:
        print(format_report(report, args.limit) + '\n')
    bad = [x for x in reports if not x.is_whole(args.strict)]
    if bad:
        print(f'Faults in {len(bad)} of {len(reports)}: see docs/data.md.')
    else:
        print('All is well.')
    return int(bool(bad))


if __name__ == '__main__':
    sys.exit(main())
