# Licensed under the Apache License, Version 2.0.
"""What is true of exactly one thing of a photo, or of a group of things."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from .colours import ColourShares, the_coloured
from .contacts import Contacts
from .geometry import (CLEAR, DIRECTIONS, NO, OPEN, YES, Relations,
                       find_leaders, find_places, find_sizes)
from .habits import GEAR, carries, contact_needed, may_have, rides, supports
from .layout import Layout
from .vocabulary import Noun, nouns_of

KINDS = ('category', 'place', 'size', 'relation', 'with', 'colour', 'plural',
         'no_target')
Group = tuple[int, ...]
# A landmark smaller than this share of the photo is not seen at once.
MARK_AREA = 0.003
_MAX_MARKS = 12
# From this share of the photo on, a thing alone of its kind is "the food" or
# "the furniture" whatever else of these lies about.
_OPEN_AREA = 0.12


@dataclass(frozen=True)
class Fact:
    """A description that holds for some things of a photo and no others.

    Attributes:
        kind (str): One of ``KINDS``.
        form (tuple): What is said, for :mod:`.phrasing`: ``('place',
            'left')``, ``('relation', 'next to')``.
        targets (tuple[int]): The things that it means.
        group (tuple[int]): The things that its noun means.
        mark (tuple[int]): The things that the landmark's noun means.
    """
    kind: str
    form: tuple
    targets: Group
    group: Group
    mark: Group = ()


class Words:
    """Which nouns mean which things of a photo.

    Args:
        layout (Layout): The photo.
        names_only (bool): Call each category by its name alone. Defaults to
            False.

    Attributes:
        groups (dict): For each group of things that some noun means, the
            nouns by the category of the thing they are used for.
    """

    def __init__(self, layout: Layout, names_only: bool = False) -> None:
        self.layout = layout
        self.groups: dict[Group, dict[str, list[Noun]]] = {}
        self._members: dict[frozenset[str], Group] = {}
        for category in dict.fromkeys(layout.category):
            for noun in nouns_of(category)[:1 if names_only else None]:
                group = self.members(noun.extension)
                if noun.open and not (len(group) == 1 and
                                      layout.area[group[0]] >= _OPEN_AREA):
                    continue
                self.groups.setdefault(group, {}).setdefault(
                    category, []).append(noun)

    def members(self, extension: frozenset[str]) -> Group:
        """The things of some categories."""
        if extension not in self._members:
            self._members[extension] = tuple(
                i for i, x in enumerate(self.layout.category)
                if x in extension)
        return self._members[extension]

    def nouns(self,
              group: Group,
              thing: int,
              open_too: bool = False) -> list[Noun]:
        """The nouns that mean this group and are said of this thing; none
        where it only makes the word ambiguous (a teddy bear and "animal").
        Words such as "food" are among them only if asked for."""
        found = self.groups[group].get(self.layout.category[thing], [])
        return [noun for noun in found if open_too or not noun.open]

    def any_nouns(self, rng: Random, group: Group) -> list[Noun]:
        """The nouns that mean this group, as said of one of its things."""
        found = rng.choice(list(self.groups[group].values()))
        return [noun for noun in found if not noun.open]


class FactFinder:
    """Finds all facts of a photo.

    Args:
        layout (Layout): The photo.
        colours (ColourShares, optional): Of its things, for kind 'colour'.
        names_only (bool): Without synonyms and words for several categories,
            where the file has many more categories than COCO: its goat is an
            "animal" too. Defaults to False.

    Example:
        >>> from mmrefseg.derived_refs import FactFinder, make_layout
        >>> things = [
        ...     dict(category_id=1, bbox=[x, 20, 20, 30], area=600,
        ...          segmentation=[[x, 20, x + 20, 20, x + 20, 50, x, 50]])
        ...     for x in (5, 60)]
        >>> photo = make_layout(
        ...     dict(id=1, width=100, height=100), things, {1: 'dog'})
        >>> facts = FactFinder(photo).find(('size', 'place'))
        >>> ('place', 'two left') in [fact.form for fact in facts]
        True
    """

    def __init__(self,
                 layout: Layout,
                 colours: ColourShares | None = None,
                 names_only: bool = False) -> None:
        self.layout = layout
        self.words = Words(layout, names_only)
        self.relations = Relations(layout)
        self.colours = colours
        self.contacts = Contacts(layout)

    def find(self, kinds: Iterable[str]) -> list[Fact]:
        """All facts of some kinds whose targets may be targets.

        Args:
            kinds (Iterable[str]): Of ``KINDS`` without 'no_target'.

        Returns:
            list[Fact]: In an order that depends on the photo alone.
        """
        found: list[Fact] = []
        finders = dict(
            category=self._category,
            place=self._place,
            size=self._size,
            relation=self._relation,
            colour=self._colour,
            plural=self._plural)
        finders['with'] = self._with
        kinds = [kind for kind in KINDS if kind in set(kinds)]
        for group in self.words.groups:
            for kind in kinds:
                if kind in finders:
                    found += finders[kind](group)
        return [
            fact for fact in found if fact.kind == 'plural' or (
                self.layout.target[fact.targets[0]]
                and self.words.nouns(fact.group, fact.targets[0]))
        ]

    def _category(self, group: Group) -> list[Fact]:
        if len(group) > 1:
            return []
        return [Fact('category', ('category', ), group, group)]

    def _place(self, group: Group) -> list[Fact]:
        at = list(group)
        return [
            Fact('place', ('place', place), (group[i], ), group)
            for place, i in find_places(self.layout.box[at],
                                        self.layout.crowd[at])
        ]

    def _size(self, group: Group) -> list[Fact]:
        at = list(group)
        return [
            Fact('size', ('size', size), (group[i], ), group)
            for size, i in find_sizes(self.layout.box[at], self.layout.
                                      area[at], self.layout.crowd[at])
        ]

    def marks(self, group: Group) -> list[Group]:
        """Single things outside of a group that a person would see."""
        layout = self.layout
        found: list[Group] = [
            mark for mark in self.words.groups
            if len(mark) == 1 and mark[0] not in group
            and not layout.crowd[mark[0]] and layout.area[mark[0]] >= MARK_AREA
        ]
        found.sort(key=lambda mark: -layout.area[mark[0]])
        return found[:_MAX_MARKS]

    def _relation(self, group: Group) -> list[Fact]:
        found = []
        if not self.layout.target[list(group)].any():
            return []
        for mark in self.marks(group):
            j = mark[0]
            names = ('next to', *DIRECTIONS)
            hits = [(name, self.relations.the_one(name, group, j))
                    for name in names]
            hits.append(self.the_one_on(group, j))
            hits.append(('under', self.the_one_under(group, j)))
            if len(group) > 1:
                hits.append(('closest', self.relations.closest(group, j)))
                hits.append(
                    ('farthest', self.relations.closest(group, j, True)))
            found += [
                Fact('relation', ('relation', name), (i, ), group, mark)
                for name, i in hits if i is not None
            ]
        return found

    def the_one_on(self, group: Group, mark: int) -> tuple[str, int | None]:
        """The one of a group that stands, lies or rides on a thing, if no
        other may, and which of these it does: 'on', 'riding' or 'standing
        on'."""
        category = self.layout.category
        yes = None
        for i in group:
            truth = NO
            if supports(category[i], category[mark]):
                truth = self.relations.on(i, mark)
            elif carries(category[i], category[mark]):
                truth = self.relations.rides(i, mark)
            elif self.relations.gap[i][mark] < 0.05:
                truth = OPEN
            if truth == OPEN or (truth == YES and yes is not None):
                return 'on', None
            if truth == YES:
                yes = i
        if yes is None:
            return 'on', None
        if carries(category[yes], category[mark]):
            return 'riding' if rides(
                category[yes], category[mark]) else 'standing on', yes
        return 'on', yes if self.contacts.rests_on(yes, mark) else None

    def the_one_under(self, group: Group, mark: int) -> int | None:
        """The one of a group that a thing rides, if no other may be it."""
        category = self.layout.category
        if not any(carries(category[mark], category[i]) for i in group):
            return None
        truths = [
            self.relations.rides(mark, i)
            if self.relations.gap[i][mark] < CLEAR else NO for i in group
        ]
        if OPEN in truths or truths.count(YES) != 1:
            return None
        return group[truths.index(YES)]

    def _with(self, group: Group) -> list[Fact]:
        if len(group) < 2:
            return []
        found = []
        category = self.layout.category
        for mark in self.words.groups:
            if not set(mark).isdisjoint(group):
                continue
            if all(
                    may_have(category[i], category[j]) for i in group
                    for j in mark):
                truths = [self._has(i, mark) for i in group]
                for name, truth in (('with', YES), ('without', NO)):
                    if truths.count(truth) != 1 or OPEN in truths:
                        continue
                    i = group[truths.index(truth)]
                    if truth == YES or self._plainly_without(i, group, mark):
                        found.append(
                            Fact('with', ('with', name), (i, ), group, mark))
            if len(mark) > 1:
                beside = self._beside_any(group, mark)
                if beside is not None:
                    found.append(
                        Fact('with', ('with', 'next to a'), (beside, ), group,
                             mark))
        return found

    def _has(self, i: int, marks: Group) -> int:
        """Truth of 'i has one of these with it', by boxes and masks."""
        category = self.layout.category
        truth = NO
        for j in marks:
            near = self.relations.has(i, j)
            if near == YES and self.contacts.around(i, j) < contact_needed(
                    category[i], category[j]):
                near = OPEN
            truth = max(truth, near)
        return truth

    def _plainly_without(self, i: int, group: Group, marks: Group) -> bool:
        """Whether one would see and annotate these if i had any: people's
        gear, and i is no smaller than those that have it."""
        layout = self.layout
        if layout.crowd[list(group)].any() or any(
                layout.category[k] != 'person' for k in group) or any(
                    layout.category[j] not in GEAR for j in marks):
            return False
        return bool(2 * layout.area[i] >= min(layout.area[k] for k in group
                                              if k != i))

    def _beside_any(self, group: Group, mark: Group) -> int | None:
        table = self.relations.tables['next to']
        yes = None
        for i in group:
            row = [table[i][j] for j in mark]
            if YES in row:
                if yes is not None:
                    return None
                yes = i
            elif OPEN in row:
                return None
        return yes

    def _colour(self, group: Group) -> list[Fact]:
        if self.colours is None:
            return []
        people = {self.layout.category[i] for i in group} == {'person'}
        return [
            Fact('colour', ('colour', colour, people), (group[i], ), group)
            for colour, i in the_coloured(self.colours.of(group), people)
        ]

    def _plural(self, group: Group) -> list[Fact]:
        layout, at = self.layout, list(group)
        if len(group) < 2 or layout.crowd[at].any() or not layout.target[
                at].any():
            return []
        found = [Fact('plural', ('all', len(group)), group, group)]
        for side, count, which in find_leaders(layout.box[at]):
            targets = tuple(sorted(group[i] for i in which))
            if layout.target[list(targets)].all():
                found.append(
                    Fact('plural', ('leaders', side, count), targets, group))
        return found


def pairs(finder: FactFinder) -> Sequence[Fact]:
    """Two things that are each alone of their kind: 'the cat and the dog'."""
    single = [
        group for group in finder.words.groups
        if len(group) == 1 and finder.layout.target[group[0]]
    ]
    return [
        Fact('plural', ('pair', ), tuple(sorted(one + other)), one, other)
        for n, one in enumerate(single) for other in single[n + 1:]
    ]
