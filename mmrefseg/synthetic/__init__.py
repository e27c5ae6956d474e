# Licensed under the Apache License, Version 2.0.
"""Synthetic scenes: small pictures of shapes with sentences about them."""

from .absent import NO_TARGET, describe_absent, find_absent
from .forms import Denotation, Located, Noun, Pair, Related, denote
from .plural_words import full_vocabulary
from .scenes import Scene, SceneObject, SceneStyle, sample_scene
from .sentences import KINDS, Sentence, describe_scene, find_sentence
from .several import MULTI, denote_several, describe_several, find_several
from .words import vocabulary
from .writer import MORE_SPLITS, SPLITS, build_scene, make_synthetic_refs

__all__ = [
    'KINDS', 'MORE_SPLITS', 'MULTI', 'NO_TARGET', 'SPLITS', 'Denotation',
    'Located', 'Noun', 'Pair', 'Related', 'Scene', 'SceneObject',
    'SceneStyle', 'Sentence', 'build_scene', 'denote', 'denote_several',
    'describe_absent', 'describe_scene', 'describe_several', 'find_absent',
    'find_sentence', 'find_several', 'full_vocabulary',
    'make_synthetic_refs', 'sample_scene', 'vocabulary'
]
