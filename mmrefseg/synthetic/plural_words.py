# Licensed under the Apache License, Version 2.0.
"""Words for several objects, and the vocabulary that covers them too."""

import numpy as np

from .forms import Noun, Pair, Related
from .shapes import SHAPES
from .words import (GENERIC, RELATION_WORDS, adjectives_of, arrange, pick,
                    vocabulary, word_noun)

_PLURAL = {
    word: f'{word}es' if word.endswith('s') else f'{word}s'
    for word in (*SHAPES, *GENERIC)
}
# Before a plural; with a number only for that many targets.
_DETERMINERS = ('', 'the ', 'all ', 'all the ')
_NUMBERED = {
    2: ('both ', 'the two ', 'two '),
    3: ('the three ', 'three '),
}
_FRAME = ('all', 'are', 'both', 'every', 'three', 'two')


def word_several(rng: np.random.Generator, form: Noun | Related | Pair,
                 count: int | None = None) -> str:
    """Put a form into words about several objects.

    Args:
        rng (np.random.Generator): Source of all choices.
        form (Noun | Related | Pair): Structured form of the sentence.
        count (int, optional): Number of targets, for sentences that state it.
            None never states it.

    Returns:
        str: Lower case without punctuation, such as 'both red circles'.
    """
    if isinstance(form, Pair):
        first, second = (word_noun(rng, x) for x in (form.first, form.second))
        return f'the {first} and the {second}'
    noun = form if isinstance(form, Noun) else form.noun
    if rng.random() < 0.15:
        # 'every' is followed by one.
        head, verb, determiner = word_noun(rng, noun), 'is', 'every '
    else:
        words = [*adjectives_of(rng, noun), _head(rng, noun)]
        # 'circles that are red left of ...' would be hard to read.
        if form is noun:
            words = arrange(rng, noun, words[:-1], words[-1], 'that are')
        head, verb = ' '.join(words), 'are'
        choices = _DETERMINERS + _NUMBERED.get(count or 0, ())
        determiner = pick(rng, choices)
    if isinstance(form, Noun):
        return f'{determiner}{head}'
    that = f'that {verb} ' if determiner and rng.random() < 0.2 else ''
    relation = pick(rng, RELATION_WORDS[form.relation])
    landmark = word_noun(rng, form.landmark)
    return f'{determiner}{head} {that}{relation} the {landmark}'


def _head(rng: np.random.Generator, noun: Noun) -> str:
    return _PLURAL[noun.shape or pick(rng, GENERIC)]


def full_vocabulary() -> list[str]:
    """The words of :func:`~.words.vocabulary`, then those that only speak of
    several objects.

    The former keep their places, so that embeddings trained with them fit.
    """
    return [*vocabulary(), *sorted({*_PLURAL.values(), *_FRAME})]
