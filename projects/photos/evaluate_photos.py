# Licensed under the Apache License, Version 2.0.
"""Scores of a model on photographs with sentences, by kind of sentence.

Usage:
    python projects/photos/evaluate_photos.py MODEL REFS.jsonl IMAGES
        [--weights FILE] [--calibrate TRAIN.jsonl TRAIN_IMAGES]
        [--threshold T] [--csv FILE] [--answers FILE] [--blind image|text]
        [--device cuda]
"""

import argparse
import csv
import resource
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope
from photo_scores import Answer, PhotoScores, read_photos
from prettytable import PrettyTable

from mmrefseg.apis import RefSegInferencer
from mmrefseg.datasets import JSONLinesRefDataset

SENTENCE = 'the thing'  # as FixedSentence of blind.py
BATCH = 16  # sentences at once


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('model', help='a name, a config or a folder')
    parser.add_argument('refs', help='JSON lines of tools/dataset_converters/'
                        'coco_to_refs.py')
    parser.add_argument('images', help='folder of the photos')
    parser.add_argument('--weights', help='a checkpoint')
    parser.add_argument(
        '--calibrate',
        nargs=2,
        metavar=('REFS', 'IMAGES'),
        help='photos of the training set, on which the threshold of existence '
        'is chosen')
    parser.add_argument(
        '--wrong', type=float, default=0.1,
        help='share of sentences with a target that may be refused there')
    parser.add_argument('--most', type=int, default=100,
                        help='photos to calibrate on')
    parser.add_argument(
        '--threshold', type=float,
        help="of existence; without it the model's own or the calibrated one")
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--blind', choices=('image', 'text'))
    parser.add_argument('--csv', help='file for the table')
    parser.add_argument(
        '--answers', help='file for one line of CSV for each sentence')
    return parser.parse_args()


def run(inferencer: RefSegInferencer, refs: str, images: str,
        threshold: float, blind: str | None = None,
        most: int | None = None) -> tuple[PhotoScores, dict]:
    """Let a model answer all sentences of a set."""
    init_default_scope('mmrefseg')
    dataset = JSONLinesRefDataset(
        ann_file=refs, data_prefix=dict(img_path=images),
        pipeline=[dict(type='LoadRefImage'), dict(type='LoadRefMask')])
    scores = PhotoScores(threshold)
    encode = decode = 0.
    sentences = photos = 0
    for path, found in read_photos(dataset):
        pixels = cv2.imread(path)
        if blind == 'image':
            pixels = np.full_like(pixels, 127)
        start = time.perf_counter()
        image = inferencer.set_image(pixels)
        encode += time.perf_counter() - start
        texts = sorted({SENTENCE if blind == 'text' else s.text
                        for s in found})
        start = time.perf_counter()
        answers = {}
        for i in range(0, len(texts), BATCH):
            done = inferencer.segment(texts[i:i + BATCH], image)
            for said in done['predictions']:
                answers[said['text']] = Answer(
                    said['mask'], said.get('existence_score', 1.),
                    said['score'])
        decode += time.perf_counter() - start
        sentences += len(texts)
        photos += 1
        if blind == 'text':
            answers = dict.fromkeys((s.text for s in found), answers[SENTENCE])
        scores.add_photo(found, answers.__getitem__)
        if photos == most:
            break
    seconds = dict(photo=encode / photos, sentence=decode / sentences)
    return scores, seconds


def main() -> None:
    """Evaluate, print and write a table."""
    args = parse_args()
    torch.set_num_threads(1)
    inferencer = RefSegInferencer(args.model, args.weights, args.device)
    head = inferencer.model.decode_head
    threshold = 0.5
    if head.existence is not None:
        threshold = head.existence.threshold
        head.existence.threshold = 0.  # masks are emptied here
    if args.threshold is not None:
        threshold = args.threshold
    if args.calibrate:
        scores, _ = run(inferencer, *args.calibrate, threshold,
                        most=args.most)
        threshold = scores.calibrate(args.wrong)
        print(f'Threshold of existence by {args.most} photos of the training '
              f'set: {threshold:.3f}; there it refuses %.1f %% of the '
              'no-target sentences, %.1f %% wrongly.' %
              scores.refusals(threshold))
    scores, seconds = run(inferencer, args.refs, args.images, threshold,
                          args.blind)
    rows = scores.table()
    table = PrettyTable(['row', 'kind', 'sentences', 'oIoU', 'mIoU', 'P@0.5'])
    for row in rows:
        table.add_row([row['row'], row['kind'], row['sentences'],
                       *(f'{row[key]:.1f}' for key in ('oIoU', 'mIoU',
                                                       'P0.5'))])
    print(table.get_string(sort_key=lambda r: (r[1], r[0]), sortby='kind'))
    refused, wrongly = scores.refusals(threshold)
    print(f'No-target sentences refused: {refused:.1f} %; others refused '
          f'wrongly: {wrongly:.1f} % (threshold {threshold:.3f}).')
    place = 'one core' if args.device == 'cpu' else args.device
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f'{seconds["photo"]:.3f} s for a photo and {seconds["sentence"]:.3f}'
          f' s for a sentence on {place}; at most {memory:.2f} GiB.')
    doubts = scores.doubts()
    print('Answers of which the model is sure: %.1f %%, mean IoU %.1f; unsure:'
          ' %.1f %%, mean IoU %.1f.' % (*doubts[False], *doubts[True]))
    if args.csv:
        for row in rows:
            row.update(refused=refused, wrongly_refused=wrongly)
        write_csv(args.csv, rows)
    if args.answers:
        write_csv(args.answers, scores.answers)


def write_csv(path: str, rows: list[dict]) -> None:
    """Write rows with the keys of the first."""
    with Path(path).open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == '__main__':
    main()
