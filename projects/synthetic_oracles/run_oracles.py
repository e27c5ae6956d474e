# Licensed under the Apache License, Version 2.0.
"""Print how hard synthetic scenes are.

For scenes made with --targets any: a classifier of sentences that sees no
image; for all others: oracles that read little of the sentence.

Examples:
    python projects/synthetic_oracles/run_oracles.py data/synthetic_refs
    python projects/synthetic_oracles/run_oracles.py data/synthetic_refs_any
"""

import argparse
import os.path as osp

from oracles import format_oracles, measure_oracles
from words_alone import measure_words_alone


def print_words_alone(report: dict) -> None:
    print('{share:.1f} % of the sentences are no-target. Classified by words '
          'alone:'.format(**report))
    for name, when in (('', 'where its probability is above 0.5'),
                       (' even', 'for as many sentences as there are')):
        print(f'  no-target {when}: N-acc {report["N-acc" + name]:.1f} %, '
              f'T-acc {report["T-acc" + name]:.1f} %')


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Weak oracles and other figures of synthetic scenes')
    parser.add_argument('data_root', help='folder of the scenes')
    parser.add_argument('--split', default='val')
    parser.add_argument(
        '--seed', type=int, default=0, help='of the random oracle')
    args = parser.parse_args()
    if osp.exists(osp.join(args.data_root, 'grefs(synthetic).json')):
        print_words_alone(measure_words_alone(args.data_root, args.split))
        return
    try:
        report = measure_oracles(args.data_root, args.split, args.seed)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(format_oracles(report))


if __name__ == '__main__':
    main()
