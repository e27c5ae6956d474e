# Licensed under the Apache License, Version 2.0.
"""Synthetic scenes: small pictures of shapes with sentences about them."""

from .forms import Denotation, Located, Noun, Related, denote
from .scenes import Scene, SceneObject, SceneStyle, sample_scene
from .sentences import KINDS, Sentence, describe_scene, find_sentence
from .unseen_words import UNSEEN_WORDS
from .words import vocabulary
from .writer import SPLITS, build_scene, make_synthetic_refs

__all__ = [
    'KINDS', 'SPLITS', 'UNSEEN_WORDS', 'Denotation', 'Located', 'Noun',
    'Related', 'Scene', 'SceneObject', 'SceneStyle', 'Sentence',
    'build_scene', 'denote', 'describe_scene', 'find_sentence',
    'make_synthetic_refs', 'sample_scene', 'vocabulary'
]
