# Licensed under the Apache License, Version 2.0.
"""Truth values of structured forms, on scenes laid out by hand."""

import numpy as np
import pytest

from mmrefseg.synthetic import Located, Noun, Related, SceneObject, denote


def item(x, y, shape='circle', colour='red', size='small', pattern='plain',
         half=0.06):
    return SceneObject(
        shape,
        colour,
        size,
        pattern,
        outline=np.zeros((3, 2)),
        angle=0.,
        box=(0, 0, 1, 1),
        alpha=np.zeros((1, 1), np.uint8),
        centre=(x, y),
        extent=(half, half),
        area=0.02)


def sure(form, objects):
    """Indices meant, or 'open' where the words leave room for doubt."""
    meaning = denote(form, objects)
    return 'open' if meaning.open else sorted(meaning.sure)


def test_a_noun_means_all_that_fit():
    objects = [
        item(0.2, 0.2),
        item(0.8, 0.2, colour='blue', pattern='striped'),
        item(0.5, 0.8, shape='star', size='large')
    ]
    assert sure(Noun(), objects) == [0, 1, 2]
    assert sure(Noun(shape='circle'), objects) == [0, 1]
    assert sure(Noun(colour='red', size='large'), objects) == [2]
    assert sure(Noun(pattern='striped'), objects) == [1]
    assert sure(Noun(colour='green'), objects) == []
    assert [len(Noun()), len(Noun(shape='star', size='large'))] == [0, 2]


def test_what_a_denotation_means():
    objects = [item(0.2, 0.2), item(0.8, 0.2, colour='blue')]
    assert denote(Noun(colour='red'), objects).means(0)
    assert not denote(Noun(colour='red'), objects).means(1)
    assert not denote(Noun(), objects).means(0)
    assert denote(Noun(), objects).means(1, 0)  # several objects
    assert denote(Noun(colour='green'), objects).means()  # none


@pytest.mark.parametrize('place, xs, expected', [
    ('left', (0.2, 0.7), [0]),
    ('left', (0.7, 0.2), [1]),
    ('left', (0.2, 0.4), 'open'),  # both on the left half
    ('left', (0.05, 0.42), [0]),  # the other nearly in the middle
    ('left', (0.45, 0.8), 'open'),  # hardly on the left
    ('left', (0.6, 0.8), []),
    ('left', (0.2, 0.25, 0.8), 'open'),  # too close
    ('right', (0.2, 0.7), [1]),
    ('most left', (0.2, 0.4), [0]),
    ('most left', (0.6, 0.8), [0]),
    ('most left', (0.2, 0.25), 'open'),
    ('most right', (0.2, 0.4, 0.45), 'open'),
    ('far left', (0.2, 0.4), [0]),
    ('far left', (0.6, 0.8), 'open'),
    ('far right', (0.2, 0.8), [1]),
    ('most left', (0.9, ), [0]),
])
def test_horizontal_places(place, xs, expected):
    objects = [item(x, 0.3 + 0.1 * i) for i, x in enumerate(xs)]
    assert sure(Located(Noun(), place), objects) == expected
    # The same downwards.
    turned = {'left': 'top', 'right': 'bottom'}
    *prefix, side = place.split()
    if prefix != ['far']:
        objects = [item(*o.centre[::-1]) for o in objects]
        place = ' '.join([*prefix, turned[side]])
        assert sure(Located(Noun(), place), objects) == expected


def test_a_place_is_seen_among_those_that_fit_the_noun():
    objects = [item(0.1, 0.5, colour='blue'), item(0.3, 0.5), item(0.8, 0.5)]
    assert sure(Located(Noun(colour='red'), 'left'), objects) == [1]
    assert sure(Located(Noun(), 'left'), objects) == 'open'


def test_foremost_by_its_centre_and_by_its_edge():
    wide = item(0.4, 0.5, half=0.2)
    assert sure(Located(Noun(), 'most left'),
                [wide, item(0.28, 0.5, half=0.06)]) == 'open'
    assert sure(Located(Noun(), 'most left'),
                [wide, item(0.15, 0.5, half=0.06)]) == [1]


def test_corners_and_middle():
    objects = [item(0.2, 0.2), item(0.8, 0.2), item(0.5, 0.55),
               item(0.2, 0.8)]
    for place, target in (('top left', 0), ('top right', 1), ('middle', 2),
                          ('bottom left', 3)):
        assert sure(Located(Noun(), place), objects) == [target]
    assert sure(Located(Noun(), 'bottom right'), objects) == []
    assert sure(Located(Noun(), 'bottom right'),
                [item(0.55, 0.55)]) == 'open'
    assert sure(Located(Noun(), 'top left'),
                [item(0.2, 0.2), item(0.3, 0.2)]) == 'open'
    assert sure(Located(Noun(), 'middle'),
                [item(0.5, 0.5), item(0.7, 0.5)]) == 'open'


@pytest.mark.parametrize('step, expected', [
    ((-0.3, 0.), 'left'),
    ((0.3, 0.1), 'right'),
    ((0.1, -0.3), 'above'),
    ((0., 0.3), 'below'),
    ((-0.2, 0.2), None),
    ((0.05, 0.), None),
])
def test_relations(step, expected):
    mark = item(0.5, 0.5, colour='blue')
    objects = [item(0.5 + step[0], 0.5 + step[1]), mark]
    for relation in ('left', 'right', 'above', 'below'):
        found = sure(
            Related(Noun(colour='red'), relation, Noun(colour='blue')),
            objects)
        assert (found == [0]) == (relation == expected)


def test_relation_needs_exactly_one_landmark():
    objects = [item(0.2, 0.5), item(0.5, 0.5, colour='blue'),
               item(0.8, 0.5, colour='blue')]
    red, blue, green = (Noun(colour=c) for c in ('red', 'blue', 'green'))
    assert sure(Related(red, 'left', blue), objects) == 'open'
    assert sure(Related(red, 'left', green), objects) == 'open'
    assert sure(Related(red, 'left', blue), objects[:2]) == [0]


def test_relation_with_several_candidates():
    mark = item(0.5, 0.5, shape='square')
    left, right, up = item(0.2, 0.5), item(0.8, 0.45), item(0.45, 0.15)
    circle, square = Noun(shape='circle'), Noun(shape='square')
    form = Related(circle, 'left', square)
    assert sure(form, [mark, left, right, up]) == [1]
    assert sure(form, [mark, left, item(0.3, 0.3)]) == 'open'
    assert sure(form, [mark, right, up]) == []
    # Inside the other one is no side of it.
    wide = item(0.5, 0.5, shape='square', half=0.25)
    assert sure(form, [wide, item(0.36, 0.5)]) == 'open'
