# Licensed under the Apache License, Version 2.0.
"""Checks data in the layout of REFER, gRefCOCO or R-RefCOCO: refs, sentences,
images, masks, held against the published counts. Ends with 0 if all is well
and with 1 if there are faults.

Example:
    python tools/dataset_converters/check_dataset.py data/coco/refcoco
    python tools/dataset_converters/check_dataset.py data/coco --read-images
"""

import argparse
import os
import os.path as osp
import sys
from typing import List, Optional

from mmrefseg.datasets.check_report import format_report
from mmrefseg.datasets.refer_check import check_folder


def parse_args(args: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check data in the layout of REFER, gRefCOCO or R-RefCOCO')
    parser.add_argument(
        'roots',
        nargs='+',
        help='folders with instances.json, or folders of such folders')
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
        '--strict',
        action='store_true',
        help='end with 1 for harmless faults as well')
    parser.add_argument(
        '--limit', type=int, default=5, help='examples of each kind of fault')
    return parser.parse_args(args)


def find_folders(root: str) -> List[str]:
    """The folder itself, or the folders in it that have annotations."""
    if osp.isdir(root) and not osp.exists(osp.join(root, 'instances.json')):
        inner = [osp.join(root, name) for name in sorted(os.listdir(root))]
        inner = [x for x in inner if osp.exists(osp.join(x, 'instances.json'))]
        if inner:
            return inner
    return [root]


def main(args: Optional[List[str]] = None) -> int:
    args = parse_args(args)
    reports = [
        report for root in args.roots for folder in find_folders(root)
        for report in check_folder(
            folder,
            images=args.images,
            split_by=args.split_by,
            read_images=args.read_images)
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
