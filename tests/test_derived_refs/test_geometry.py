# Licensed under the Apache License, Version 2.0.
"""Places, sizes and relations on layouts made by hand."""

import numpy as np
import pytest

from mmrefseg.derived_refs import FactFinder
from mmrefseg.derived_refs.geometry import (NO, OPEN, YES, Relations,
                                            find_leaders, find_places,
                                            find_sizes)


def boxes(*each):
    return np.array(each, float) / 100


def places(*each, crowd=()):
    box = boxes(*each)
    is_crowd = np.isin(np.arange(len(box)), crowd)
    return set(find_places(box, is_crowd))


def test_one_alone():
    assert places((5, 5, 25, 25)) >= {('left', 0), ('top', 0),
                                      ('top left', 0), ('half left', 0)}
    # neither here nor there
    assert places((35, 35, 65, 65)) == set()


def test_the_left_of_two():
    found = places((5, 40, 25, 60), (60, 40, 90, 60))
    assert {('left', 0), ('two left', 0), ('most left', 0),
            ('right', 1)} <= found
    assert not any('top' in name or 'bottom' in name for name, _ in found)


def test_nothing_of_two_that_are_nearly_level():
    found = places((30, 5, 50, 30), (34, 60, 54, 90))
    words = [name.split()[-1] for name, _ in found if ' ' not in name or
             name.split()[0] not in ('top', 'bottom', 'corner')]
    assert set(words) == {'top', 'bottom'}


def test_what_reaches_from_edge_to_edge_is_not_the_lowest():
    behind, ahead = (10, 0, 40, 100), (60, 10, 90, 60)
    found = places(behind, ahead)
    assert not any('bottom' in name for name, _ in found)


def test_a_crowd_leaves_open_who_is_leftmost():
    pair = (10, 40, 25, 60), (60, 40, 90, 60)
    assert ('most left', 0) in places(*pair)
    assert ('most left', 0) not in places(*pair, (0, 40, 95, 60), crowd=[2])
    # someone small of it may stand at its very edge
    assert ('most left', 0) not in places(*pair, (14, 40, 95, 60), crowd=[2])
    assert ('most left', 0) in places(*pair, (70, 40, 95, 60), crowd=[2])
    assert ('two left', 0) not in places(*pair, (70, 40, 95, 60), crowd=[2])


def test_they_are_counted_from_the_nearer_side():
    row = [(x, 40, x + 10, 60) for x in (2, 22, 42, 62, 82)]
    found = places(*row)
    assert {('second left', 1), ('third left', 2), ('second right', 3),
            ('third right', 2)} <= found
    assert ('fourth left', 3) not in found
    row[3] = (84, 40, 92, 60)  # nobody sees which of these comes first
    assert ('second right', 3) not in places(*row)
    assert ('second left', 1) in places(*row)


def test_the_middle_one_of_three_in_a_row():
    row = (5, 40, 25, 60), (42, 42, 60, 62), (75, 40, 95, 60)
    assert {('middle', 1), ('centre', 1)} <= places(*row)
    assert ('middle', 1) not in places(*row, (80, 10, 95, 30))
    assert ('middle', 1) not in places(row[0], (42, 2, 60, 22),
                                       (75, 70, 95, 90))


def test_the_corner_itself_or_towards_it():
    assert ('corner top left', 0) in places((2, 2, 20, 20), (70, 70, 90, 90))
    found = places((20, 20, 45, 45), (70, 70, 90, 90))
    assert ('top left', 0) in found and ('corner top left', 0) not in found


@pytest.mark.parametrize('side, mirrored', [('left', 'right'),
                                            ('top', 'bottom')])
def test_mirrored_boxes_have_mirrored_places(side, mirrored):
    rng = np.random.default_rng(1)
    axis = 0 if side == 'left' else 1
    swap = {side: mirrored, mirrored: side}
    for _ in range(150):
        low = rng.uniform(0, 0.7, (rng.integers(1, 6), 2))
        box = np.hstack([low, low + rng.uniform(0.05, 0.3, low.shape)])
        other = box.copy()
        other[:, [axis, axis + 2]] = 1 - box[:, [axis + 2, axis]]
        crowd = rng.random(len(box)) < 0.1
        expected = {(' '.join(swap.get(x, x) for x in name.split()), i)
                    for name, i in find_places(box, crowd)}
        assert set(find_places(other, crowd)) == expected


def sizes(*each, crowd=()):
    box = boxes(*each)
    area = (box[:, 2:] - box[:, :2]).prod(1)
    return set(find_sizes(box, area, np.isin(np.arange(len(box)), crowd)))


