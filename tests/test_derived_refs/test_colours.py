# Licensed under the Apache License, Version 2.0.
"""Colours are named where the pixels leave no doubt."""

import cv2
import numpy as np
import pytest

from mmrefseg.derived_refs import FactFinder
from mmrefseg.derived_refs.colours import (COLOURS, ColourShares,
                                           absent_colours, name_pixels,
                                           the_coloured)

BGR = dict(
    white=(250, 250, 250),
    black=(15, 15, 15),
    grey=(128, 128, 128),
    brown=(30, 60, 110),
    red=(30, 30, 210),
    green=(40, 170, 40),
    blue=(210, 80, 30),
    yellow=(20, 220, 240),
    orange=(10, 120, 240),
    pink=(180, 130, 250),
    purple=(170, 30, 130))
CARPET = (150, 200, 170)  # between the names


def draw(layout, *colours, ground=CARPET):
    image = np.full((layout.height, layout.width, 3), ground, np.uint8)
    for i, colour in enumerate(colours):
        image[layout.mask(i) > 0] = BGR.get(colour, colour)
    return image


def said(layout, *colours, **options):
    shares = ColourShares(layout, draw(layout, *colours, **options))
    facts = FactFinder(layout, shares).find(('colour', ))
    return {(fact.form[1], fact.targets[0]) for fact in facts}


def two(make, category='car'):
    return make.layout((category, 10, 20, 40, 60), (category, 60, 20, 90, 60))


@pytest.mark.parametrize('colour', COLOURS)
def test_each_colour_has_its_name(make, colour):
    pixel = np.array([[BGR[colour]]], np.uint8)
    assert COLOURS[name_pixels(pixel)[0, 0]] == colour
    other = 'blue' if colour not in ('blue', 'purple') else 'yellow'
    assert (colour, 0) in said(two(make), colour, other)


@pytest.mark.parametrize('name, bgr', [
    ('dark green', (30, 48, 20)), ('teal', (160, 160, 20)),
    ('ginger', (50, 95, 150)), ('carpet', CARPET)])
def test_what_people_disagree_on_has_no_name(name, bgr):
    assert name_pixels(np.array([[bgr]], np.uint8))[0, 0] == -1


def test_two_of_a_colour_are_not_told_apart_by_it(make):
    assert said(two(make), 'red', 'red') == set()
    assert {x for x, _ in said(two(make), 'red', 'blue')} == {'red', 'blue'}


def test_what_is_half_of_a_colour_leaves_it_open(make):
    layout = two(make)
    image = draw(layout, 'red', 'blue')
    image[20:40, 60:90] = BGR['red']
    facts = FactFinder(layout, ColourShares(layout, image)).find(('colour', ))
    assert facts == []


def test_a_thing_of_unnamed_colours_may_be_of_any(make):
    assert said(two(make), 'red', CARPET) == set()


def test_black_in_a_dark_room_is_no_colour(make):
    assert ('black', 0) in said(two(make), 'black', 'red')
    # what is dark there may be red as well
    assert said(two(make), 'black', 'red', ground=(12, 12, 12)) == set()


@pytest.mark.parametrize('category', ['wine glass', 'orange', 'bottle'])
def test_no_colour_of_glass_and_oranges(make, category):
    assert said(two(make, category), 'red', 'blue') == set()


def test_people_have_the_colour_of_their_clothes(make):
    layout = two(make, 'person')
    image = draw(layout, CARPET, CARPET)
    image[30:60, 10:40] = BGR['red']
    image[30:60, 60:90] = BGR['brown']  # skin, hair
    facts = FactFinder(layout, ColourShares(layout, image)).find(('colour', ))
    assert {x.form for x in facts} <= {('colour', 'red', True)}
    image[30:60, 60:90] = BGR['blue']
    facts = FactFinder(layout, ColourShares(layout, image)).find(('colour', ))
    assert {x.form for x in facts} == {('colour', 'red', True),
                                       ('colour', 'blue', True)}


def test_small_things_and_crowds_are_not_judged(make):
    layout = make.layout(('car', 10, 20, 40, 60), ('car', 60, 20, 63, 24))
    shares = ColourShares(layout, draw(layout, 'red', 'blue')).of([0, 1])
    assert shares[0] is not None and shares[1] is None
    assert the_coloured(shares, False) == []
    assert absent_colours(shares, False) == []


def test_colours_that_are_not_there(make):
    layout = two(make)
    image = cv2.GaussianBlur(draw(layout, 'red', 'blue'), (3, 3), 0)
    absent = absent_colours(ColourShares(layout, image).of([0, 1]), False)
    assert {'yellow', 'green', 'white'} <= set(absent)
    assert {'red', 'blue'}.isdisjoint(absent)
