# Licensed under the Apache License, Version 2.0.
"""Scores on synthetic scenes of oracles that read little of a sentence.

Each oracle knows the true masks of all objects of an image and picks one of
them. What it scores bounds what a model could reach that segments perfectly
but reads no more than the oracle does.
"""

import json
import os.path as osp
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mmrefseg.datasets.refer_files import load_refs
from mmrefseg.synthetic.masks import decode_segmentation
from mmrefseg.synthetic.shapes import COLOURS, PATTERNS, SHAPES, SIZES
from mmrefseg.synthetic.words import GENERIC

ORACLES = {
    'random': 'an object at random',
    'largest': 'the largest object',
    'noun': 'the first object that fits the noun',
    'words': "the first object that fits all of the noun's own words",
}
_QUANTILES = (0., 0.05, 0.25, 0.5, 0.75, 0.95, 1.)
# What follows these words describes another object.
_LANDMARK = re.compile(r'\b(?:left|right) of\b|\babove\b|\bbelow\b')
_SAME = {'big': 'large', 'stripes': 'striped'}
_FIELD_OF = {
    word: field
    for field, words in (('shape', SHAPES), ('colour', COLOURS),
                         ('size', SIZES), ('pattern', PATTERNS))
    for word in words
}


def noun_words(text: str) -> dict[str, str]:
    """Attributes that a sentence names of the object that it means.

    Args:
        text (str): A sentence as :func:`.words.word_form` makes them.

    Returns:
        dict: Word by attribute, such as ``{'colour': 'red'}``.
    """
    own = _LANDMARK.split(text)[0]
    words = (_SAME.get(word, word) for word in own.split())
    return {_FIELD_OF[w]: w for w in words if w in _FIELD_OF}


def head_noun(text: str) -> str:
    """The first noun of a sentence: a shape, or a word such as 'thing'."""
    return next(w for w in text.split() if w in SHAPES or w in GENERIC)


def _pick(oracle: str, text: str, objects: Sequence[dict],
          rng: np.random.Generator) -> dict:
    if oracle == 'random':
        return objects[int(rng.random() * len(objects))]
    if oracle == 'largest':
        return max(objects, key=lambda item: item['area'])
    wanted = noun_words(text)
    if oracle == 'noun':
        noun = head_noun(text)
        wanted = {'shape': noun} if noun in SHAPES else {}
    return next(item for item in objects
                if wanted.items() <= item['attributes'].items())


def measure_oracles(data_root: str, split: str = 'val',
                    seed: int = 0) -> dict:
    """Scores of the oracles and other figures of one split.

    Args:
        data_root (str): Folder made by :func:`make_synthetic_refs`.
        split (str): Which split.
        seed (int): Seed of the random oracle.

    Returns:
        dict: ``scenes``, ``refs``, ``sentences`` (int), ``kinds`` (share of
        sentences by kind), ``distractors`` (share of sentences with another
        object of the target's shape or colour in the image),
        ``area_quantiles`` (visible area of objects in percent of the image
        by quantile), ``oracles`` (oracle -> ``'all'`` or kind ->
        ``dict(oIoU, P0.5)``, in percent).
    """
    refs = load_refs(osp.join(data_root, 'refs(synthetic).p'))
    refs = [ref for ref in refs if ref['split'] == split]
    with open(osp.join(data_root, 'instances.json')) as file:
        instances = json.load(file)
    shapes = {x['id']: (x['height'], x['width']) for x in instances['images']}
    wanted = {ref['image_id'] for ref in refs}
    if not refs:
        raise ValueError(f'{data_root} has no split {split!r}: choose train, '
                         'val, testA or testB.')
    objects: dict[int, list[dict]] = defaultdict(list)
    for item in instances['annotations']:
        if item['image_id'] in wanted:
            item['mask'] = decode_segmentation(item['segmentation'],
                                               *shapes[item['image_id']])
            objects[item['image_id']].append(item)

    rng = np.random.default_rng(seed)
    kinds, distractors = Counter(), 0
    sums: dict[tuple, np.ndarray] = defaultdict(
        lambda: np.zeros(4, np.int64))  # intersection, union, hits, count
    for ref in refs:
        around = objects[ref['image_id']]
        target = next(x for x in around if x['id'] == ref['ann_id'])
        others = [x['attributes'] for x in around if x is not target]
        own = target['attributes']
        alike = any(x['shape'] == own['shape'] or x['colour'] == own['colour']
                    for x in others)
        for sentence in ref['sentences']:
            kinds[sentence['kind']] += 1
            distractors += alike
            for oracle in ORACLES:
                picked = _pick(oracle, sentence['sent'], around, rng)
                # Visible parts never overlap: it is all or nothing.
                inter = target['area'] if picked is target else 0
                union = target['area'] + picked['area'] - inter
                row = np.array([inter, union, inter == union, 1])
                for group in ('all', sentence['kind']):
                    sums[oracle, group] += row
    total = sum(kinds.values())
    areas = [
        100 * item['area'] / np.prod(shapes[i]) for i, items in objects.items()
        for item in items
    ]
    return dict(
        scenes=len(objects),
        refs=len(refs),
        sentences=total,
        kinds={kind: count / total
               for kind, count in sorted(kinds.items())},
        distractors=distractors / total,
        area_quantiles=dict(
            zip(_QUANTILES,
                np.quantile(areas, _QUANTILES).tolist())),
        oracles={
            oracle: {
                group: {
                    'oIoU': 100 * float(s[0] / s[1]),
                    'P0.5': 100 * float(s[2] / s[3])
                }
                for group in ('all', *sorted(kinds))
                for s in (sums[oracle, group], )
            }
            for oracle in ORACLES
        })


def format_oracles(report: dict) -> str:
    """A readable table of what :func:`measure_oracles` returns."""
    lines = [
        '{scenes} scenes, {refs} refs, {sentences} sentences'.format(**report),
        'kinds: ' + ', '.join(f'{kind} {100 * share:.1f} %'
                              for kind, share in report['kinds'].items()),
        'sentences with an object of the same shape or colour around: '
        f'{100 * report["distractors"]:.1f} %',
        'visible area in % of the image, by quantile: ' + ', '.join(
            f'{q:g}: {area:.1f}'
            for q, area in report['area_quantiles'].items()), ''
    ]
    groups = ['all', *report['kinds']]
    lines.append(f'{"oracle (oIoU / P@0.5)":<52}' +
                 ''.join(f'{group:>15}' for group in groups))
    for oracle, scores in report['oracles'].items():
        cells = (f'{scores[g]["oIoU"]:.1f} / {scores[g]["P0.5"]:.1f}'
                 for g in groups)
        lines.append(f'{ORACLES[oracle]:<52}' +
                     ''.join(f'{cell:>15}' for cell in cells))
    return '\n'.join(lines)
