# Licensed under the Apache License, Version 2.0.
"""No-target sentences about a scene that are false by one detail.

The detail is an attribute (the purple star, where stars are red and circles
purple), a place (the red circle on the left, where the only one is on the
right) or a relation.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .forms import (RELATIONS, SIDES, YES, AnyForm, Located, Noun, Pair,
                    Related, related, towards)
from .plural_words import word_several
from .scenes import SceneObject
from .sentences import Sentence, count_matches, name_object
from .several import denote_several
from .shapes import COLOURS, PATTERNS, SHAPES, SIZES
from .words import MAX_WORDS, pick, word_form

NO_TARGET = 'no_target'
WRONG = ('attribute', 'place', 'relation')
_VALUES = dict(size=SIZES, pattern=PATTERNS, colour=COLOURS, shape=SHAPES)
_TRIES = 40
# A place is wrong only by a wide margin: whoever calls 'left' what lies near
# the middle, or thinks of the object alone, agrees.
_ELSEWHERE, _OFF_MIDDLE = 0.40, 0.35
# So often a wrong attribute is one that another object of the scene has.
_SEEN_ELSEWHERE = 0.7
_PLURAL = 0.3
_PAIR = 0.25
# Attributes and places are named as often as in true sentences, so that the
# words alone reveal little.
_OF_APPEARANCE = (0.5, 0.5, 0.75, 0.75)
_OF_PLACE = (0.15, 0.15, 0.5, 0.6)
_OF_RELATION = (0.12, 0.12, 0.35, 0.85)
_CORNERS = tuple(f'{y} {x}' for y in SIDES[2:] for x in SIDES[:2])
_MOST = tuple(f'most {side}' for side in SIDES)
_FAR = tuple(f'far {side}' for side in SIDES[:2])


def is_deceptive(noun: Noun, objects: Sequence[SceneObject]) -> bool:
    """Whether an object of the scene has the shape or the colour that a noun
    names."""
    return any(
        item.shape == noun.shape or item.colour == noun.colour
        for item in objects)


def _exchange(rng: np.random.Generator, noun: Noun,
              objects: Sequence[SceneObject]) -> Noun:
    """The noun with another value of one of its attributes."""
    named = [key for key in _VALUES if getattr(noun, key) is not None]
    key = pick(rng, named)
    others = [x for x in _VALUES[key] if x != getattr(noun, key)]
    present = sorted({getattr(item, key) for item in objects} & set(others))
    if present and rng.random() < _SEEN_ELSEWHERE:
        others = present
    return replace(noun, **{key: pick(rng, others)})


def _landmark(rng: np.random.Generator, objects: Sequence[SceneObject],
              mark: int) -> Noun | None:
    """Words that name exactly this object."""
    noun = name_object(rng, objects[mark], (0.2, 0.2, 0.8, 0.85))
    return noun if len(noun) and count_matches(noun, objects) == 1 else None


def _others(rng: np.random.Generator, objects: Sequence[SceneObject],
            index: int) -> int:
    return pick(rng, [i for i in range(len(objects)) if i != index])


def _place(rng: np.random.Generator) -> str:
    u = rng.random()
    kinds = ((0.45, SIDES), (0.70, _MOST), (0.78, _FAR), (0.93, _CORNERS))
    return next((pick(rng, x) for end, x in kinds if u < end), 'middle')


def _missing(rng: np.random.Generator, item: SceneObject,
             objects: Sequence[SceneObject],
             chances: Sequence[float]) -> Noun | None:
    """A noun that fits no object, by one exchanged attribute of an object."""
    noun = name_object(rng, item, chances)
    if len(noun) < 2:
        return None
    noun = _exchange(rng, noun, objects)
    if count_matches(noun, objects) or not is_deceptive(noun, objects):
        return None
    return noun


def _wrong_attribute(rng: np.random.Generator,
                     objects: Sequence[SceneObject]) -> AnyForm | None:
    """No object has all of the attributes; the rest may be true."""
    index = int(rng.random() * len(objects))
    item = objects[index]
    how = pick(rng, ('appearance', 'place', 'relation'))
    chances = dict(
        appearance=_OF_APPEARANCE, place=_OF_PLACE, relation=_OF_RELATION)
    noun = _missing(rng, item, objects, chances[how])
    if noun is None:
        return None
    if how == 'place':
        return Located(noun, _place(rng))
    mark = _others(rng, objects, index)
    if how == 'appearance':
        if rng.random() >= _PAIR:
            return noun
        other = _missing(rng, objects[mark], objects, _OF_APPEARANCE)
        if other is None or other == noun:
            return None
        return Pair(noun, other)
    landmark = _landmark(rng, objects, mark)
    holds = [r for r in RELATIONS if related(r, item, objects[mark]) == YES]
    if landmark is None or not holds:
        return None
    return Related(noun, pick(rng, holds), landmark)


def _is_elsewhere(place: str, item: SceneObject) -> bool:
    """Whether an object alone is clearly not at a place."""
    if place == 'middle':
        x, y = item.centre
        return math.hypot(x - 0.5, y - 0.5) >= _OFF_MIDDLE
    return min(towards(side, item)
               for side in place.split()) <= _ELSEWHERE


def _wrong_place(rng: np.random.Generator,
                 objects: Sequence[SceneObject]) -> AnyForm | None:
    """The only one of its kind, and it is elsewhere."""
    item = pick(rng, objects)
    noun = name_object(rng, item, _OF_PLACE)
    place = _place(rng)
    # 'leftmost' and 'far left' compare: the only one is both.
    if place in _MOST + _FAR or not _is_elsewhere(place, item):
        return None
    if not is_deceptive(noun, objects) or count_matches(noun, objects) != 1:
        return None
    return Located(noun, place)


def _wrong_relation(rng: np.random.Generator,
                    objects: Sequence[SceneObject]) -> AnyForm | None:
    """Thing and landmark are there, but stand in another relation."""
    index = int(rng.random() * len(objects))
    noun = name_object(rng, objects[index], _OF_RELATION)
    mark = _others(rng, objects, index)
    landmark = _landmark(rng, objects, mark)
    if landmark is None or not is_deceptive(noun, objects):
        return None
    return Related(noun, pick(rng, RELATIONS), landmark)


_PROPOSE = dict(
    attribute=_wrong_attribute, place=_wrong_place, relation=_wrong_relation)


def find_absent(rng: np.random.Generator, objects: Sequence[SceneObject],
                wrong: str) -> Sentence | None:
    """Look for a sentence that surely has no target, by one wrong detail.

    Args:
        rng (np.random.Generator): Source of all choices.
        objects (Sequence[SceneObject]): All objects of the scene.
        wrong (str): One of ``WRONG``.

    Returns:
        Sentence | None: None when none was found in a few tries.
    """
    for _ in range(_TRIES):
        form = _PROPOSE[wrong](rng, objects)
        if form is None or not denote_several(form, objects).means():
            continue
        if isinstance(form, Pair):
            text = word_several(rng, form)
        elif not isinstance(form, Located) and rng.random() < _PLURAL:
            # Any number is false: there are none.
            text = word_several(rng, form, pick(rng, (None, 2, 2, 3)))
        else:
            text = word_form(rng, form)
        if len(text.split()) <= MAX_WORDS:
            return Sentence(text, NO_TARGET, form)
    return None


def describe_absent(rng: np.random.Generator,
                    objects: Sequence[SceneObject]) -> list[tuple]:
    """Write up to one sentence for each kind of wrong detail.

    Args:
        rng (np.random.Generator): Source of all choices.
        objects (Sequence[SceneObject]): All objects of the scene.

    Returns:
        list[tuple[str, Sentence]]: What is wrong, and the sentence.
    """
    found = ((wrong, find_absent(rng, objects, wrong)) for wrong in WRONG)
    return [(wrong, sentence) for wrong, sentence in found
            if sentence is not None]
