# Licensed under the Apache License, Version 2.0.
"""Measure masks that any program has written with the metric of this package.

Usage:
    python tools/analysis_tools/evaluate_masks.py PREDICTIONS ANNOTATIONS
        --split val [--split-by unc] [--images DIR] [--convention lavt] ...

PREDICTIONS is a folder of PNG files, a .json list of COCO run lengths, or a
.jsonl file of PredictionDump. ANNOTATIONS is a folder in the layout of REFER,
gRefCOCO or R-RefCOCO, or a .jsonl file of one's own data.
"""

import argparse

from mmrefseg.apis.mask_evaluation import (evaluate_masks, format_evaluation,
                                           open_split, write_evaluation)
from mmrefseg.evaluation.breakdowns import Breakdown
from mmrefseg.evaluation.conventions import (CONVENTIONS, NO_TARGET_RULES,
                                             resolve_convention)


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Measure masks that any program has written.')
    parser.add_argument(
        'predictions', help='folder of PNG files, .json or .jsonl file')
    parser.add_argument(
        'annotations',
        help='folder with instances.json and refs(...).p or grefs(...).json, '
        'or a .jsonl file')
    data = parser.add_argument_group('data')
    data.add_argument(
        '--split', nargs='+', help='such as val, or testA testB')
    data.add_argument('--split-by', help='such as unc, umd or google')
    data.add_argument(
        '--images',
        help="folder of the images (default: the annotations' folder, or "
        'images/, train2014/, ... in it or beside it)')
    data.add_argument(
        '--masks',
        help="folder of the mask files of a .jsonl file (default: the file's)")
    data.add_argument(
        '--name',
        help='how the PNG files are called, such as {ref_id}_{sent_id}.png '
        '(default: that, or {sent_id}.png, whichever is there)')
    data.add_argument(
        '--mask-value',
        type=lambda x: int(x) if x.isdecimal() else x,
        help='value (or colour, #ff0000) of the masks in the PNG files '
        '(default: all that is not black, which must have one value)')
    data.add_argument(
        '--mask-threshold',
        type=float,
        help='value above which a pixel of the PNG files is in the mask')
    data.add_argument(
        '--missing',
        choices=['error', 'empty'],
        default='error',
        help='what a missing prediction is (default: an error)')
    how = parser.add_argument_group('how to compute')
    how.add_argument(
        '--convention', choices=sorted(CONVENTIONS), default='default')
    how.add_argument(
        '--input-size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='size of the masks, in conventions that compare at the size of '
        "a network's input")
    how.add_argument(
        '--thresholds', type=float, nargs='+', help='of P@X')
    how.add_argument(
        '--no-target',
        nargs='+',
        choices=NO_TARGET_RULES,
        help='rules for no-target sentences')
    how.add_argument(
        '--breakdown',
        nargs='+',
        default=['length', 'size'],
        metavar='FIELD',
        help='by what to split the scores: length, size, kind, split, ... '
        '(default: length size)')
    out = parser.add_argument_group('output')
    out.add_argument(
        '--out-dir', help='folder for metrics.json, sentences.csv, worst/')
    out.add_argument(
        '--worst',
        type=int,
        default=20,
        help='how many pictures of the worst cases (default: 20)')
    return parser.parse_args(args)


def _check_input_size(convention: str, size: list[int] | None) -> None:
    at_input = CONVENTIONS[convention].eval_size == 'input'
    where = f'--convention {convention} compares at the size of '
    if at_input and size is None:
        raise ValueError(f"{where}the network's input: add --input-size "
                         'HEIGHT WIDTH.')
    if size is not None and not at_input:
        raise ValueError(f'{where}each image: remove --input-size.')
    if size is not None and min(size) < 1:
        raise ValueError('--input-size is height and width in pixels, not '
                         f'{size[0]} x {size[1]}.')


def main(args: list[str] | None = None) -> None:
    args = parse_args(args)
    try:
        _check_input_size(args.convention, args.input_size)
        dataset = open_split(
            args.annotations,
            split=args.split,
            split_by=args.split_by,
            images=args.images,
            masks=args.masks,
            extra_fields=('kind', *args.breakdown))
        result = evaluate_masks(
            dataset,
            args.predictions,
            name=args.name,
            convention=resolve_convention(
                args.convention,
                thresholds=args.thresholds,
                no_target=args.no_target),
            breakdown=Breakdown(args.breakdown),
            input_size=args.input_size,
            missing=args.missing,
            mask_value=args.mask_value,
            mask_threshold=args.mask_threshold)
        print(format_evaluation(result))
        if args.out_dir is not None:
            files = write_evaluation(result, args.out_dir, args.worst)
            print(f'{len(files)} files are in {args.out_dir}.')
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
