# Licensed under the Apache License, Version 2.0.
"""Converts a set of referring expressions of another layout to JSON lines,
which JSONLinesRefDataset reads.

Example:
    python tools/dataset_converters/convert_refs.py ris-cq \\
        data/coco/ris_cq.json data/coco/ris_cq/val.jsonl
    python tools/dataset_converters/convert_refs.py mdetr \\
        finetune_refcoco_val.json refcoco_val.jsonl --split val \\
        --instances data/coco/annotations/instances_train2014.json
"""

import argparse
import sys
import time

from mmrefseg.converters import FORMATS, convert_refs


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    listed = '\n'.join(
        f'  {name:17}{form.source}' for name, form in FORMATS.items())
    parser = argparse.ArgumentParser(
        description='Convert referring expressions of another layout to JSON '
        f'lines. Formats and their sources:\n{listed}',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('format', choices=FORMATS, metavar='FORMAT')
    parser.add_argument('source', help='file or folder of the set')
    parser.add_argument('out_file', help='JSON lines to write')
    parser.add_argument('--split', help=_help(
        'split', 'of a source with several splits, convert this one alone; '
        'else written in every line'))
    parser.add_argument('--masks', metavar='FOLDER', help=_help(
        'masks', 'where the mask files are'))
    parser.add_argument(
        '--skip-missing', action='store_true', default=None, help=_help(
            'skip_missing', 'leave out sentences whose mask file is missing'))
    parser.add_argument('--instances', metavar='FILE', help=_help(
        'instances', 'masks by annotation id, in COCO\'s layout'))
    parser.add_argument('--images', metavar='FOLDER', help=_help(
        'images', 'of the photos, for sentences with colours'))
    parser.add_argument('--image-data', metavar='FILE', help=_help(
        'image_data', 'sizes of the images'))
    parser.add_argument(
        '--draw', choices=('coco', 'phrasecut'), help=_help(
            'draw', 'how polygons are drawn; phrasecut: as in its own '
            'evaluation'))
    parser.add_argument(
        '--sentence-field', choices=('raw', 'sent'), help=_help(
            'sentence_field', 'sentences as typed (default), or in lower '
            'case'))
    parser.add_argument('--save-images', metavar='FOLDER', help=_help(
        'save_images', 'write the images that are in the rows there'))
    return parser.parse_args(args)


def _help(option: str, words: str) -> str:
    names = [name for name, form in FORMATS.items() if option in form.options]
    return f'{", ".join(names)}: {words}' if len(names) < len(
        FORMATS) else words


def main(args: list[str] | None = None) -> int:
    options = vars(parse_args(args))
    name, source, out = (
        options.pop(key) for key in ('format', 'source', 'out_file'))
    start = time.perf_counter()
    try:
        report = convert_refs(name, source, out, **options)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'{report}\nwritten to {out} in '
          f'{time.perf_counter() - start:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
