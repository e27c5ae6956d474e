# Licensed under the Apache License, Version 2.0.
"""Photos of rectangles in COCO's layout."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmrefseg.derived_refs import make_layout
from mmrefseg.derived_refs.vocabulary import NOUNS

CATEGORIES = tuple(x for x in NOUNS if not x.startswith('_'))
IDS = {name: number for number, name in enumerate(CATEGORIES, 1)}
NAMES = {number: name for name, number in IDS.items()}


def polygon(x0, y0, x1, y1):
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def run_lengths(x0, y0, x1, y1, height, width, compressed=True):
    mask = np.zeros((height, width), np.uint8)
    mask[y0:y1, x0:x1] = 1
    if compressed:
        rle = coco_mask.encode(np.asfortranarray(mask))
        return dict(size=[height, width], counts=rle['counts'].decode())
    flat = mask.T.reshape(-1)
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    return dict(
        size=[height, width],
        counts=[0] * int(flat[0]) + np.diff(edges).tolist())


def thing(name, x0, y0, x1, y1, number=1, image=1, **more):
    """An annotation: a rectangle."""
    return dict(
        dict(
            id=number,
            image_id=image,
            category_id=IDS[name],
            bbox=[x0, y0, x1 - x0, y1 - y0],
            area=(x1 - x0) * (y1 - y0),
            iscrowd=0,
            segmentation=polygon(x0, y0, x1, y1)), **more)


def layout_of(*things, width=100, height=100, image_id=1, **options):
    """A layout of ``(category, x0, y0, x1, y1)``, 'crowd' as a sixth."""
    annotations = [
        thing(*each[:5], number=number, iscrowd=int(len(each) > 5))
        for number, each in enumerate(things, 1)
    ]
    return make_layout(
        dict(id=image_id, width=width, height=height), annotations, NAMES,
        **options)


def content_of(photos, size=(120, 90)):
    """An instances file of lists of things, by photo id."""
    width, height = size
    return dict(
        images=[
            dict(id=x, file_name=f'{x}.png', width=width, height=height)
            for x in photos
        ],
        annotations=[
            thing(*each, number=1000 * x + k, image=x)
            for x, things in photos.items() for k, each in enumerate(things)
        ],
        categories=[dict(id=x, name=name) for x, name in NAMES.items()])


# x, y of what is on the photos of the set.
PHOTOS = {
    7: [('dog', 5, 20, 35, 60), ('dog', 80, 25, 115, 70),
        ('cat', 50, 60, 70, 85)],
    3: [('person', 10, 10, 40, 80), ('bicycle', 60, 40, 110, 85)],
    12: [('zebra', 5, 5, 30, 40), ('zebra', 45, 8, 70, 43),
         ('zebra', 88, 6, 113, 41), ('bus', 20, 50, 90, 88)],
}


@pytest.fixture
def coco(tmp_path):
    """Paths of an instances file and of the folder of its photos."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, things in PHOTOS.items():
        image = rng.integers(90, 130, (90, 120, 3), np.uint8)
        for _, x0, y0, x1, y1 in things:
            colour = rng.integers(0, 256, 3)
            image[y0:y1, x0:x1] = colour
        cv2.imwrite(str(folder / f'{number}.png'), image)
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content_of(PHOTOS)))
    return path, folder


@pytest.fixture(scope='session')
def make():
    """The functions above, for tests that cannot import them."""
    return SimpleNamespace(
        photos=PHOTOS,
        names=NAMES,
        ids=IDS,
        polygon=polygon,
        run_lengths=run_lengths,
        thing=thing,
        layout=layout_of,
        content=content_of)
