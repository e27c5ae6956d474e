# Licensed under the Apache License, Version 2.0.
"""Sentences for the objects of a scene.

Forms are proposed at random, kept only when the wanted object is their one
target by :func:`denote`, and then put into words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .forms import (PLACES, RELATIONS, SIDES, YES, AnyForm, Form, Located,
                    Noun, Related, denote, related)
from .scenes import SceneObject
from .words import MAX_WORDS, word_form

KINDS = ('location', 'appearance', 'relation')
_TRIES = 14
# Places and relations are mostly needed: several objects fit the noun. So
# often a proposal passes where one does.
_NEEDLESS = 0.1


class Sentence(NamedTuple):
    """A sentence, the kind of its words and its structured form."""
    text: str
    kind: str
    form: AnyForm


def name_object(rng: np.random.Generator, item: SceneObject,
                chances: Sequence[float]) -> Noun:
    """Name each of size, pattern, colour and shape with its chance."""
    size, pattern, colour, shape = (rng.random(4) < chances).tolist()
    return Noun(item.size if size else None,
                item.pattern if pattern else None,
                item.colour if colour else None,
                item.shape if shape else None)


def count_matches(noun: Noun, objects: Sequence[SceneObject]) -> int:
    return sum(noun.fits(item) for item in objects)


def _appearance(rng: np.random.Generator, objects: Sequence[SceneObject],
                target: int) -> Form | None:
    noun = name_object(rng, objects[target], (0.5, 0.5, 0.75, 0.75))
    # A sentence of one word is easy: seldom kept.
    if len(noun) == 0 or (len(noun) == 1 and rng.random() < 0.6):
        return None
    return noun


def _location(rng: np.random.Generator, objects: Sequence[SceneObject],
              target: int) -> Form | None:
    noun = name_object(rng, objects[target], (0.15, 0.15, 0.5, 0.6))
    if count_matches(noun, objects) < 2 and rng.random() >= _NEEDLESS:
        return None
    x, y = objects[target].centre
    horizontal, vertical = SIDES[int(x > 0.5)], SIDES[2 + int(y > 0.5)]
    side = horizontal if rng.random() < 0.55 else vertical
    u = rng.random()
    if u < 0.45:
        place = side
    elif u < 0.70:
        place = f'most {SIDES[int(rng.random() * 4)]}'
    elif u < 0.78:
        place = f'far {horizontal}'
    elif u < 0.93:
        place = f'{vertical} {horizontal}'
    else:
        place = 'middle'
    assert place in PLACES
    return Located(noun, place)


def _relation(rng: np.random.Generator, objects: Sequence[SceneObject],
              target: int) -> Form | None:
    noun = name_object(rng, objects[target], (0.12, 0.12, 0.35, 0.85))
    if count_matches(noun, objects) < 2 and rng.random() >= _NEEDLESS:
        return None
    marks = [i for i in range(len(objects)) if i != target]
    mark = objects[marks[int(rng.random() * len(marks))]]
    holds = [r for r in RELATIONS if related(r, objects[target], mark) == YES]
    if not holds:
        return None
    landmark = name_object(rng, mark, (0.2, 0.2, 0.8, 0.85))
    if len(landmark) == 0 or count_matches(landmark, objects) != 1:
        return None
    return Related(noun, holds[int(rng.random() * len(holds))], landmark)


_PROPOSE = dict(
    location=_location, appearance=_appearance, relation=_relation)


def find_sentence(rng: np.random.Generator, objects: Sequence[SceneObject],
                  target: int, kind: str) -> Sentence | None:
    """Look for a sentence of one kind with exactly one target.

    Args:
        rng (np.random.Generator): Source of all choices.
        objects (Sequence[SceneObject]): All objects of the scene.
        target (int): Index of the target.
        kind (str): One of ``KINDS``.

    Returns:
        Sentence | None: None when none was found in a few tries.
    """
    for _ in range(_TRIES):
        form = _PROPOSE[kind](rng, objects, target)
        if form is None or not denote(form, objects).means(target):
            continue
        text = word_form(rng, form)
        if len(text.split()) <= MAX_WORDS:
            return Sentence(text, kind, form)
    return None


def describe_scene(rng: np.random.Generator, objects: Sequence[SceneObject],
                   max_refs: int = 5) -> list[list[Sentence]]:
    """Write up to one sentence of each kind for the objects of a scene.

    The rarest kind of a scene limits how many sentences of the others are
    kept, so that the kinds stay balanced without looking at other scenes.

    Args:
        rng (np.random.Generator): Source of all choices.
        objects (Sequence[SceneObject]): All objects of the scene.
        max_refs (int): At most this many objects get sentences.

    Returns:
        list[list[Sentence]]: For each object its sentences, maybe none.
    """
    result: list[list[Sentence]] = [[] for _ in objects]
    order = rng.permutation(len(objects)).tolist()
    used = 0
    for i in order:
        if used == max_refs:
            break
        for kind in KINDS:
            sentence = find_sentence(rng, objects, i, kind)
            if sentence is not None:
                result[i].append(sentence)
        used += bool(result[i])
    counts = {
        kind: sum(s.kind == kind for found in result for s in found)
        for kind in KINDS
    }
    limit = max(1, min(counts.values()) + int(rng.random() < 0.5))
    for i in reversed(order):
        for sentence in list(result[i]):
            if counts[sentence.kind] > limit:
                result[i].remove(sentence)
                counts[sentence.kind] -= 1
    return result
