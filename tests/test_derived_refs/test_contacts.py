# Licensed under the Apache License, Version 2.0.
"""Lying on, and having: what boxes alone would get wrong."""

import pytest

from mmrefseg.derived_refs import FactFinder, make_layout
from mmrefseg.derived_refs.contacts import Contacts

TABLE = 'dining table', 5, 50, 95, 95


def test_what_rests_on_a_table(make):
    cup = 'cup', 40, 45, 52, 70
    contacts = Contacts(make.layout(cup, TABLE))
    assert contacts.rests_on(0, 1) and not contacts.rests_on(1, 0)
    # on a plate of food, which lies on the table
    between = Contacts(make.layout(cup, TABLE, ('pizza', 30, 68, 65, 80)))
    assert not between.rests_on(0, 1)
    beside = Contacts(make.layout(cup, TABLE, ('pizza', 60, 68, 85, 80)))
    assert beside.rests_on(0, 1)


def test_how_far_one_surrounds_another(make):
    inside = Contacts(
        make.layout(('person', 10, 10, 60, 90), ('tie', 30, 30, 36, 50)))
    assert inside.around(0, 1) == 1
    touching = Contacts(
        make.layout(('person', 10, 10, 60, 90), ('tie', 60, 30, 66, 50)))
    assert 0 < touching.around(0, 1) < 0.5
    apart = Contacts(
        make.layout(('person', 10, 10, 60, 90), ('tie', 70, 30, 76, 50)))
    assert apart.around(0, 1) == 0


def having(make, *things):
    facts = FactFinder(make.layout(*things)).find(('with', ))
    return {(x.form[1], x.targets[0]) for x in facts}


def test_who_has_a_bag_and_who_has_none(make):
    people = ('person', 5, 5, 45, 95), ('person', 60, 5, 95, 95)
    assert having(make, *people, ('backpack', 15, 30, 35, 55)) == {
        ('with', 0), ('without', 1)}
    # between the two: nobody's, or anybody's
    assert having(make, *people, ('backpack', 46, 30, 58, 55)) == set()
    # far too small to see one
    tiny = 'person', 80, 5, 86, 25
    assert having(make, people[0], tiny, ('backpack', 15, 30, 35, 55)) == {
        ('with', 0)}


def test_a_box_around_a_cup_does_not_have_it(make):
    # An arm and a body: the cup is in the box, but not of the person.
    bent = [[5, 5, 25, 5, 25, 85, 60, 85, 60, 95, 5, 95]]
    people = make.thing('person', 5, 5, 60, 95, number=1), make.thing(
        'person', 75, 5, 95, 95, number=2)
    cup = make.thing('cup', 42, 30, 50, 40, number=3)
    for segmentation, expected in ((bent, set()),
                                   (people[0]['segmentation'], {'with'})):
        layout = make_layout(
            dict(id=1, width=100, height=100),
            [dict(people[0], segmentation=segmentation), people[1], cup],
            make.names)
        assert {x.form[1] for x in FactFinder(layout).find(('with', ))} == (
            expected)


@pytest.mark.parametrize('things, expected', [
    ((('cup', 40, 45, 52, 70), TABLE), {('on', 0)}),
    # below the table's edge, and beside the table
    ((('cup', 40, 70, 52, 94), TABLE), set()),
    ((('dog', 40, 10, 60, 50), TABLE), set()),
    ((('cat', 20, 30, 40, 60), ('bed', 5, 40, 95, 90)), {('on', 0)}),
])
def test_on(make, things, expected):
    facts = FactFinder(make.layout(*things)).find(('relation', ))
    assert {(x.form[1], x.targets[0]) for x in facts
            if x.form[1] == 'on'} == expected


def test_feet_below_the_couch_leave_it_open(make):
    couch = 'couch', 10, 30, 90, 70
    facts = FactFinder(
        make.layout(('person', 30, 15, 50, 90), ('person', 70, 35, 85, 60),
                    couch)).find(('relation', ))
    assert not [x for x in facts if x.form[1] == 'on']
