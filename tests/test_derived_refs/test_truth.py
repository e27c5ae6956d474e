# Licensed under the Apache License, Version 2.0.
"""Sentences about random photos are true, and of their target alone."""

import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmrefseg.derived_refs import KINDS, FactFinder, RefOptions, derive_refs
from mmrefseg.derived_refs.vocabulary import NOUNS

SPEC = importlib.util.spec_from_file_location(
    'derived_refs_oracle',
    Path(__file__).with_name('oracle.py'))
oracle = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(oracle)

VOCABULARY = oracle.read_vocabulary(
    noun for name in tuple(NOUNS)[:80] for noun in NOUNS[name])
SETS = (
    ('dog', 'cat', 'teddy bear', 'bear'),
    ('person', 'bicycle', 'horse', 'backpack', 'umbrella'),
    ('dining table', 'cup', 'wine glass', 'bottle', 'chair'),
    ('car', 'truck', 'bus', 'motorcycle', 'stop sign'),
    ('zebra', 'person', 'broccoli', 'scissors', 'skis'),
)
WEIGHTS = dict.fromkeys(('dog', 'cup', 'car', 'zebra', 'pizza', 'tie'), 1.0)
SIDE = 80


def random_photo(rng, number):
    """A photo of 1 to 8 rectangles; now and then a crowd."""
    names = SETS[number % len(SETS)]
    things = []
    for _ in range(rng.integers(1, 9)):
        low = rng.integers(0, SIDE - 10, 2)
        size = rng.integers(5, 40, 2)
        high = np.minimum(low + size, SIDE)
        crowd = ('crowd', ) if rng.random() < 0.05 else ()
        name = names[int(len(names) * rng.random()**2)]
        things.append((name, *low.tolist(), *high.tolist(), *crowd))
    if number % 2 and 'umbrella' in names:
        (_, x0, y0, x1, y1, *_), middle = things[0], rng.uniform(0.2, 0.6)
        x, y = x0 + middle * (x1 - x0), y0 + middle * (y1 - y0)
        things[0] = 'person', x0, y0, x1, y1
        things.append((('backpack', 'umbrella')[number // 10 % 2], x, y,
                       x + max(0.3 * (x1 - x0), 2), y + max(
                           0.3 * (y1 - y0), 2)))
    return things


@pytest.fixture(scope='module')
def derived(make):
    """Sentences about 200 photos: (photo, what is drawn, sentence)."""
    rng = np.random.default_rng(5)
    found = []
    options = RefOptions(
        kinds=tuple(x for x in KINDS if x != 'colour'),
        per_object=5,
        no_target=0.15)
    for number in range(200):
        things = random_photo(rng, number)
        layout = make.layout(
            *things, width=SIDE, height=SIDE, image_id=number)
        photo = oracle.Photo(layout, VOCABULARY)
        found += [(photo, things, ref) for ref in derive_refs(
            layout, options, frequencies=WEIGHTS)]
    return found


def test_there_are_enough_of_each_kind(derived):
    kinds = Counter(ref.kind for _, _, ref in derived)
    assert kinds['place'] > 500 and kinds['relation'] > 200
    assert all(kinds[x] > 30 for x in KINDS if x not in ('colour', 'with'))
    assert kinds['with'] > 10
    forms = {ref.fact.form[:2] for _, _, ref in derived if ref.fact}
    for form in (('place', 'left'), ('place', 'second right'),
                 ('place', 'middle'), ('place', 'far right'),
                 ('place', 'top left'), ('place', 'centre'),
                 ('size', 'smallest'), ('size', 'larger'),
                 ('relation', 'above'), ('relation', 'next to'),
                 ('relation', 'closest'), ('relation', 'farthest'),
                 ('with', 'with'), ('leaders', 'left')):
        assert form in forms, form


@pytest.mark.parametrize('kind', [x for x in KINDS if x not in
                                  ('colour', 'no_target')])
def test_each_sentence_is_true_of_its_target_alone(derived, kind):
    false = [(ref.text, ref.fact, things) for photo, things, ref in derived
             if ref.kind == kind and not oracle.bears_out(photo, ref)]
    assert not false, false[:3]


def test_nothing_fits_a_sentence_without_target(derived):
    false = [(ref.text, ref.wrong, things) for photo, things, ref in derived
             if ref.kind == 'no_target' and not oracle.fits_nothing(
                 photo, ref)]
    assert not false, false[:3]


def test_the_checker_finds_what_is_false(derived):
    """Given to another thing, hardly a sentence passes."""
    passed = tried = 0
    for photo, _, ref in derived:
        if len(ref.targets) != 1 or photo.n < 2:
            continue
        other = replace(ref, targets=((ref.targets[0] + 1) % photo.n, ))
        tried += 1
        passed += oracle.bears_out(photo, other)
    assert tried > 1000 and passed == 0


def mirrored(things):
    return [(name, SIDE - x1, y0, SIDE - x0, y1, *crowd)
            for name, x0, y0, x1, y1, *crowd in things]


def test_mirrored_photos_have_mirrored_facts(make):
    rng = np.random.default_rng(6)
    swap = dict(left='right', right='left')
    kinds = [x for x in KINDS if x not in ('colour', 'no_target')]

    def facts(things, swapped):
        layout = make.layout(*things, width=SIDE, height=SIDE)
        return {
            (x.kind, tuple(
                ' '.join(swap.get(y, y) for y in part.split())
                if swapped and isinstance(part, str) else part
                for part in x.form), x.targets, x.group, x.mark)
            for x in FactFinder(layout).find(kinds)}

    for number in range(60):
        # Without halves and quarters no margin is met by rounding alone.
        things = [(x[0], *(rng.uniform(0, 0.01, 4) + x[1:5]), *x[5:])
                  for x in random_photo(rng, number)]
        assert facts(mirrored(things), False) == facts(things, True)
