# Licensed under the Apache License, Version 2.0.
"""A tiny dataset in the REFER layout, for all tests."""

import copy
import json
import os
import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

# No test asks a hub: without a network each question would wait for retries,
# about 25 s. Set before huggingface_hub is imported, which reads it once.
os.environ['HF_HUB_OFFLINE'] = '1'

# As for a script in tools/; last, since there is a test.py there.
sys.path.append(str(Path(__file__).parents[1] / 'tools'))
sys.path.append(str(Path(__file__).parent))  # tiny_foundation

_OPERATORS: list = []


def _import_torchvision():
    """Make torchvision importable beside a PyTorch for CPUs, if it is there.

    The release on PyPI is built for GPUs. Beside another build its own
    operators are missing, and with them their names, by which its import
    fails, and that of transformers; its transforms, which processors use,
    are whole.
    """
    try:
        import torchvision
    except ImportError:
        return
    except RuntimeError:
        for name in [x for x in sys.modules if x.startswith('torchvision')]:
            del sys.modules[name]
        _OPERATORS.append(torch.library.Library('torchvision', 'DEF'))
        for name in ('nms', 'qnms'):
            _OPERATORS[0].define(f'{name}(Tensor dets, Tensor scores, '
                                 'float iou_threshold) -> Tensor')
        import torchvision  # noqa: F401


_import_torchvision()

# id: (height, width)
SIZES = {1: (64, 96), 2: (80, 80), 3: (70, 50), 4: (65, 65)}


def _box(x0, y0, x1, y1):
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def _filled(image_id, x0, y0, x1, y1):
    mask = np.zeros(SIZES[image_id], dtype=np.uint8)
    mask[y0:y1, x0:x1] = 1
    return mask


def _compressed(mask):
    rle = coco_mask.encode(np.asfortranarray(mask))
    return dict(size=list(rle['size']), counts=rle['counts'].decode())


def _uncompressed(mask):
    flat = mask.T.reshape(-1)
    borders = np.flatnonzero(np.diff(flat)) + 1
    edges = [0, *borders.tolist(), len(flat)]
    counts = np.diff(edges).tolist()
    if flat[0]:
        counts = [0, *counts]
    return dict(size=list(mask.shape), counts=counts)


# id: (image, iscrowd, segmentation, its box x0, y0, x1, y1 for the picture)
_ANNOTATIONS = {
    # Two parts that overlap in the columns 30 to 39.
    11: (1, 0, [_box(10, 10, 40, 30),
                _box(30, 20, 60, 50)], (10, 10, 60, 50)),
    # Reaches over the right and the lower edge.
    12: (1, 0, [_box(70, 40, 130, 90)], (70, 40, 96, 64)),
    21: (2, 1, _uncompressed(_filled(2, 0, 0, 25, 30)), (0, 0, 25, 30)),
    22: (2, 1, _compressed(_filled(2, 40, 35, 70, 75)), (40, 35, 70, 75)),
    # The second part is a sliver of two points, as COCO has some.
    31: (3, 0, [_box(5, 20, 45, 60), [1, 1, 4, 4]], (5, 20, 45, 60)),
    41: (4, 0, [_box(8, 8, 30, 50)], (8, 8, 30, 50)),
    # RefCLEF keeps run lengths in a list.
    42: (4, 0, [_compressed(_filled(4, 35, 10, 60, 40))], (35, 10, 60, 40)),
    # No ref speaks of this one.
    99: (4, 0, [_box(1, 1, 6, 6)], (1, 1, 6, 6)),
}

# (ref id, annotation, split, sentences)
_REFS = (
    (1, 11, 'train', ('The LEFT thing', 'big red thing', 'left one')),
    (2, 12, 'train', ('lower right corner', )),
    (3, 21, 'train', ('top left box', 'a box')),
    (4, 22, 'val', ('box on the right', 'the taller box')),
    (5, 31, 'val', ('the only thing', )),
    (6, 41, 'testA', ('tall thing', 'left of the other')),
    (7, 42, 'testB', ('the thing on the right', )),
)
_KINDS = ('location', 'appearance', 'relation')


