# Licensed under the Apache License, Version 2.0.
"""Sentences about several objects of a scene."""

from collections.abc import Sequence

import numpy as np

from .forms import RELATIONS, AnyForm, Denotation, Noun, Pair, Related, denote
from .plural_words import word_several
from .scenes import SceneObject
from .sentences import Sentence, count_matches, name_object
from .words import MAX_WORDS, pick

MULTI = 'multi'
_TRIES = 14
_SENTENCES = 2  # at most, of the same objects

SeveralForm = Noun | Related | Pair


def denote_several(form: AnyForm,
                   objects: Sequence[SceneObject]) -> Denotation:
    """Evaluate a form that may have several targets.

    Args:
        form (AnyForm): Structured form of a sentence.
        objects (Sequence[SceneObject]): All objects of the scene.

    Returns:
        Denotation: The targets. A pair of which a part is not exactly one
        object, or both are the same, is open.
    """
    if not isinstance(form, Pair):
        return denote(form, objects)
    parts = [denote(noun, objects).sure for noun in (form.first, form.second)]
    both = parts[0] | parts[1]
    if [len(x) for x in (*parts, both)] != [1, 1, 2]:
        return Denotation(frozenset(), both)
    return Denotation(both, frozenset())


def _propose_noun(rng: np.random.Generator,
                  objects: Sequence[SceneObject]) -> SeveralForm | None:
    noun = name_object(rng, pick(rng, objects), (0.25, 0.25, 0.6, 0.6))
    return noun if len(noun) else None


def _propose_related(rng: np.random.Generator,
                     objects: Sequence[SceneObject]) -> SeveralForm | None:
    noun = name_object(rng, pick(rng, objects), (0.1, 0.1, 0.35, 0.7))
    landmark = name_object(rng, pick(rng, objects), (0.2, 0.2, 0.8, 0.85))
    if not len(landmark) or count_matches(landmark, objects) != 1:
        return None
    return Related(noun, pick(rng, RELATIONS), landmark)


def _propose_pair(rng: np.random.Generator,
                  objects: Sequence[SceneObject]) -> SeveralForm | None:
    first, second = (
        name_object(rng, objects[i], (0.2, 0.2, 0.7, 0.8))
        for i in rng.permutation(len(objects))[:2])
    return Pair(first, second) if len(first) and len(second) else None


_PROPOSE = dict(
    noun=_propose_noun, relation=_propose_related, pair=_propose_pair)


def find_several(rng: np.random.Generator, objects: Sequence[SceneObject],
                 how: str) -> Sentence | None:
    """Look for a sentence whose targets are several objects, but not all.

    Args:
        rng (np.random.Generator): Source of all choices.
        objects (Sequence[SceneObject]): All objects of the scene.
        how (str): 'noun', 'relation' or 'pair'.

    Returns:
        Sentence | None: None when none was found in a few tries.
    """
    for _ in range(_TRIES):
        form = _PROPOSE[how](rng, objects)
        if form is None:
            continue
        meaning = denote_several(form, objects)
        count = len(meaning.sure)
        if meaning.open or not 2 <= count < len(objects):
            continue
        text = word_several(rng, form, count)
        if len(text.split()) <= MAX_WORDS:
            return Sentence(text, MULTI, form)
    return None


def describe_several(rng: np.random.Generator,
                     objects: Sequence[SceneObject],
                     max_groups: int = 2
                     ) -> dict[frozenset[int], list[Sentence]]:
    """Write sentences for some groups of objects of a scene.

    Args:
        rng (np.random.Generator): Source of all choices.
        objects (Sequence[SceneObject]): All objects of the scene.
        max_groups (int): At most this many groups.

    Returns:
        dict[frozenset[int], list[Sentence]]: Sentences by their
        targets, one or two of each group.
    """
    found: dict[frozenset[int], list[Sentence]] = {}
    ways = list(_PROPOSE)
    for how in (ways[i] for i in rng.permutation(len(ways))):
        sentence = find_several(rng, objects, how)
        if sentence is None:
            continue
        group = denote_several(sentence.form, objects).sure
        if group not in found and len(found) == max_groups:
            continue
        known = found.setdefault(group, [])
        if len(known) < _SENTENCES:
            known.append(sentence)
    return found
