# Licensed under the Apache License, Version 2.0.
"""Prints how hard the synthetic scenes are: oracles that hardly read, or, of
scenes made with --targets any, a reader that sees no picture.

Example:
    python tools/analysis_tools/synthetic_oracles.py data/synthetic_refs
    python tools/analysis_tools/synthetic_oracles.py data/synthetic_refs_any
"""

import argparse
import os.path as osp

from mmrefseg.synthetic.oracles import format_oracles, measure_oracles
from mmrefseg.synthetic.words_alone import measure_words_alone


def print_words_alone(report: dict) -> None:
    print('{share:.1f} % of the sentences mean nothing. Told from the others '
          'by words alone:'.format(**report))
    for name, when in (('', 'where it is likelier than not'),
                       (' even', 'as often as it is true')):
        print(f'  saying so {when}: N-acc {report["N-acc" + name]:.1f} %, '
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
