# Licensed under the Apache License, Version 2.0.
"""From what is meant to what people say: many phrasings of each form."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from . import wording
from .vocabulary import Noun, article


@dataclass(frozen=True)
class NounPhrase:
    """Words that mean something.

    Attributes:
        words (str): Without an article.
        the (str): 'the ' where it may stand before, otherwise empty.
        verb (str): 'is' or 'are'.
        needs_the (bool): Without it, it means something else: "left of the
            two dogs" is no dog.
        a (bool): Whether 'a' may stand before.
    """
    words: str
    the: str = 'the '
    verb: str = 'is'
    needs_the: bool = False
    a: bool = False


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


def _fill(words: str, noun: Noun) -> str:
    """Pronoun and verb that go with a noun."""
    who = 'who' if noun.extension == {'person'} else 'that'
    has = 'has' if noun.verb == 'is' else 'have'
    return words.replace('{who}', who).replace('{is}', noun.verb).replace(
        '{has}', has)


def _place(rng: Random, place: str) -> tuple[str, str]:
    """Words before and after the noun."""
    pick = rng.choice
    if place == 'middle':
        return (pick(wording.MIDDLE_BEFORE), '') if rng.random() < 0.5 else (
            '', pick(wording.MIDDLE_AFTER))
    if place == 'centre':
        return (pick(wording.CENTRE_BEFORE), '') if rng.random() < 0.3 else (
            '', pick(wording.CENTRE_AFTER))
    *first, side = place.split()
    if first in ([], ['two']):
        if rng.random() < 0.45:
            return pick(wording.SIDE_BEFORE[side]), ''
        return '', pick(wording.SIDE_AFTER[side])
    if first == ['most']:
        if rng.random() < 0.65:
            return pick(wording.MOST_BEFORE[side]), ''
        return '', pick(wording.MOST_AFTER[side])
    if first == ['far']:
        if rng.random() < 0.4:
            return f'far {side}', ''
        return '', pick(wording.FAR_AFTER).replace('{x}', side)
    if first == ['half']:
        half = pick(wording.HALF[side])
        return '', pick(wording.HALF_AFTER).replace('{x}', half)
    if first[0] in wording.ORDINALS:
        ordinal = pick(wording.ORDINALS[first[0]])
        counted = pick(wording.ORDINAL_FROM).replace('{x}', side)
        if rng.random() < 0.3:
            return '', f'{ordinal} {counted}'
        return ordinal, counted
    corner = pick(wording.CORNER[first[-1]]).replace('{x}', side)
    if first[0] == 'corner':
        return '', pick(wording.IN_CORNER).replace('{c}', corner)
    if rng.random() < 0.35:
        return corner, ''
    return '', pick(wording.CORNER_AFTER).replace('{c}', corner)


def _about(rng: Random, form: tuple) -> tuple[str, str]:
    """Words before and after the noun."""
    kind = form[0]
    if kind == 'category':
        return ('only' if rng.random() < 0.05 else ''), ''
    if kind == 'size':
        if rng.random() < 0.8:
            return rng.choice(wording.SIZE_BEFORE[form[1]]), ''
        return '', rng.choice(wording.SIZE_AFTER[form[1]])
    if kind == 'colour':
        colour, clothes = form[1], form[2]
        if colour == 'grey' and rng.random() < 0.5:
            colour = 'gray'
        if not clothes and rng.random() < 0.8:
            return colour, ''
        after = rng.choice(
            wording.CLOTHES if clothes else wording.COLOUR_AFTER)
        return '', after.replace('{x}', colour)
    return _place(rng, form[1])


def _of_two(rng: Random, form: tuple, noun: Noun) -> NounPhrase:
    """'left one of the two dogs'."""
    if form[0] == 'size':
        word = rng.choice(wording.SIZE_BEFORE[form[1]][:2])
    else:
        word = form[1].split()[1]
    one = rng.choice((' one', ''))
    two = rng.choice(('two ', 'two ', ''))
    return NounPhrase(
        f'{word}{one} of the {two}{noun.many}', needs_the=not one)


def _with_mark(rng: Random, form: tuple, noun: Noun,
               mark: Noun) -> NounPhrase:
    """'dog to the left of the cat'."""
    kind, name = form
    if name == 'closest' and not noun.bare and rng.random() < 0.2:
        the_mark = mark.one if mark.bare else f'the {mark.one}'
        return NounPhrase(
            f'{rng.choice(wording.CLOSEST_BEFORE)} {noun.one} to {the_mark}',
            verb=noun.verb)
    table = wording.RELATION if kind == 'relation' else wording.WITH
    words = _fill(rng.choice(table[name]), noun)
    if kind == 'relation':
        other = mark.one if mark.bare else f'the {mark.one}'
    elif words.endswith(wording.NO_ARTICLE_AFTER):
        other = mark.one
    else:
        other = mark.a
    return NounPhrase(
        f'{noun.one} {words} {other}',
        the='' if noun.bare else 'the ',
        verb=noun.verb,
        a=noun.counted and not noun.bare
        and name not in ('closest', 'farthest'))


def _fits(form: tuple, noun: Noun, before: str, after: str) -> bool:
    """Whether a noun can be said with these words."""
    if noun.bare and before:
        return False
    if noun.counted:
        return before != 'only' or not noun.open
    ordinal = form[0] == 'place' and form[1].split()[0] in wording.ORDINALS
    return not (ordinal or form[0] == 'size' or before == 'only'
                or 'two' in after or 'three' in after)


def _single(rng: Random, form: tuple, noun: Noun,
            mark: Noun | None) -> NounPhrase | None:
    """A phrase for one thing, or None where this noun cannot say it."""
    if form[0] in ('relation', 'with'):
        assert mark is not None
        return _with_mark(rng, form, noun, mark)
    two = form[0] == 'place' and form[1].startswith('two ') or (
        form[0] == 'size' and form[1] in ('larger', 'smaller'))
    countable = noun.counted and not noun.bare
    if two and countable and rng.random() < 0.4:
        return _of_two(rng, form, noun)
    for _ in range(20):
        before, after = _about(rng, form)
        if _fits(form, noun, before, after):
            words = ' '.join(
                x for x in (before, noun.one, _fill(after, noun)) if x)
            return NounPhrase(
                words,
                the='' if noun.bare else 'the ',
                verb=noun.verb,
                a=countable and not before and (
                    form[0] in ('category', 'colour')
                    or form[0] == 'place' and form[1] in wording.SIDE_AFTER))
    return None


def phrase(rng: Random,
           form: tuple,
           noun: Noun,
           *,
           mark: Noun | None = None,
           exists: bool = True) -> str:
    """A sentence for a form.

    Args:
        rng (Random): Chooses the words.
        form (tuple): Of a :class:`~mmrefseg.derived_refs.facts.Fact`.
        noun (Noun): For the target.
        mark (Noun, optional): For the landmark.
        exists (bool): Whether it may be told that there is such a thing.

    Returns:
        str: The sentence; an empty one where this noun cannot say it.

    Example:
        >>> from random import Random
        >>> from mmrefseg.derived_refs.phrasing import phrase
        >>> from mmrefseg.derived_refs.vocabulary import nouns_of
        >>> text = phrase(Random(1), ('place', 'left'), nouns_of('dog')[0])
        >>> 'left' in text and 'dog' in text
        True
    """
    if form[0] in ('all', 'leaders', 'pair'):
        said = _several(rng, form, noun, mark)
    else:
        said = _single(rng, form, noun, mark)
    if said is None:
        return ''
    text = _sentence(rng, said, exists)
    text = text.replace('{photo}', rng.choice(wording.PHOTOS))
    finish = rng.random()
    if finish < 0.06:
        text = text[0].upper() + text[1:]
    if finish < 0.03 and not text.endswith('?'):
        text += '.'
    return text


def _sentence(rng: Random, said: NounPhrase, exists: bool) -> str:
    """A request, a statement, or the phrase alone."""
    full = said.the + said.words
    style = rng.random()
    # "in the left half of the photo in this photo" is nothing to say.
    again = '{photo}' in said.words
    if style < 0.22 or (style < 0.26 and not again):
        table = wording.REQUESTS if style < 0.22 else wording.STATEMENTS
        usable = [x for x in table if not (again and '{photo}' in x)]
        return rng.choice(usable).replace('{is}', said.verb).replace(
            '{np}', full)
    indefinite = f'{article(said.words)} {said.words}'
    if style < 0.28 and said.a and exists and said.verb == 'is':
        return rng.choice(wording.EXISTS).replace('{a}', indefinite)
    if style < 0.62 or said.needs_the:
        return full
    if style < 0.67 and said.a:
        return indefinite
    return said.words


def _several(rng: Random, form: tuple, noun: Noun,
             mark: Noun | None) -> NounPhrase | None:
    """A phrase for several things."""
    many, verb = noun.many, noun.verb_many
    if form[0] == 'pair':
        assert mark is not None
        nouns = [noun, mark]
        rng.shuffle(nouns)
        the = '' if rng.random() < 0.3 else 'the '
        one, other = (x.one if x.bare else the + x.one for x in nouns)
        return NounPhrase(
            rng.choice((f'{one} and {other}', f'{one} and {other}',
                        f'both {one} and {other}',
                        f'{one} together with {other}',
                        f'{one} as well as {other}', f'{one} plus {other}')),
            the='',
            verb='are')
    if form[0] == 'leaders':
        if not noun.counted:
            return None
        side, number = form[1], wording.NUMBERS[form[2]]
        return NounPhrase(
            rng.choice((f'{number} {many} on the {side}',
                        f'{number} {side}most {many}',
                        f'{side} {number} {many}',
                        f'{number} {many} to the {side}',
                        f'{number} {many} on {side}',
                        f'{number} {many} furthest {side}',
                        f'first {number} {many} from the {side}')),
            verb='are')
    said = [NounPhrase(many, verb=verb)] * 2 + [
        NounPhrase(x, the='', verb=verb)
        for x in (f'all {many}', f'all the {many}', f'all of the {many}')
    ]
    if noun.counted and not noun.bare:
        said += [
            NounPhrase(f'{x} {noun.one}', the='') for x in ('every', 'each')
        ]
        count = form[1]
        number = wording.NUMBERS.get(count, '')
        if count == 2:
            said += [
                NounPhrase(x, the='', verb='are')
                for x in (f'both {many}', f'both of the {many}')
            ]
        elif number:
            said.append(NounPhrase(f'all {number} {many}', the='', verb='are'))
        if number:
            said += [NounPhrase(f'{number} {many}', verb='are')] * 2
    return rng.choice(said)
