# Licensed under the Apache License, Version 2.0.
"""Makes new photos from those of a set in COCO's layout, by copy and paste.

Example:
    python tools/dataset_converters/compose_coco.py instances.json images \\
        data/composed --number 4000 --originals --workers 4
    python tools/dataset_converters/coco_to_refs.py \\
        data/composed/instances.json data/composed/refs.jsonl
"""

import argparse
import time

from mmrefseg.derived_refs import read_ids, read_instances
from mmrefseg.derived_refs.composition import ComposeOptions, compose_set


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Compose photos from the objects of others')
    parser.add_argument('instances', help="file in COCO's layout")
    parser.add_argument('images', help='folder of its photos')
    parser.add_argument('out_dir', help='folder to write')
    parser.add_argument(
        '--ids', help='text file of image ids, one a line: only these photos')
    parser.add_argument(
        '--leave-out',
        nargs='+',
        default=(),
        metavar='FILE',
        help='leak lists or refs files: without the images they test on')
    parser.add_argument(
        '--number', type=int, default=1000, help='compositions')
    parser.add_argument(
        '--originals',
        action='store_true',
        help='copy the photos themselves too; alone with --number 0')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--size', type=int, default=480, help='longer side in pixels')
    parser.add_argument(
        '--max-pasted',
        type=int,
        default=4,
        metavar='N',
        help='at most so many objects on a photo')
    parser.add_argument('--workers', type=int, default=1, help='processes')
    for name, what in (('paste', 'no objects of other photos'),
                       ('flip', 'nothing mirrored'),
                       ('colour', 'colours as they are'),
                       ('scale', 'nothing scaled or cropped')):
        parser.add_argument(
            f'--no-{name}', action='store_false', dest=name, help=what)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.perf_counter()
    try:
        options = ComposeOptions(
            size=args.size,
            max_pasted=args.max_pasted,
            paste=args.paste,
            flip=args.flip,
            colour=args.colour,
            scale=args.scale)
        ids = None if args.ids is None else read_ids(args.ids)
        instances = read_instances(args.instances, ids, args.leave_out)
        objects = compose_set(
            instances,
            args.images,
            args.out_dir,
            number=args.number,
            seed=args.seed,
            options=options,
            originals=args.originals,
            workers=args.workers)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    photos = args.number + args.originals * len(instances.images)
    print(f'{photos} photos with {objects} objects written to '
          f'{args.out_dir} in {time.perf_counter() - start:.1f} s')


if __name__ == '__main__':
    main()
