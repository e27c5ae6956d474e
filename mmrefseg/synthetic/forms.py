# Licensed under the Apache License, Version 2.0.
"""Structured forms of sentences and their evaluation on a scene.

A form is evaluated with three truth values. An object is *surely* a target
when every sensible reading of the words includes it, *surely not* when none
does, and open in between; a sentence is used only when one object is surely
the target and none is open. The thresholds below therefore come in pairs, one
for yes and one for no: a person with a limit in between agrees with the
result. Lengths are fractions of the side of the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .scenes import SceneObject

SIDES = ('left', 'right', 'top', 'bottom')
PLACES = (
    *SIDES, *(f'most {side}' for side in SIDES),
    *(f'far {side}' for side in SIDES[:2]),
    *(f'{y} {x}' for y in SIDES[2:] for x in SIDES[:2]), 'middle')
RELATIONS = ('left', 'right', 'above', 'below')

# 'left', 'at the top': beyond YES and ahead of the rest; the rest is behind
# NO, or far behind and near the middle.
SIDE_YES, SIDE_NO, SIDE_LEAD = 0.62, 0.52, 0.13
SIDE_MIDDLE, SIDE_BEHIND = 0.60, 0.30
# 'leftmost': ahead of the rest by its centre and by its edge.
MOST_LEAD, MOST_EDGE_LEAD = 0.09, 0.04
FAR_YES = 0.66
CORNER_YES, CORNER_NO, CORNER_LEAD = 0.60, 0.50, 0.06
MIDDLE_YES, MIDDLE_NO = 0.15, 0.28
# 'left of': so much ahead, and aside at most so many times as much.
RELATION_YES, RELATION_NO = 0.12, 0.05
SLOPE_YES, SLOPE_NO = 0.8, 2.2
# ... and ahead by this share of both half extents.
RELATION_APART = 0.6

NO, OPEN, YES = 0, 1, 2


@dataclass(frozen=True)
class Noun:
    """Attributes that an object must have; None is no condition."""
    size: str | None = None
    pattern: str | None = None
    colour: str | None = None
    shape: str | None = None

    def fits(self, item: SceneObject) -> bool:
        """Whether an object has every attribute of the noun."""
        return (self.size in (None, item.size)
                and self.pattern in (None, item.pattern)
                and self.colour in (None, item.colour)
                and self.shape in (None, item.shape))

    def __len__(self) -> int:
        return 4 - (self.size, self.pattern, self.colour,
                    self.shape).count(None)


@dataclass(frozen=True)
class Located:
    """The object of a kind at a place of the image (one of ``PLACES``)."""
    noun: Noun
    place: str


@dataclass(frozen=True)
class Related:
    """The object of a kind that stands in a relation to another one."""
    noun: Noun
    relation: str
    landmark: Noun


@dataclass(frozen=True)
class Pair:
    """Two objects, each named by itself."""
    first: Noun
    second: Noun


Form = Noun | Located | Related
AnyForm = Form | Pair


@dataclass(frozen=True)
class Denotation:
    """Indices of the objects that a form surely means, and of open ones."""
    sure: frozenset[int]
    open: frozenset[int]

    def means(self, *indices: int) -> bool:
        """Whether exactly these objects are the targets, none being open."""
        return not self.open and self.sure == frozenset(indices)


def denote(form: Form, objects: Sequence[SceneObject]) -> Denotation:
    """Evaluate a form on the objects of a scene.

    Args:
        form (Form): Structured form of a sentence.
        objects (Sequence[SceneObject]): All objects of the scene.

    Returns:
        Denotation: The targets. When a landmark is not exactly one
        object, every object of the noun is open.
    """
    noun = form if isinstance(form, Noun) else form.noun
    fits = [i for i, item in enumerate(objects) if noun.fits(item)]
    if isinstance(form, Noun):
        return Denotation(frozenset(fits), frozenset())
    if isinstance(form, Located):
        truth = _located(form.place, [objects[i] for i in fits])
    else:
        marks = [o for o in objects if form.landmark.fits(o)]
        if len(marks) != 1:
            return Denotation(frozenset(), frozenset(fits))
        truth = [related(form.relation, objects[i], marks[0]) for i in fits]
    return Denotation(
        frozenset(i for i, t in zip(fits, truth) if t == YES),
        frozenset(i for i, t in zip(fits, truth) if t == OPEN))


def towards(side: str, item: SceneObject) -> float:
    """How far a centre lies towards a side: 0 at the other one, 1 at it."""
    value = item.centre[0 if side in ('left', 'right') else 1]
    return 1 - value if side in ('left', 'top') else value


def _truth(value: float, yes: float, no: float) -> int:
    return YES if value >= yes else NO if value <= no else OPEN


def _located(place: str, items: list[SceneObject]) -> list[int]:
    """Truth value of 'is the one at this place' for each of several."""
    if place == 'middle':
        away = [
            math.hypot(item.centre[0] - 0.5, item.centre[1] - 0.5)
            for item in items
        ]
        return [_truth(-d, -MIDDLE_YES, -MIDDLE_NO) for d in away]
    *prefix, side = place.split()
    if not prefix:
        return _at_side(side, items)
    if prefix[0] in ('most', 'far'):
        return _foremost(side, items, FAR_YES if prefix[0] == 'far' else 0.)
    return _at_corner(prefix[0], side, items)


def _best_other(values: list[float], i: int) -> float:
    return max(values[:i] + values[i + 1:], default=-1.)


def _at_side(side: str, items: list[SceneObject]) -> list[int]:
    values = [towards(side, item) for item in items]
    result = []
    for i, value in enumerate(values):
        lead = value - _best_other(values, i)
        if value >= SIDE_YES and lead >= SIDE_LEAD:
            result.append(YES)
        elif value <= SIDE_NO or (value <= SIDE_MIDDLE
                                  and -lead >= SIDE_BEHIND):
            result.append(NO)
        else:
            result.append(OPEN)
    return result


def _foremost(side: str, items: list[SceneObject], yes: float) -> list[int]:
    axis = 0 if side in ('left', 'right') else 1
    values = [towards(side, item) for item in items]
    edges = [v + item.extent[axis] for v, item in zip(values, items)]
    result = []
    for i, value in enumerate(values):
        others = [j for j in range(len(items)) if j != i]
        if value >= yes and all(
                value - values[j] >= MOST_LEAD
                and edges[i] - edges[j] >= MOST_EDGE_LEAD for j in others):
            result.append(YES)
        elif any(values[j] - value >= MOST_LEAD
                 and edges[j] - edges[i] >= MOST_EDGE_LEAD for j in others):
            result.append(NO)
        else:
            result.append(OPEN)
    return result


def _at_corner(vertical: str, horizontal: str,
               items: list[SceneObject]) -> list[int]:
    pairs = [(towards(vertical, item), towards(horizontal, item))
             for item in items]
    totals = [sum(pair) / 2 for pair in pairs]
    result = []
    for i, pair in enumerate(pairs):
        truth = _truth(min(pair), CORNER_YES, CORNER_NO)
        if truth == YES and totals[i] < _best_other(totals, i) + CORNER_LEAD:
            truth = OPEN
        result.append(truth)
    return result


def related(relation: str, item: SceneObject, mark: SceneObject) -> int:
    """Truth value of 'item is left of / right of / above / below mark'."""
    axis = 0 if relation in ('left', 'right') else 1
    ahead = mark.centre[axis] - item.centre[axis]
    if relation in ('right', 'below'):
        ahead = -ahead
    aside = abs(mark.centre[1 - axis] - item.centre[1 - axis])
    if ahead <= RELATION_NO or aside >= SLOPE_NO * ahead:
        return NO
    apart = RELATION_APART * (item.extent[axis] + mark.extent[axis])
    if ahead >= max(RELATION_YES, apart) and aside <= SLOPE_YES * ahead:
        return YES
    return OPEN
