# Licensed under the Apache License, Version 2.0.
"""Makes the synthetic scenes.

Example:
    python tools/dataset_converters/make_synthetic_refs.py data/synthetic_refs
    python tools/dataset_converters/make_synthetic_refs.py \\
        data/synthetic_refs_any --targets any
    python tools/dataset_converters/make_synthetic_refs.py \\
        data/synthetic_varied --train 5000 --varied 7200 --unseenA 200 \\
        --unseenB 200
"""

import argparse
import time

from mmrefseg.synthetic import MORE_SPLITS, make_synthetic_refs


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Make synthetic scenes in the REFER layout')
    parser.add_argument('out_dir', help='folder to write')
    parser.add_argument('--train', type=int, default=6000, help='scenes')
    parser.add_argument('--val', type=int, default=250, help='scenes')
    parser.add_argument('--testA', type=int, default=250, help='scenes')
    parser.add_argument('--testB', type=int, default=250, help='scenes')
    for name in MORE_SPLITS:
        parser.add_argument(
            f'--{name}',
            type=int,
            default=0,
            help='scenes in styles and sizes of their own'
            if 'aried' in name else
            'scenes drawn in a way that is kept out of training')
    parser.add_argument(
        '--size', type=int, default=160, help='side of the images in pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--targets',
        choices=('one', 'any'),
        default='one',
        help='any: also sentences that mean several objects or none, in the '
        'layout of gRefCOCO')
    parser.add_argument(
        '--force',
        action='store_true',
        help='replace scenes that were made with other parameters')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    more = {name: getattr(args, name) for name in MORE_SPLITS}
    start = time.perf_counter()
    try:
        made = make_synthetic_refs(
            args.out_dir,
            train=args.train,
            val=args.val,
            testA=args.testA,
            testB=args.testB,
            **more,
            size=args.size,
            seed=args.seed,
            targets=args.targets,
            force=args.force)
    except (ValueError, FileExistsError) as error:
        raise SystemExit(f'error: {error}') from None
    if made:
        count = args.train + args.val + args.testA + args.testB + sum(
            more.values())
        print(f'{count} scenes written to {args.out_dir} in '
              f'{time.perf_counter() - start:.1f} s')
    else:
        print(f'{args.out_dir} is there already, made with the same '
              'parameters')


if __name__ == '__main__':
    main()
