# Licensed under the Apache License, Version 2.0.
"""Tiny sets, written in the layout of each format."""

import json
import pickle
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

SIZE = (30, 40)  # height, width


class Set(NamedTuple):
    """A set of a format.

    Attributes:
        source (Path): What is converted.
        options (dict): Options of the conversion.
        images (Path): Folder that the lines' images start from.
        lines (list[tuple]): Of each line: text, image, mask, and what it has
            besides.
    """
    source: Any
    options: dict
    images: Any
    lines: list


def run_lengths(mask):
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=list(mask.shape), counts=rle['counts'].decode())


def drawn(*polygons):
    """The union of some polygons, as COCO draws them."""
    parts = coco_mask.frPyObjects([list(map(float, x)) for x in polygons],
                                  *SIZE)
    return coco_mask.decode(coco_mask.merge(parts)).astype(bool)


def noise(seed):
    return np.random.default_rng(seed).random(SIZE) < 0.4


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    cv2.imwrite(str(path), pixels)


def panoptic(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = [ids % 256, ids // 256 % 256, ids // 65536]
    Image.fromarray(np.uint8(np.stack(colours, -1))).save(path)


def ris_cq(root):
    ids = np.zeros(SIZE, np.int64)
    # ids that differ in one byte each: a wrong order would find another
    for number, segment in enumerate((0x010203, 0x030201, 0x010003, 5)):
        ids[5 * number:5 * number + 4, number:20 + number] = segment
    panoptic(root / 'panoptic_train2017/000000000009.png', ids)
    panoptic(root / 'panoptic_train2017/000000000025.png', ids[::-1])
    rows = []
    for name, segment, text in (
        ('000000000009', 0x010203, 'The pavement is next to the road, Ä.'),
        ('000000000009', 0x030201, 'a dog  on the pavement'),
        ('000000000009', 0x010203, 'pavement that a dog is on'),
        ('000000000009', 77, 'not in the file'),
        ('000000000025', 5, ' '),
        ('000000000025', 5, 'the sky'),
    ):
        rows.append(
            dict(
                file_name=f'train2017/{name}.jpg',
                sentence=text,
                pan_seg_file=f'panoptic_train2017/{name}.png',
                id=segment))
        photo(root / rows[-1]['file_name'])
    lines = [
        (rows[n]['sentence'], rows[n]['file_name'],
         (ids if n < 5 else ids[::-1]) == rows[n]['id'],
         dict(ann_id=rows[n]['id'], sent_id=n,
              image_id=int(rows[n]['file_name'][10:22]), split='val'))
        for n in (0, 1, 2, 5)
    ]
    return Set(dump(root / 'ris_cq.json', rows), dict(split='val'), root,
               lines)


def talk2car(root):
    content, lines = dict(train={}, val={}, test={}), []
    for split, index in (('train', 0), ('train', 7), ('val', 0), ('test', 0)):
        mask = np.zeros((*SIZE, 3), np.uint8)
        mask[2:6, index:9 + index] = (0, 0, 255)  # two regions, two greys
        mask[20:25, 30:38] = 9
        if index == 7:
            mask[:] = 0
        path = root / f'masks/gt_img_ann_{split}_{index}.png'
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(mask).save(path)
        row = dict(img=f'img_{split}_{index}.jpg', command=f'{split} there')
        photo(root / 'imgs' / row['img'])
        more = dict(split=split, ref_id=f'{split}_{index}')
        if split != 'test':
            row.update(
                command_token=f'token{index}',
                referred_object=[1, 2, 30, 40])
            more['sent_id'] = row['command_token']
        content[split][str(index)] = row
        if index != 7:
            lines.append(
                (row['command'], row['img'], mask.any(axis=2), more))
    return Set(
        dump(root / 'talk2car.json', content), {}, root / 'imgs', lines)


def phrasecut(root):
    rows = [
        dict(
            task_id='11__1',
            image_id=11,
            ann_ids=[1, 2],
            instance_boxes=[[2, 2, 10, 10], [20, 2, 10, 10]],
            Polygons=[[[[2.6, 2.2], [11, 3], [10, 12]]],
                      [[[20, 2], [30, 2], [30.9, 12.9]], [[1, 1], [2, 2]]]],
            phrase='wooden tables',
            phrase_structure=dict(name='tables')),
        dict(
            task_id='11__3',
            image_id=11,
            ann_ids=[3],
            instance_boxes=[[5, 15, 9, 9]],
            Polygons=[[[[5, 15], [14, 15], [14, 24]]]],
            phrase='black dog',
            phrase_structure=dict(name='dog')),
        dict(
            task_id='11__4',
            image_id=11,
            ann_ids=[4],
            instance_boxes=[[5, 15, 9, 9]],
            Polygons=[[[[5, 15], [14, 15]]]],
            phrase='a line',
            phrase_structure=dict(name='line')),
    ]
    photo(root / 'images/11.jpg')
    dump(root / 'image_data_split3000.json',
         [dict(image_id=11, height=SIZE[0], width=SIZE[1], split='miniv')])
    masks = [
        drawn([2.6, 2.2, 11, 3, 10, 12], [20, 2, 30, 2, 30.9, 12.9]),
        drawn([5, 15, 14, 15, 14, 24])
    ]
    lines = [(rows[n]['phrase'], '11.jpg', masks[n],
              dict(
                  image_id=11,
                  ref_id=rows[n]['task_id'],
                  sent_id=rows[n]['task_id'],
                  split='miniv')) for n in (0, 1)]
    return Set(
        dump(root / 'refer_miniv.json', rows), {}, root / 'images', lines)


def coco_instances(root):
    """Annotations of the layouts below: polygons and a crowd."""
    name = 'COCO_train2014_000000000009.jpg'
    photo(root / 'train2014' / name)
    annotations = [
        dict(
            id=501,
            image_id=9,
            category_id=3,
            iscrowd=0,
            bbox=[1, 1, 9, 9],
            area=81,
            segmentation=[[1, 1, 10, 1, 10, 10, 1, 10],
                          [5, 5, 15, 5, 15, 15, 5, 15]]),
        dict(
            id=502,
            image_id=9,
            category_id=4,
            iscrowd=1,
            bbox=[0, 0, 40, 30],
            area=1,
            segmentation=run_lengths(noise(2))),
    ]
    return dict(
        info={},
        licenses=[],
        images=[
            dict(id=9, file_name=name, height=SIZE[0], width=SIZE[1])
        ],
        annotations=annotations,
        categories=[dict(id=x, name=f'thing{x}') for x in (3, 4)])


COCO_MASKS = {
    501: drawn([1, 1, 10, 1, 10, 10, 1, 10], [5, 5, 15, 5, 15, 15, 5, 15]),
    502: noise(2)
}


def mdetr(root):
    coco = coco_instances(root)
    images, annotations, lines = [], [], []
    for entry, (ann_ids, text) in enumerate(
        [((501, ), 'left one'), ((502, ), 'the crowd'), ((501, ), 'small'),
         ((501, 502), 'both'), ((), 'nothing')], 70):
        images.append(
            dict(
                coco['images'][0],
                id=entry,
                original_id=9,
                caption=text,
                dataset_name='refcoco',
                tokens_negative=[[0, 4]]))
        for ann_id in ann_ids:
            ann = next(x for x in coco['annotations'] if x['id'] == ann_id)
            ann = dict(
                ann,
                id=900 + len(annotations),
                original_id=ann_id,
                image_id=entry,
                tokens_positive=[[0, 4]])
            del ann['segmentation']
            annotations.append(ann)
        if ann_ids:
            mask = np.any([COCO_MASKS[x] for x in ann_ids], axis=0)
            lines.append((text, images[-1]['file_name'], mask,
                          dict(image_id=9, sent_id=entry, split='train')))
    source = dump(
        root / 'finetune_refcoco_train.json',
        dict(coco, images=images, annotations=annotations))
    return Set(
        source,
        dict(
            split='train',
            instances=str(dump(root / 'instances_train2014.json', coco))),
        root / 'train2014', lines)


def hf_refer_rows(root):
    coco = coco_instances(root)
    rows, lines = [], []
    for ref_id, (ann, split) in enumerate(
            zip(coco['annotations'], ('train', 'testA')), 30):
        sentences = [
            dict(raw=f'Ref {ref_id}, {n}!', sent=f'ref {ref_id} {n}',
                 sent_id=10 * ref_id + n, tokens=['ref']) for n in (1, 2)
        ]
        rows.append(
            dict(
                sent_ids=[x['sent_id'] for x in sentences],
                file_name=f'COCO_train2014_000000000009_{ref_id}.jpg',
                ann_id=ann['id'],
                ref_id=ref_id,
                image_id=9,
                split=split,
                sentences=sentences,
                category_id=ann['category_id'],
                raw_anns=json.dumps(ann),
                raw_image_info=json.dumps(coco['images'][0]),
                raw_sentences=json.dumps(sentences),
                image_path='coco/train2014/COCO_train2014_000000000009.jpg',
                bbox=[1., 1., 10., 10.],
                captions=['Ref'],
                global_image_id='coco.9',
                anns_id=str(ann['id'])))
        lines += [(x['raw'], 'COCO_train2014_000000000009.jpg',
                   COCO_MASKS[ann['id']],
                   dict(
                       split=split,
                       ref_id=ref_id,
                       image_id=9,
                       ann_id=ann['id'],
                       category_id=ann['category_id'],
                       sent_id=x['sent_id'])) for x in sentences]
    return rows, lines


def hf_refcoco(root):
    rows, lines = hf_refer_rows(root)
    source = root / 'rows.jsonl'
    source.write_text(''.join(json.dumps(x) + '\n' for x in rows))
    return Set(source, {}, root / 'train2014', lines)


def rrsis_d(root):
    name = '00011.jpg'
    photo(root / 'images/rrsisd/JPEGImages' / name)
    folder = root / 'rrsisd'
    masks = {1: noise(3), 2: noise(4)}
    refs = [
        dict(
            ref_id=x,
            ann_id=x,
            image_id=11,
            category_id=x,
            split=split,
            file_name=name,
            sent_ids=[x],
            sentences=[
                dict(sent_id=x, sent=f'vehicle {x}', raw=f'Vehicle {x}',
                     tokens=['vehicle'])
            ]) for x, split in ((1, 'train'), (2, 'test'), (3, 'val'))
    ]
    dump(
        folder / 'instances.json',
        dict(
            images=[
                dict(id=11, file_name=name, height=SIZE[0], width=SIZE[1])
            ],
            annotations=[
                dict(
                    id=x,
                    image_id=11,
                    category_id=x,
                    iscrowd=0,
                    bbox=[0, 0, 9, 9],
                    area=9,
                    segmentation=[run_lengths(mask)])
                for x, mask in masks.items()
            ],
            categories=[dict(id=1, name='vehicle')]))
    (folder / 'refs(unc).p').write_bytes(pickle.dumps(refs))
    lines = [(f'Vehicle {x}', name, masks[x],
              dict(ref_id=x, sent_id=x, ann_id=x, image_id=11, split=split))
             for x, split in ((1, 'train'), (2, 'test'))]
    return Set(folder, {}, root / 'images/rrsisd/JPEGImages', lines)


def lvis_content():
    url = 'http://images.cocodataset.org/{}2017/{:012d}.jpg'
    categories = [('bow_(weapon)', 'bow.n.04'), ('bow_(decorative_ribbons)',
                                                 'bow.n.08'),
                  ('goat', 'goat.n.01'), ('dog', 'dog.n.01'),
                  ('cup', 'cup.n.01')]
    boxes = [  # image, category, box
        (9, 4, (2, 2, 12, 12)), (9, 3, (24, 14, 36, 28)),
        (9, 5, (2, 16, 12, 28)), (25, 1, (2, 2, 12, 12)),
        (25, 2, (24, 14, 36, 28))
    ]
    return dict(
        info={},
        licenses=[],
        images=[
            dict(
                id=x,
                coco_url=url.format(folder, x),
                height=SIZE[0],
                width=SIZE[1],
                neg_category_ids=[1],
                not_exhaustive_category_ids=[5] if x == 9 else [])
            for x, folder in ((9, 'train'), (25, 'val'))
        ],
        annotations=[
            dict(
                id=n,
                image_id=image,
                category_id=category,
                bbox=[x0, y0, x1 - x0, y1 - y0],
                area=(x1 - x0) * (y1 - y0),
                segmentation=[[x0, y0, x1, y0, x1, y1, x0, y1]])
            for n, (image, category, (x0, y0, x1, y1)) in enumerate(boxes, 1)
        ],
        categories=[{
            'id': n,
            'name': name,
            'synset': synset,
            'synonyms': [name],
            'def': 'a thing',
            'frequency': 'f',
            'image_count': 9,
            'instance_count': 9
        } for n, (name, synset) in enumerate(categories, 1)])


def lvis(root):
    for place in ('train2017/000000000009', 'val2017/000000000025'):
        photo(root / f'{place}.jpg')
    return Set(dump(root / 'lvis_v1_val.json', lvis_content()), {}, root, [])


MAKERS = {
    'ris-cq': ris_cq,
    'talk2car-regseg': talk2car,
    'lvis': lvis,
    'mdetr': mdetr,
    'hf-refcoco': hf_refcoco,
    'phrasecut': phrasecut,
    'rrsis-d': rrsis_d,
}


def draw_pillow(polygons):
    """PhraseCut's own drawing, written anew: one polygon at a time."""
    mask = np.zeros(SIZE, bool)
    for polygon in polygons:
        image = Image.new('1', SIZE[::-1])
        points = [(int(x), int(y)) for x, y in polygon]
        ImageDraw.Draw(image).polygon(points, fill=1, outline=1)
        mask |= np.asarray(image)
    return mask
