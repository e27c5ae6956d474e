# Licensed under the Apache License, Version 2.0.
"""Words for the structured forms, and the vocabulary that covers them."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from .forms import Form, Located, Noun
from .shapes import COLOURS, PATTERNS, SHAPES, SIZES

MAX_WORDS = 14
T = TypeVar('T')

GENERIC = ('object', 'thing', 'shape', 'one')

# Words before the noun, and phrases after it.
_BEFORE = {
    'left': ('left', ),
    'right': ('right', ),
    'top': ('top', 'upper'),
    'bottom': ('bottom', 'lower'),
    'most left': ('leftmost', ),
    'most right': ('rightmost', ),
    'most top': ('topmost', 'highest'),
    'most bottom': ('bottommost', 'lowest'),
    'far left': ('far left', ),
    'far right': ('far right', ),
    'top left': ('top left', 'upper left'),
    'top right': ('top right', 'upper right'),
    'bottom left': ('bottom left', 'lower left'),
    'bottom right': ('bottom right', 'lower right'),
    'middle': ('middle', 'center'),
}
_AFTER = {
    'left': ('on the left', 'on the left side', 'at left'),
    'right': ('on the right', 'on the right side', 'at right'),
    'top': ('at the top', 'at top'),
    'bottom': ('at the bottom', 'at bottom'),
    'most left': ('furthest to the left', 'furthest left'),
    'most right': ('furthest to the right', 'furthest right'),
    'most top': ('nearest to the top', 'closest to the top'),
    'most bottom': ('nearest to the bottom', 'closest to the bottom'),
    'far left': ('on the far left', 'far left'),
    'far right': ('on the far right', 'far right'),
    'top left': ('at the top left', 'on the upper left'),
    'top right': ('at the top right', 'on the upper right'),
    'bottom left': ('at the bottom left', 'on the lower left'),
    'bottom right': ('at the bottom right', 'on the lower right'),
    'middle':
    ('in the middle', 'in the center', 'in the middle of the picture'),
}
RELATION_WORDS = {
    'left': ('to the left of', 'left of', 'on the left of'),
    'right': ('to the right of', 'right of', 'on the right of'),
    'above': ('above', ),
    'below': ('below', ),
}

# Words of the templates in this module that are in no table above.
_FRAME = ('a', 'an', 'and', 'is', 'stripes', 'that', 'the', 'with')
_SYNONYMS = {'large': ('large', 'large', 'large', 'big')}
SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of some items, each with the same chance."""
    return items[int(rng.random() * len(items))]


def adjectives_of(rng: np.random.Generator, noun: Noun) -> list[str]:
    order = [noun.size, noun.pattern, noun.colour]
    if rng.random() < 0.25:
        order = [noun.size, noun.colour, noun.pattern]
    return [pick(rng, _SYNONYMS.get(w, (w, ))) for w in order if w]


def _head(rng: np.random.Generator, noun: Noun) -> str:
    return noun.shape or pick(rng, GENERIC)


def word_noun(rng: np.random.Generator, noun: Noun) -> str:
    """'small striped red star', without an article."""
    return ' '.join([*adjectives_of(rng, noun), _head(rng, noun)])


def arrange(rng: np.random.Generator, noun: Noun, adjectives: list[str],
            head: str, that: str) -> list[str]:
    """Adjectives and head of a noun, now and then with ``that`` between."""
    u = rng.random()
    if u < 0.15 and adjectives:
        # 'the striped star that is small and red'
        keep = int(rng.random() * len(adjectives))
        after = ' and '.join(adjectives[keep:])
        return [*adjectives[:keep], head, that, after]
    if u < 0.35 and noun.pattern == 'striped':
        # 'small red star with stripes'
        adjectives.remove('striped')
        return [*adjectives, head, 'with stripes']
    return [*adjectives, head]


def _word_appearance(rng: np.random.Generator, noun: Noun) -> str:
    adjectives, head = adjectives_of(rng, noun), _head(rng, noun)
    article = pick(rng, ('', '', 'the ', 'a '))
    words = arrange(rng, noun, adjectives, head, 'that is')
    text = ' '.join(words)
    if words[0] == 'one':
        return f'the {text}'
    if article == 'a ' and text[0] == 'o':  # object, orange
        article = 'an '
    return article + text


def word_form(rng: np.random.Generator, form: Form) -> str:
    """Put a form into words, lower case and without punctuation."""
    if isinstance(form, Noun):
        return _word_appearance(rng, form)
    noun = word_noun(rng, form.noun)
    article = 'the ' if rng.random() < 0.5 else ''
    if isinstance(form, Located):
        if rng.random() < 0.5:
            return f'{article}{pick(rng, _BEFORE[form.place])} {noun}'
        that = 'that is ' if article and rng.random() < 0.25 else ''
        return f'{article}{noun} {that}{pick(rng, _AFTER[form.place])}'
    that = 'that is ' if article and rng.random() < 0.2 else ''
    relation = pick(rng, RELATION_WORDS[form.relation])
    landmark = word_noun(rng, form.landmark)
    return f'{article}{noun} {that}{relation} the {landmark}'


def vocabulary() -> list[str]:
    """BERT vocabulary of the scenes: special tokens, then words by alphabet.

    It holds only the words of the templates, as whole words: any other word
    becomes the unknown token, instead of an embedding that was never
    trained.
    """
    words = set(SHAPES) | set(COLOURS) | set(SIZES) | set(PATTERNS)
    words |= set(GENERIC) | set(_FRAME)
    for synonyms in _SYNONYMS.values():
        words |= set(synonyms)
    for phrases in (*_BEFORE.values(), *_AFTER.values(),
                    *RELATION_WORDS.values()):
        for phrase in phrases:
            words |= set(phrase.split())
    return [*SPECIAL_TOKENS, *sorted(words)]
