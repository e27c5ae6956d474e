# Licensed under the Apache License, Version 2.0.
"""From what is meant to what people say: many phrasings of each form."""

from collections.abc import Sequence
from random import Random

from .vocabulary import Noun, article

_SIDES = {
    'left': ('left', 'left', 'left-hand'),
    'right': ('right', 'right', 'right-hand'),
    'top': ('top', 'upper'),
    'bottom': ('bottom', 'lower'),
}
_AT_SIDE = {
    'left': ('on the left', 'on the left', 'on the left side', 'at left',
             'on left', 'to the left', 'at the left', 'left',
             'on the left-hand side', 'on the left of the {photo}',
             'on the left side of the {photo}'),
    'right': ('on the right', 'on the right', 'on the right side', 'at right',
              'on right', 'to the right', 'at the right', 'right',
              'on the right-hand side', 'on the right of the {photo}',
              'on the right side of the {photo}'),
    'top': ('at the top', 'at top', 'on top', 'on the top', 'up top',
            'at the top of the {photo}', 'in the upper part of the {photo}'),
    'bottom': ('at the bottom', 'at bottom', 'on the bottom', 'bottom',
               'at the bottom of the {photo}',
               'in the lower part of the {photo}'),
}
_MOST = {
    'left': ('leftmost', 'left-most', 'left most'),
    'right': ('rightmost', 'right-most', 'right most'),
    'top': ('topmost', 'uppermost', 'highest', 'top'),
    'bottom': ('bottommost', 'lowermost', 'lowest', 'bottom'),
}
_MOST_AFTER = {
    'left': ('furthest to the left', 'farthest left', 'furthest left',
             'that is the furthest to the left', 'closest to the left edge',
             'most to the left'),
    'right': ('furthest to the right', 'farthest right', 'furthest right',
              'that is the furthest to the right',
              'closest to the right edge', 'most to the right'),
    'top': ('nearest to the top', 'closest to the top', 'highest up'),
    'bottom': ('nearest to the bottom', 'closest to the bottom',
               'lowest down'),
}
_PHOTOS = ('picture', 'photo', 'image', 'frame', 'scene')
_SECOND = {'second': ('second', '2nd'), 'third': ('third', '3rd'),
           'fourth': ('fourth', '4th')}
_FROM = ('from the {side}', 'from {side}', 'from the {side} side',
         'counting from the {side}')
_MIDDLE_BEFORE = ('middle', 'center', 'central', 'centre')
_MIDDLE_AFTER = ('in the middle', 'in the center', 'in middle', 'middle',
                 'in the middle of the {count}', 'between the other two')
_CENTRE_AFTER = ('in the middle', 'in the center', 'in the centre',
                 'in the middle of the {photo}', 'in the center of the '
                 '{photo}', 'in the centre of the {photo}')
_CORNER = {
    'top': ('top {x}', 'upper {x}'),
    'bottom': ('bottom {x}', 'lower {x}'),
}
_CORNER_AFTER = ('at the {c}', 'in the {c}', 'in the {c} corner', 'on the {c}',
                 '{c}', 'in the {c} of the {photo}', '{c} corner')
_SIZES = {
    'largest': ('largest', 'biggest'),
    'smallest': ('smallest', 'littlest', 'tiniest'),
    'larger': ('larger', 'bigger', 'big', 'large'),
    'smaller': ('smaller', 'small', 'little', 'tinier'),
}
_SIZES_AFTER = {
    'largest': ('that is the largest', 'that is the biggest',
                'that takes up the most space'),
    'smallest': ('that is the smallest', 'that takes up the least space'),
    'larger': ('that is larger', 'that is bigger', 'that is the larger one'),
    'smaller': ('that is smaller', 'that is the smaller one'),
}
RELATION_WORDS = {
    'left': ('to the left of', 'left of', 'on the left of', 'on the left '
             'side of', 'at the left of'),
    'right': ('to the right of', 'right of', 'on the right of',
              'on the right side of', 'at the right of'),
    'above': ('above', 'over', 'higher than'),
    'below': ('below', 'under', 'beneath', 'underneath', 'lower than'),
    'next to': ('next to', 'beside', 'by', 'near', 'alongside', 'adjacent '
                'to', 'right next to', 'at the side of'),
    'closest': ('closest to', 'nearest to', 'nearest', 'nearest to',
                'that is closest to', 'that is nearest to'),
    'farthest': ('farthest from', 'furthest from', 'farthest away from',
                 'that is farthest from'),
    'on': ('on', 'on top of', 'that is on', 'upon'),
}
_ON_SIDE = {'left': 'left', 'right': 'right', 'above': 'above',
            'below': 'below'}
WITH_WORDS = {
    'with': ('with', 'that has', 'having', 'with'),
    'without': ('without', 'that has no', 'with no', 'not having'),
    'next to a': ('next to', 'beside', 'near', 'by', 'close to'),
}
_NUMBERS = {2: 'two', 3: 'three', 4: 'four', 5: 'five', 6: 'six'}

