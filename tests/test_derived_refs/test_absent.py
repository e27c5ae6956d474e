# Licensed under the Apache License, Version 2.0.
"""Sentences that nothing fits fail in what they say they fail in."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from mmrefseg.derived_refs import FactFinder
from mmrefseg.derived_refs.absent import AbsentFinder
from mmrefseg.derived_refs.colours import ColourShares

WEIGHTS = dict.fromkeys(('dog', 'cat', 'horse', 'car', 'truck', 'pizza',
                         'umbrella', 'cup', 'wine glass', 'bowl'), 1.)


def made(layout, number=300, colours=None):
    finder = AbsentFinder(FactFinder(layout, colours), WEIGHTS)
    rng = Random(0)
    return [x for x in (finder.make(rng) for _ in range(number)) if x]


def test_each_wrong_is_made(make):
    layout = make.layout(('dog', 70, 40, 95, 80), ('person', 5, 10, 20, 90))
    image = np.full((100, 100, 3), (150, 200, 170), np.uint8)
    image[40:80, 70:95] = 200, 60, 20  # blue
    image[10:90, 5:20] = 20, 20, 200  # red
    found = made(layout, colours=ColourShares(layout, image))
    wrongs = Counter(wrong for _, wrong in found)
    assert all(wrongs[x] > 5 for x in ('category', 'place', 'colour',
                                       'relation')), wrongs
    for text, wrong in found:
        text = text.lower()
        if wrong == 'place':
            # at the right, as the person is at the left
            assert ('left' in text) != ('right' in text), text
        if wrong == 'colour':
            assert 'blue' not in text or 'dog' not in text


def test_a_category_that_is_there_is_not_absent(make):
    layout = make.layout(('dog', 70, 40, 95, 80))
    for text, wrong in made(layout):
        if wrong == 'category':
            assert not {'dog', 'canine', 'doggy'} & set(
                text.lower().strip('.?').split()[:3]), text


@pytest.mark.parametrize('present, too_like', [
    ('bottle', ('cup', 'wine glass', 'bowl', 'drinking')),
    ('truck', ('car', 'automobile')), ('cow', ('dog', 'horse'))])
def test_nothing_that_one_may_see_in_what_is_there(make, present, too_like):
    found = made(make.layout((present, 70, 40, 95, 80)))
    assert len(found) > 50
    for text, wrong in found:
        words = set(text.lower().strip('.?').split())
        assert wrong != 'category' or words.isdisjoint(too_like), text


def test_a_photo_of_all_there_is_leaves_nothing_to_miss(make):
    layout = make.layout(('dog', 45, 40, 55, 60))
    finder = AbsentFinder(FactFinder(layout), {'dog': 1.})
    rng = Random(0)
    assert all(finder.make(rng) is None for _ in range(50))
