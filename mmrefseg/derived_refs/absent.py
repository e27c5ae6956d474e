# Licensed under the Apache License, Version 2.0.
"""Sentences that nothing in the photo fits: the category is absent, or the
place, the colour or the relation of what is there is plainly another."""

from collections.abc import Mapping
from random import Random

from .colours import absent_colours
from .facts import FactFinder
from .habits import carries, may_have, supports
from .phrasing import choose_noun, phrase
from .vocabulary import near_misses, nouns_of, too_like

WRONG = ('category', 'place', 'colour', 'relation')
_OTHER = {'left': 'right', 'right': 'left', 'top': 'bottom', 'bottom': 'top'}
# So far on the other side, and so far apart, that nobody sees it otherwise.
_ELSEWHERE, _EDGE = 0.66, 0.5
_APART = 0.22
_TRIES = 12
_NEAR_SHARE = 0.5


class AbsentFinder:
    """Makes no-target sentences about a photo.

    Args:
        finder (FactFinder): Of the photo.
        frequencies (Mapping[str, float]): How often each category of the
            file should be named where it is absent.
    """

    def __init__(self, finder: FactFinder,
                 frequencies: Mapping[str, float]) -> None:
        self.finder = finder
        self.layout = finder.layout
        self.present = set(self.layout.category)
        self.missing = {
            name: weight
            for name, weight in frequencies.items()
            if name not in self.present and not too_like(name, self.present)
        }
        near = near_misses(self.present)
        self.near = {x: w for x, w in self.missing.items() if x in near}

    def make(self, rng: Random) -> tuple[str, str] | None:
        """A sentence and what is wrong with it, or None if none was found."""
        for _ in range(_TRIES):
            wrong = rng.choices(WRONG, (5, 2, 1.5, 2.5))[0]
            text = getattr(self, f'_{wrong}')(rng)
            if text:
                return text, wrong
        return None

    def _missing_noun(self, rng: Random):
        pool = self.missing
        if self.near and rng.random() < _NEAR_SHARE:
            pool = self.near
        if not pool:
            return None
        names = list(pool)
        category = rng.choices(names, [pool[x] for x in names])[0]
        # Nobody calls a thing that is there so.
        nouns = [
            noun for noun in nouns_of(category)
            if not (noun.open or self.finder.words.members(noun.extension))
        ]
        return (category, choose_noun(rng, nouns)) if nouns else None

    def _mark(self, rng: Random, group: tuple[int, ...] = ()):
        """A landmark that is there, with a noun for it."""
        marks = self.finder.marks(group)
        if not marks:
            return None
        mark = rng.choice(marks)
        return mark[0], choose_noun(rng,
                                    self.finder.words.any_nouns(rng, mark))

    def _category(self, rng: Random) -> str:
        found = self._missing_noun(rng)
        if found is None:
            return ''
        noun = found[1]
        u = rng.random()
        mark = self._mark(rng)
        if u < 0.3 or (u >= 0.75 and mark is None):
            return phrase(rng, ('category', ), noun, exists=False)
        if u < 0.65:
            side = rng.choice(
                ('left', 'right', 'left', 'right', 'top', 'bottom'))
            far = 'far' if side in ('left', 'right') else 'most'
            place = rng.choice((side, side, f'most {side}', f'half {side}',
                                f'{far} {side}', f'two {side}', 'centre',
                                'middle'))
            return phrase(rng, ('place', place), noun, exists=False)
        if u < 0.75 or mark is None:
            size = rng.choice(('largest', 'smallest', 'larger', 'smaller'))
            return phrase(rng, ('size', size), noun, exists=False)
        name = rng.choice(('next to', 'left', 'right', 'above', 'below',
                           'closest'))
        return phrase(
            rng, ('relation', name), noun, mark=mark[1], exists=False)

    def _group(self, rng: Random, singles: bool = False):
        """A group of things that are all well seen, with a noun."""
        layout = self.layout
        groups = [
            group for group in self.finder.words.groups
            if not layout.crowd[list(group)].any() and layout.target[list(
                group)].any() and not (singles and len(group) > 1)
        ]
        if not groups:
            return None
        group = rng.choice(groups)
        return group, choose_noun(rng,
                                  self.finder.words.any_nouns(rng, group))

    def _place(self, rng: Random) -> str:
        found = self._group(rng)
        if found is None:
            return ''
        group, noun = found
        side = rng.choice(('left', 'right', 'left', 'right', 'top', 'bottom'))
        axis = 0 if side in ('left', 'right') else 1
        for i in group:
            low, high = self.layout.box[i, [axis, axis + 2]]
            if side in ('right', 'bottom'):
                low, high = 1 - high, 1 - low
            if (low + high) / 2 < _ELSEWHERE or low < _EDGE:
                return ''
        # Of several, one is still the leftmost of them.
        place = side if len(group) == 1 and rng.random() < 0.7 else (
            f'half {side}')
        return phrase(rng, ('place', place), noun, exists=False)

    def _colour(self, rng: Random) -> str:
        colours = self.finder.colours
        found = self._group(rng)
        if colours is None or found is None:
            return ''
        group, noun = found
        people = {self.layout.category[i] for i in group} == {'person'}
        names = absent_colours(colours.of(group), people)
        if not names:
            return ''
        form = ('colour', rng.choice(names), people)
        return phrase(rng, form, noun, exists=False)

    def _relation(self, rng: Random) -> str:
        found = self._group(rng)
        if found is None:
            return ''
        group, noun = found
        category = self.layout.category
        mark = self._mark(rng, group)
        if mark is not None and rng.random() < 0.5:
            j, other = mark
            if any(self.finder.relations.gap[i][j] < _APART for i in group):
                return ''
            said = ['next to', 'next to']
            if all(
                    supports(category[i], category[j])
                    or carries(category[i], category[j]) for i in group):
                said.append('on')
            return phrase(
                rng, ('relation', rng.choice(said)),
                noun,
                mark=other,
                exists=False)
        # with something, or next to something, that is not there at all
        missing = self._missing_noun(rng)
        if missing is None:
            return ''
        if all(may_have(category[i], missing[0]) for i in group):
            form: tuple = ('with', 'with')
        else:
            form = ('relation', rng.choice(('next to', 'left', 'right')))
        return phrase(rng, form, noun, mark=missing[1], exists=False)