_REQUESTS = (
    'please segment {np}', 'segment {np}', 'find {np}', 'show me {np}',
    'select {np}', 'highlight {np}', 'mark {np}', 'point out {np}',
    'where {is_} {np}?', 'where {is_} {np}', 'can you find {np}?',
    'could you segment {np}, please?', 'mask out {np}', 'locate {np}',
    'please find {np} in this {photo}', 'i want {np}', 'look for {np}',
    'cut out {np}', 'give me the mask of {np}', 'outline {np}',
    'can you show me where {np} {is_}?', 'i am looking for {np}',
    'which pixels belong to {np}?', '{np}, please', 'pick {np}')
_STATEMENTS = ('{np} in the {photo}', '{np} in this {photo}',
               'it is {np}', 'this is {np}', '{np} that you can see')


def choose_noun(rng: Random, nouns: Sequence[Noun]) -> Noun:
    """One of some nouns: names most, then synonyms, then hypernyms."""
    weights = [(6., 2., 1.)[noun.rank] * (0.5 if noun.bare else 1)
               for noun in nouns]
    # Many synonyms together are no more frequent than the name.
    for rank in (1, 2):
        of_rank = [i for i, noun in enumerate(nouns) if noun.rank == rank]
        for i in of_rank:
            weights[i] *= 2 / max(len(of_rank), 2)
    return rng.choices(nouns, weights)[0]


def _build(rng: Random, noun: Noun, before: str, after: str) -> tuple[str,
                                                                      str]:
    """Noun phrase without article; adjectives never before a bare noun."""
    if noun.bare and before:
        return '', ''
    return ' '.join(x for x in (before, noun.one, after) if x), noun.verb


def _about(rng: Random, form: tuple, noun: Noun, count: int) -> tuple[str,
                                                                      str]:
    """Words before and after the noun."""
    kind = form[0]
    pick = rng.choice
    if kind == 'category':
        return '', ''
    if kind == 'size':
        size = form[1]
        if rng.random() < 0.8:
            return pick(_SIZES[size]), ''
        return '', pick(_SIZES_AFTER[size])
    if kind == 'colour':
        colour, person = form[1], form[2]
        if colour == 'grey' and rng.random() < 0.5:
            colour = 'gray'
        if person:
            return '', pick((f'in {colour}', f'wearing {colour}',
                             f'dressed in {colour}', f'in {colour} clothes'))
        if rng.random() < 0.8:
            return colour, ''
        return '', f'that {noun.verb} {colour}'
    place = form[1]
    if place == 'middle':
        if rng.random() < 0.5:
            return pick(_MIDDLE_BEFORE), ''
        after = pick(_MIDDLE_AFTER)
        return '', after.replace('{count}', 'three')
    if place == 'centre':
        if rng.random() < 0.3:
            return pick(_MIDDLE_BEFORE), ''
        return '', pick(_CENTRE_AFTER)
    first, _, side = place.rpartition(' ')
    if not first or first == 'two':
        if rng.random() < 0.45:
            return pick(_SIDES[side]), ''
        after = pick(_AT_SIDE[side])
        if not first and rng.random() < 0.06:
            after = f'that {noun.verb} {after}'
        return '', after
    if first == 'most':
        if rng.random() < 0.65:
            return pick(_MOST[side]), ''
        return '', pick(_MOST_AFTER[side])
    if first == 'far':
        if rng.random() < 0.4:
            return f'far {side}', ''
        return '', pick((f'on the far {side}', f'at the far {side}',
                         f'far {side}', f'all the way to the {side}'))
    if first == 'half':
        half = {'top': 'upper', 'bottom': 'lower'}.get(side, side)
        return '', pick((f'in the {half} half', f'in the {half} half of the '
                         '{photo}', f'on the {half} half'))
    if first in _SECOND:
        return pick(_SECOND[first]), pick(_FROM).format(side=side)
    corner = pick(_CORNER[first]).format(x=side)
    if rng.random() < 0.35:
        return corner, ''
    return '', pick(_CORNER_AFTER).replace('{c}', corner)


def _of_two(rng: Random, form: tuple, noun: Noun) -> str:
    """'left one of the two dogs', without the article."""
    if form[0] == 'size':
        word = rng.choice(_SIZES[form[1]][:2])
    else:
        word = rng.choice(_SIDES[form[1].split()[1]])
    one = rng.choice((' one', '', ''))
    two = rng.choice(('two ', 'two ', ''))
    return f'{word}{one} of the {two}{noun.many}'