def _refs():
    refs, sent_id = [], 0
    for ref_id, ann_id, split, texts in _REFS:
        sentences = []
        for i, text in enumerate(texts):
            sentences.append(
                dict(
                    sent_id=sent_id,
                    raw=text,
                    sent=text.lower(),
                    tokens=text.lower().split(),
                    kind=_KINDS[i]))
            sent_id += 1
        refs.append(
            dict(
                ref_id=ref_id,
                ann_id=ann_id,
                image_id=_ANNOTATIONS[ann_id][0],
                category_id=1,
                split=split,
                file_name=f'img_{_ANNOTATIONS[ann_id][0]}_{ref_id}.jpg',
                sent_ids=[x['sent_id'] for x in sentences],
                sentences=sentences))
    return refs


def _instances():
    return dict(
        info={},
        licenses=[],
        images=[
            dict(id=i, file_name=f'img_{i}.jpg', height=h, width=w)
            for i, (h, w) in SIZES.items()
        ],
        annotations=[
            dict(
                id=ann_id,
                image_id=image_id,
                category_id=1,
                iscrowd=iscrowd,
                segmentation=segmentation,
                bbox=[box[0], box[1], box[2] - box[0], box[3] - box[1]],
                area=1.0)
            for ann_id, (image_id, iscrowd, segmentation,
                         box) in _ANNOTATIONS.items()
        ],
        categories=[dict(id=1, name='thing')])


def _write_images(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for image_id, size in SIZES.items():
        picture = rng.integers(90, 130, (*size, 3), dtype=np.uint8)
        for ann_id, (of, _, _, box) in _ANNOTATIONS.items():
            if of == image_id:
                colour = [(ann_id * k) % 256 for k in (37, 71, 113)]
                picture[box[1]:box[3], box[0]:box[2]] = colour
        cv2.imwrite(str(folder / f'img_{image_id}.jpg'), picture)


@pytest.fixture
def tiny_refer_parts():
    """The two files of the tiny set as Python objects, free to be changed:
    ``(refs, instances)``."""
    return copy.deepcopy((_refs(), _instances()))


@pytest.fixture
def write_refer_set():
    """A function that writes a set in the REFER layout:
    ``write(folder, refs=None, instances=None, split_by='unc')``.

    What is None comes from the tiny set. Returns the folder as a Path.
    """

    def write(folder, refs=None, instances=None, split_by='unc'):
        folder = Path(folder)
        _write_images(folder / 'images')
        with open(folder / f'refs({split_by}).p', 'wb') as file:
            # As Python 2 wrote the public files.
            pickle.dump(_refs() if refs is None else refs, file, protocol=2)
        with open(folder / 'instances.json', 'w') as file:
            json.dump(_instances() if instances is None else instances, file)
        return folder

    return write


@pytest.fixture
def tiny_refer_root(tmp_path, write_refer_set):
    """Folder (Path) of a tiny set: ``instances.json``, ``refs(unc).p`` and
    ``images/`` with four JPEGs of different sizes, from 64 x 96 pixels.

    Refs (sentences): train 3 (6), val 2 (3), testA 1 (2), testB 1 (1). Masks
    are overlapping polygons, polygons over the image's edge, run lengths
    compressed and not, and a list of these. Sentences carry a ``kind``.
    """
    return write_refer_set(tmp_path / 'tiny_refer')


@pytest.fixture(scope='session')
def bert_sized_vocab(tmp_path_factory):
    """Path of a vocabulary with as many tokens as BERT-base's, so that the
    full architecture can be built where no hub is reached."""
    path = tmp_path_factory.mktemp('vocabulary') / 'vocab.txt'
    tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    tokens += [f'word{i}' for i in range(30522 - len(tokens))]
    path.write_text('\n'.join(tokens) + '\n')
    return str(path)


@pytest.fixture(scope='session')
def tiny_weights(tmp_path_factory):
    """A function that gives the folder (str) of a tiny random model in the
    files of a hub: ``tiny_weights('clipseg')``; see tiny_foundation.py. It
    skips the test where the kind cannot be built."""
    import tiny_foundation
    folders = {}

    def weights(kind):
        reason = tiny_foundation.missing(kind)
        if reason is not None:
            pytest.skip(reason)
        if kind not in folders:
            folders[kind] = tiny_foundation.write(
                kind, tmp_path_factory.mktemp('hub') / kind)
        return folders[kind]

    return weights
