# Licensed under the Apache License, Version 2.0.
"""A sheet of sentences drawn at random from photographs with truth.

Usage:
    python projects/photos/draw_photos.py MODEL REFS.jsonl IMAGES OUT.png
        [--weights FILE] [--number 24] [--seed 0] [--threshold 0.5]
"""

import argparse
import random
from collections import defaultdict

import cv2
import torch
from mmengine.registry import init_default_scope

from mmrefseg.apis import RefSegInferencer
from mmrefseg.datasets import JSONLinesRefDataset
from mmrefseg.visualization import draw_panels, draw_referring_overlay
from mmrefseg.visualization.files import save_picture


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('model', help='a name, a config or a folder')
    parser.add_argument('refs', help='JSON lines')
    parser.add_argument('images', help='folder of the photos')
    parser.add_argument('out_file', help='the picture to write')
    parser.add_argument('--weights', help='a checkpoint')
    parser.add_argument('--number', type=int, default=24)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threshold', type=float,
                        help='of existence, where the model has it')
    parser.add_argument('--columns', type=int, default=6)
    return parser.parse_args()


def main() -> None:
    """Draw one sentence of each of some photos."""
    args = parse_args()
    torch.set_num_threads(1)
    init_default_scope('mmrefseg')
    dataset = JSONLinesRefDataset(
        ann_file=args.refs, data_prefix=dict(img_path=args.images),
        pipeline=[dict(type='LoadRefImage'), dict(type='LoadRefMask')])
    photos = defaultdict(list)
    for i in range(len(dataset)):
        photos[dataset.get_data_info(i)['img_path']].append(i)
    draw = random.Random(args.seed)
    paths = draw.sample(sorted(photos), min(args.number, len(photos)))
    inferencer = RefSegInferencer(args.model, args.weights, 'cpu')
    head = getattr(inferencer.model, 'decode_head', None)
    if args.threshold is not None and head.existence is not None:
        head.existence.threshold = args.threshold
    panels = []
    for path in paths:
        data = dataset[draw.choice(photos[path])]
        pixels = cv2.imread(path)
        [said] = inferencer(pixels, data['text'])['predictions'][0]
        true = data['gt_seg_map'] > 0
        union = (said['mask'] | true).sum()
        overlap = (said['mask'] & true).sum() / union if union else 1.
        truth = 'nothing' if data.get('no_target') else data['kind']
        title = f'{data["text"]} [{truth}] IoU {100 * overlap:.0f}'
        panels.append((title, draw_referring_overlay(
            pixels[..., ::-1], said['mask'], gt=true, min_side=320)))
    save_picture(draw_panels(panels, columns=args.columns,
                                     panel_width=240), args.out_file)


if __name__ == '__main__':
    main()
