# Licensed under the Apache License, Version 2.0.
"""Derives referring expressions from instance annotations in COCO's layout.

Example:
    python tools/dataset_converters/coco_to_refs.py \\
        data/coco/annotations/instances_val2017.json data/coco_refs/val.jsonl
    python tools/dataset_converters/coco_to_refs.py instances.json \\
        refs.jsonl --images images --kinds place colour --no-target 0.2
"""

import argparse
import time

from mmrefseg.derived_refs import (KINDS, RefOptions, read_ids, read_instances,
                                   write_refs)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Derive referring expressions from instance annotations')
    parser.add_argument('instances', help="file in COCO's layout")
    parser.add_argument('out_file', help='JSON lines to write')
    parser.add_argument(
        '--images', help='folder of the photos, for sentences with colours')
    parser.add_argument(
        '--ids', help='text file of image ids, one a line: only these photos')
    parser.add_argument(
        '--leave-out',
        nargs='+',
        default=(),
        metavar='FILE',
        help='leak lists or refs files: without the images they test on')
    parser.add_argument('--split', help='written in every line')
    parser.add_argument(
        '--kinds',
        nargs='+',
        metavar='KIND',
        help=f'of {", ".join(KINDS)}; by default all but the last two, and '
        'colour only with --images')
    parser.add_argument(
        '--per-object',
        type=int,
        default=6,
        metavar='N',
        help='at most so many sentences for an object')
    parser.add_argument(
        '--no-target',
        type=float,
        default=0.,
        metavar='SHARE',
        help='share of sentences that nothing in the photo fits')
    parser.add_argument(
        '--plurals',
        action='store_true',
        help='also sentences that mean several objects')
    parser.add_argument(
        '--min-area',
        type=float,
        default=0.004,
        metavar='SHARE',
        help='share of the photo below which an object is no target')
    parser.add_argument(
        '--ignore-below',
        type=float,
        default=0.,
        metavar='SHARE',
        help='share of the photo below which an object does not make a '
        'sentence ambiguous')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.perf_counter()
    kinds = args.kinds or [
        x for x in KINDS[:6] if x != 'colour' or args.images
    ]
    if args.plurals:
        kinds = [*kinds, 'plural']
    try:
        options = RefOptions(
            kinds=tuple(kinds),
            per_object=args.per_object,
            no_target=args.no_target,
            min_area=args.min_area,
            ignore_below=args.ignore_below,
            seed=args.seed)
        ids = None if args.ids is None else read_ids(args.ids)
        instances = read_instances(args.instances, ids, args.leave_out)
        counts = write_refs(
            instances,
            args.out_file,
            options,
            images=args.images,
            split=args.split)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    listed = ', '.join(f'{kind} {counts[kind]}' for kind in KINDS
                       if counts[kind])
    print(f'{counts.total()} sentences about {len(instances.images)} photos '
          f'written to {args.out_file} in {time.perf_counter() - start:.1f} '
          f's: {listed}')
    if instances.left_out:
        print(f'{instances.left_out} annotations of LVIS were left out: their '
              'category is not marked wherever it is in their image')


if __name__ == '__main__':
    main()
