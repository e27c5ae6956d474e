# Licensed under the Apache License, Version 2.0.
"""Print how many refs, sentences and images each split of a folder in the
layout of REFER, gRefCOCO or R-RefCOCO has, beside the known numbers of the
public sets."""

import argparse
import os.path as osp
import sys

from refer_checks.refer_counts import (SplitCount, count_splits, differs,
                                       known_counts, say_unknown)

from mmrefseg.datasets.refer_files import ALL_NAMES, find_refs_file, load_refs


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', help='such as data/coco/refcoco+')
    parser.add_argument('split_by', help='such as unc, umd or google')
    return parser.parse_args(args)


def main(args: list[str] | None = None) -> int:
    args = parse_args(args)
    if not osp.isdir(args.folder):
        raise SystemExit(f'error: {args.folder} is no folder: give the folder '
                         'of the refs file.')
    try:
        path = find_refs_file(args.folder, args.split_by, names=ALL_NAMES)
        found = count_splits(load_refs(path, many=True))
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None
    known = known_counts(args.folder, args.split_by)
    wrong = False
    print(f'{"split":10}{"refs":>8}{"sentences":>11}{"images":>8}   known')
    for split in [*found, *(x for x in known if x not in found)]:
        count = found.get(split, SplitCount(0, 0, 0))
        line = (f'{split:10}{count.refs:8}{count.sentences:11}'
                f'{count.images:8}   ')
        if split in known:
            right = known[split]
            line += f'{right.refs} refs'
            if right.sentences is not None:
                line += f', {right.sentences} sentences'
            if differs(count, right):
                wrong = True
                line += '  <- DIFFERS'
        print(line)
    if not known:
        print(say_unknown(args.folder, args.split_by))
    elif wrong:
        print(f'{path} is not the public file, or damaged: see docs/data.md.')
    else:
        print('All as known.')
    return int(wrong)


if __name__ == '__main__':
    sys.exit(main())