def _core(rng: Random, form: tuple, noun: Noun, mark: Noun | None,
          count: int, single: bool) -> str:
    """The noun phrase without its article."""
    kind = form[0]
    if kind in ('relation', 'with'):
        assert mark is not None
        words = rng.choice((RELATION_WORDS
                            if kind == 'relation' else WITH_WORDS)[form[1]])
        if kind == 'relation':
            other = mark.one if mark.bare else f'the {mark.one}'
        elif words in ('that has no', 'with no'):
            other = mark.one
        else:
            other = mark.a
        if words.startswith('that is') and noun.verb == 'are':
            words = words.replace('that is', 'that are', 1)
        if words.startswith('that has') and noun.verb == 'are':
            words = words.replace('that has', 'that have', 1)
        if kind == 'relation' and form[1] == 'closest' and not noun.bare and (
                rng.random() < 0.2):
            return (f'{rng.choice(("closest", "nearest"))} {noun.one} to '
                    f'{other}')
        return f'{noun.one} {words} {other}'
    two = (form[0] == 'place' and form[1].startswith('two ')) or (
        form[0] == 'size' and form[1] in ('larger', 'smaller'))
    if two and not noun.bare and rng.random() < 0.4:
        return _of_two(rng, form, noun)
    for _ in range(20):
        before, after = _about(rng, form, noun, count)
        if not (noun.bare and before):
            break
    else:
        return ''
    if after.startswith('that is') and noun.verb == 'are':
        after = 'that are' + after[len('that is'):]
    return ' '.join(x for x in (before, noun.one, after) if x)


def phrase(rng: Random,
           form: tuple,
           noun: Noun,
           *,
           mark: Noun | None = None,
           count: int = 1) -> str:
    """A sentence for a form.

    Args:
        rng (Random): Chooses the words.
        form (tuple): Of a :class:`~mmrefseg.derived_refs.facts.Fact`.
        noun (Noun): For the target.
        mark (Noun, optional): For the landmark.
        count (int): How many things the noun means.

    Returns:
        str: The sentence; an empty one where this noun cannot say it.

    Example:
        >>> from random import Random
        >>> from mmrefseg.derived_refs.phrasing import phrase
        >>> from mmrefseg.derived_refs.vocabulary import nouns_of
        >>> phrase(Random(1), ('place', 'left'), nouns_of('dog')[0])
        'left dog'
    """
    if form[0] in ('all', 'leaders', 'pair'):
        core, the, verb = _several(rng, form, noun, mark), '', 'are'
    else:
        core = _core(rng, form, noun, mark, count, count == 1)
        the, verb = '' if noun.bare else 'the ', noun.verb
    if not core:
        return ''
    style = rng.random()
    if style < 0.22:
        text = rng.choice(_REQUESTS).format(
            np=the + core, is_=verb, photo='{photo}')
    elif style < 0.26 and '{photo}' not in core:
        text = rng.choice(_STATEMENTS).format(np=the + core, photo='{photo}')
    elif style < 0.62:
        text = the + core
    elif style < 0.68 and form[0] == 'category' and not noun.bare:
        text = noun.a
    elif style < 0.68 and form[0] in ('relation', 'with', 'colour') and (
            the and noun.a != noun.one and not core.startswith(
                ('closest', 'nearest'))):
        text = f'{article(core)} {core}'
    else:
        text = core
    text = text.replace('{photo}', rng.choice(_PHOTOS))
    finish = rng.random()
    if finish < 0.06:
        text = text[0].upper() + text[1:]
    if finish < 0.03 and not text.endswith('?'):
        text += '.'
    return text


def _several(rng: Random, form: tuple, noun: Noun,
             mark: Noun | None) -> str:
    many = noun.many
    if form[0] == 'pair':
        assert mark is not None
        one = noun.one if noun.bare else f'the {noun.one}'
        other = mark.one if mark.bare else f'the {mark.one}'
        if rng.random() < 0.3:
            one, other = one.replace('the ', ''), other.replace('the ', '')
        if rng.random() < 0.5:
            one, other = other, one
        return rng.choice((f'{one} and {other}', f'{one} and {other}',
                           f'both {one} and {other}',
                           f'{one} together with {other}'))
    if form[0] == 'leaders':
        side, number = form[1], _NUMBERS[form[2]]
        return rng.choice(
            (f'the {number} {many} on the {side}',
             f'{number} {many} on the {side}',
             f'the {number} {side}most {many}', f'the {side} {number} {many}',
             f'{side} {number} {many}', f'the {number} {many} to the {side}'))
    count = form[1]
    said = [f'all {many}', f'all the {many}', f'all of the {many}', many,
            f'the {many}', f'every {noun.one}', f'each {noun.one}']
    if noun.bare or noun.one == many:
        said = said[:5]
    if count == 2:
        said += [f'both {many}', f'the two {many}', f'both of the {many}',
                 f'two {many}']
    elif count in _NUMBERS:
        number = _NUMBERS[count]
        said += [f'the {number} {many}', f'all {number} {many}']
    return rng.choice(said)