def test_sizes():
    found = sizes((5, 5, 55, 55), (60, 60, 80, 80), (60, 10, 85, 35))
    assert found == {('largest', 0), ('smallest', 1)}
    assert sizes((5, 5, 55, 55), (60, 60, 80, 80)) == {
        ('largest', 0), ('larger', 0), ('smallest', 1), ('smaller', 1)}
    assert sizes((5, 5, 45, 45), (50, 50, 88, 88)) == set()


def test_what_may_be_seen_in_part_is_not_called_small():
    large = (5, 5, 60, 60)
    assert ('smallest', 1) in sizes(large, (70, 70, 90, 90))
    # at the border; behind the other; beside a crowd
    assert ('smallest', 1) not in sizes(large, (80, 70, 100, 90))
    assert ('smallest', 1) not in sizes(large, (50, 20, 70, 40))
    assert ('smallest', 1) not in sizes(
        large, (70, 70, 90, 90), (0, 90, 9, 99), crowd=[2])


def test_the_first_two_from_a_side():
    row = boxes((2, 40, 10, 60), (14, 40, 24, 60), (60, 40, 70, 60),
                (80, 40, 90, 60))
    assert ('left', 2, (0, 1)) in find_leaders(row)
    assert not any(x[:2] == ('left', 3) for x in find_leaders(row))
    assert not find_leaders(row[:2])


def relations(make, *things):
    return Relations(make.layout(*things)).tables


def test_left_of_and_above(make):
    tables = relations(make, ('dog', 5, 40, 25, 60), ('cat', 60, 40, 80, 60))
    assert tables['left'][0][1] == YES == tables['right'][1][0]
    assert tables['left'][1][0] == NO == tables['above'][0][1]
    tables = relations(make, ('dog', 40, 5, 60, 25), ('cat', 42, 60, 62, 80))
    assert tables['above'][0][1] == YES == tables['below'][1][0]
    # slanting: some say so
    tables = relations(make, ('dog', 5, 5, 25, 25), ('cat', 50, 60, 70, 80))
    assert tables['left'][0][1] == OPEN


def test_what_lies_on_a_table_is_not_left_of_it(make):
    cup = 5, 40, 15, 50
    on_table = relations(make, ('cup', *cup), ('dining table', 2, 30, 98, 90))
    assert on_table['left'][0][1] == OPEN
    beside = relations(make, ('cup', *cup), ('dining table', 40, 30, 98, 70))
    assert beside['left'][0][1] == YES


def test_next_to_is_beside_and_near(make):
    dog, cat = ('dog', 5, 40, 30, 70), ('cat', 32, 45, 55, 70)
    assert relations(make, dog, cat)['next to'][0][1] == YES
    assert relations(make, dog, ('cat', 60, 45, 85, 70))['next to'][0][1] == NO
    assert relations(make, dog, ('cat', 38, 45, 60, 70))['next to'][0][1] == (
        OPEN)
    chair = 'chair', 32, 45, 55, 70
    cup = 'cup', 5, 40, 30, 70
    assert relations(make, cup, chair)['next to'][0][1] != YES


def test_the_closest_and_the_farthest(make):
    relation = Relations(
        make.layout(('dog', 5, 40, 15, 50), ('dog', 40, 40, 50, 50),
                    ('dog', 85, 40, 95, 50), ('cat', 25, 40, 35, 50)))
    assert relation.closest((1, 2), 3) == 1
    assert relation.closest((0, 1, 2), 3) is None  # two are as near
    assert relation.closest((0, 1, 2), 3, farthest=True) == 2


def test_someone_of_a_crowd_may_stand_anywhere_in_it(make):
    dog, cat = ('dog', 5, 40, 25, 60), ('cat', 60, 40, 80, 60)
    crowd = 'dog', 82, 20, 98, 80, 'crowd'

    def said(*things):
        return {x.form[1] for x in FactFinder(make.layout(*things)).find(
            ('relation', )) if x.group[0] == 0}

    assert {'left', 'farthest'} <= said(dog, ('dog', 84, 40, 98, 60), cat)
    assert said(dog, crowd, cat) == set()


def said_on(make, *things):
    facts = FactFinder(make.layout(*things)).find(('relation', ))
    return {(x.form[1], x.targets[0]) for x in facts
            if x.form[1] in ('on', 'riding', 'standing on', 'under')}


def test_riding_and_being_ridden(make):
    horse = 'horse', 20, 40, 70, 90
    rider = 'person', 35, 15, 55, 75
    assert said_on(make, rider, horse) == {('riding', 0), ('under', 1)}
    beside = 'person', 72, 15, 95, 90
    assert said_on(make, beside, horse) == set()
    assert said_on(make, ('person', 30, 10, 60, 80),
                   ('skateboard', 25, 76, 65, 86)) == {('standing on', 0),
                                                       ('under', 1)}
