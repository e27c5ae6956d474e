# Licensed under the Apache License, Version 2.0.
"""Masks of what sentences refer to in an image of your own.

Usage:
    python demo/image_demo.py IMAGE "sentence" ["sentence" ...]
        [--model mpg-lqgnet_photos] [--weights FILE] [--device cpu]
        [--out-dir outputs] [--prior] [--words] [--masks]
"""

import argparse

from prettytable import PrettyTable

from mmrefseg.apis import RefSegInferencer
from mmrefseg.apis.inference.image_inputs import list_images


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Segment what sentences refer to in an image.')
    parser.add_argument('image', help='an image, or a folder of images')
    parser.add_argument(
        'texts',
        nargs='+',
        metavar='SENTENCE',
        help='what to look for; put each sentence in quotes')
    parser.add_argument(
        '--model',
        default='mpg-lqgnet_photos',
        help='a name, a config file, or a folder of a published model '
        '(default: %(default)s, packaged with its weights, for photographs; '
        'mpg-lqgnet_nano is the one for synthetic scenes)')
    parser.add_argument(
        '--weights', help='a checkpoint, for a model without its own')
    parser.add_argument('--device', help='e.g. cpu or cuda:0')
    parser.add_argument(
        '--out-dir',
        default='outputs',
        help='folder for the pictures (default: %(default)s)')
    parser.add_argument(
        '--prior',
        action='store_true',
        help='draw the mask prior beside the picture')
    parser.add_argument(
        '--words',
        action='store_true',
        help='draw the attention of each word below the picture')
    parser.add_argument(
        '--masks',
        action='store_true',
        help='also write each mask as PNG, and predictions.json')
    parser.add_argument(
        '--threshold',
        type=float,
        help='probability above which a pixel belongs to the mask (default: '
        'the likelier of the two)')
    parser.add_argument(
        '--show', action='store_true', help='open a window for each sentence')
    parser.add_argument(
        '--as-stored',
        action='store_true',
        help='do not turn photos upright as their EXIF tag says')
    return parser.parse_args()


def segment(args: argparse.Namespace) -> tuple[PrettyTable, list[str]]:
    """Run the model and tabulate its results; what it is not sure of comes
    second."""
    images = list_images(args.image)
    inferencer = RefSegInferencer(
        args.model, args.weights, args.device, exif=not args.as_stored)
    done = inferencer(
        [image.source for image in images],
        [args.texts] * len(images),
        threshold=args.threshold,
        out_dir=args.out_dir,
        save_predictions=args.masks,
        show=args.show,
        draw_prior=args.prior,
        draw_attention=args.words)
    predictions = sum(done['predictions'], [])
    table = PrettyTable()
    table.add_column('sentence', [x['text'] for x in predictions])
    if 'existence_score' in predictions[0]:
        table.add_column('existence',
                         [f'{x["existence_score"]:.2f}' for x in predictions])
    table.add_column('score', [f'{x["score"]:.2f}' for x in predictions])
    table.add_column('area',
                     [f'{100 * x["mask"].mean():.1f} %' for x in predictions])
    table.add_column('box (x0 y0 x1 y1)', [
        ' '.join(map(str, x['box'])) if x['box'] else 'nothing found'
        for x in predictions
    ])
    table.add_column('picture', [x['files']['picture'] for x in predictions])
    table.align = 'l'
    return table, [x['doubt'] for x in predictions if x['doubt']]


def main() -> None:
    args = parse_args()
    try:
        table, doubts = segment(args)
    except (OSError, TypeError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(table, *doubts, sep='\n')
    print('score: mean probability over the mask. The pictures are in '
          f'{args.out_dir}.')


if __name__ == '__main__':
    main()
