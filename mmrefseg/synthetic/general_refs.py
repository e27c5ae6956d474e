# Licensed under the Apache License, Version 2.0.
"""Refs of a scene in gRefCOCO's layout: one target, several, or none."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..datasets.refer_files import NO_TARGET as NO_ANNOTATION
from .absent import describe_absent
from .scenes import SceneObject
from .sentences import Sentence
from .several import describe_several

# The streams of build_scene are the children 0 and 1 of the same seed.
_CHILD = 2


def _record(sentence: Sentence, **more: Any) -> dict[str, Any]:
    return dict(
        raw=sentence.text,
        sent=sentence.text,
        tokens=sentence.text.split(),
        kind=sentence.kind,
        **more)


def general_refs(refs: Sequence[dict], objects: Sequence[SceneObject],
                 annotations: Sequence[dict], *,
                 seed: tuple[int, ...]) -> list[dict]:
    """Add sentences about several objects and about none.

    Args:
        refs (Sequence[dict]): The scene's refs of one target each, at least
            one.
        objects (Sequence[SceneObject]): All objects of the scene.
        annotations (Sequence[dict]): Of each object.
        seed (tuple[int]): Of the scene, as in ``build_scene``.

    Returns:
        list[dict]: Refs with lists as ``ann_id`` and ``category_id``: those
        given, with their sentences unchanged; one for each group of targets
        of sentences of kind 'multi'; one for each sentence of kind
        'no_target', with ``[-1]`` as ``ann_id`` and, as ``wrong``, which
        detail of it is false.
    """
    rng = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_CHILD, ))))
    # (annotations, categories, sentences)
    found = [([ref['ann_id']], [ref['category_id']], ref['sentences'])
             for ref in refs]
    for group, sentences in describe_several(rng, objects).items():
        chosen = [annotations[i] for i in sorted(group)]
        found.append(
            ([x['id'] for x in chosen], [x['category_id'] for x in chosen],
             [_record(x) for x in sentences]))
    for wrong, sentence in describe_absent(rng, objects):
        found.append(([NO_ANNOTATION], [NO_ANNOTATION],
                      [_record(sentence, wrong=wrong)]))
    shared = {
        key: refs[0][key]
        for key in ('image_id', 'split', 'file_name')
    }
    result = []
    for number, (ann_ids, categories, sentences) in enumerate(found):
        ref_id = shared['image_id'] * 100 + number
        records = [
            dict(x, sent_id=ref_id * 10 + i) for i, x in enumerate(sentences)
        ]
        result.append(
            dict(
                ref_id=ref_id,
                ann_id=ann_ids,
                category_id=categories,
                **shared,
                sent_ids=[x['sent_id'] for x in records],
                sentences=records))
    return result
