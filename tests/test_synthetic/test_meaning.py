# Licensed under the Apache License, Version 2.0.
"""Every sentence of the synthetic scenes means exactly one object.

The reader below was written apart from the generator: it knows only the
words of a sentence and what a person sees (attributes, masks), and decides
by its own, simpler rules. Where a word can be read in two ways, both must
find the same object.
"""

import re

import numpy as np
import pytest

from mmrefseg.synthetic import KINDS, SPLITS, build_scene

WORDS = {
    'shape': 'circle square triangle star diamond cross'.split(),
    'colour': 'red green blue yellow purple orange white black'.split(),
    'size': 'small large'.split(),
    'pattern': 'plain striped'.split(),
}
FIELD = {word: field for field, words in WORDS.items() for word in words}
MEANS = {'big': 'large', 'stripes': 'striped', 'upper': 'top',
         'lower': 'bottom', 'center': 'middle', 'furthest': 'most',
         'nearest': 'most', 'closest': 'most', 'highest': 'topmost',
         'lowest': 'bottommost'}  # yapf: disable
FILLERS = set('a an the that is and with object thing shape one on at in to '
              'side of picture'.split())
SIDES = {'left': (0, -1), 'right': (0, 1), 'top': (1, -1), 'bottom': (1, 1)}


class Seen:
    """What a person sees of one object."""

    def __init__(self, mask, words):
        ys, xs = np.nonzero(mask)
        self.words = words
        self.centre = np.array([xs.mean() + 0.5, ys.mean() + 0.5]) / len(mask)
        self.low = np.array([xs.min(), ys.min()]) / len(mask)
        self.high = np.array([xs.max() + 1, ys.max() + 1]) / len(mask)

    def towards(self, side, edge=False):
        axis, sign = SIDES[side]
        if edge:
            return self.high[axis] if sign > 0 else 1 - self.low[axis]
        return self.centre[axis] if sign > 0 else 1 - self.centre[axis]


def look(scene):
    return [
        Seen(scene.mask(i), {o.shape, o.colour, o.size, o.pattern})
        for i, o in enumerate(scene.objects)
    ]


def split_words(text):
    """Attribute words and place words of a phrase."""
    attributes, places = set(), []
    for word in text.split():
        word = MEANS.get(word, word)
        if word in FIELD:
            attributes.add(word)
        elif word.endswith('most') and word != 'most':
            places += ['most', word[:-4]]
        elif word not in FILLERS:
            places.append(word)
    return attributes, places


def read(text, seen):
    """Sets of indices, one for each way to read the sentence."""
    related = re.fullmatch(
        r'(.+?) (?:that is )?(?:(?:to|on) the )?(left|right) of the (.+)',
        text) or re.fullmatch(
            r'(.+?) (?:that is )?(above|below) the (.+)', text)
    if related:
        first, relation, second = related.groups()
        wanted, extra = split_words(first)
        mark_words, mark_extra = split_words(second)
        assert not extra and not mark_extra, text
        marks = [s for s in seen if mark_words <= s.words]
        if len(marks) != 1:
            return [{i for i, s in enumerate(seen) if mark_words <= s.words}]
        side = {'above': 'top', 'below': 'bottom'}.get(relation, relation)
        return [{
            i
            for i, s in enumerate(seen)
            if wanted <= s.words and stands(s, marks[0], side, least, slope)
        } for least, slope in ((0.06, 2.0), (0.11, 0.9))]
    wanted, places = split_words(text)
    fits = {i: s for i, s in enumerate(seen) if wanted <= s.words}
    if not places:
        return [set(fits)]
    if places == ['middle']:
        away = {i: np.abs(s.centre - 0.5) for i, s in fits.items()}
        return [{i for i in fits if np.hypot(*away[i]) < limit}
                for limit in (0.16, 0.27)]
    sides = [place for place in places if place in SIDES]
    rest = set(places) - set(sides)
    assert rest <= {'most', 'far'} and 1 <= len(sides) <= 2, text
    if len(sides) == 2:
        deepest = max(fits,
                      key=lambda i: sum(fits[i].towards(s) for s in sides))
        return [{
            i
            for i, s in fits.items()
            if min(s.towards(side) for side in sides) > limit
        } for limit in (0.51, 0.59)] + [{deepest}]
    side = sides[0]
    first = max(fits, key=lambda i: fits[i].towards(side))
    if not rest:
        return [{first},
                {i for i, s in fits.items() if s.towards(side) > 0.61}]
    by_edge = max(fits, key=lambda i: fits[i].towards(side, edge=True))
    far = [] if rest == {'most'} else [{
        i
        for i, s in fits.items() if s.towards(side) > 0.6 and i == first
    }]
    return [{first}, {by_edge}, *far]


def stands(item, mark, side, least, slope):
    """Whether an object lies on a side of another one."""
    axis, sign = SIDES[side]
    step = (item.centre - mark.centre) * sign
    return step[axis] > least and abs(step[1 - axis]) < slope * step[axis]


@pytest.fixture(scope='module')
def scenes():
    """Some hundred scenes as (split, index, scene, sentences)."""
    return [(split, index, *build_scene(split, index, size=160, seed=seed)[:2])
            for split, seed, count in (('train', 0, 200), ('val', 0, 100),
                                       ('testB', 0, 60), ('train', 7, 40))
            for index in range(count)]


def test_every_sentence_means_its_object_and_no_other(scenes):
    count = 0
    for split, index, scene, sentences in scenes:
        seen = look(scene)
        for target, found in enumerate(sentences):
            for sentence in found:
                readings = read(sentence.text, seen)
                assert readings == [{target}] * len(readings), (
                    split, index, target, sentence.text, readings)
                count += 1
    assert count > 3000


@pytest.mark.parametrize('split, count', [('varied', 50), ('unseenA', 5),
                                          ('unseenB', 5)])
def test_sentences_stay_true_in_other_styles(split, count):
    """The reader sees other things too; they have none of the names."""
    told = 0
    for index in range(count):
        scene, sentences, _ = build_scene(split, index, size=160, seed=2)
        seen = look(scene)
        for target, found in enumerate(sentences):
            for sentence in found:
                readings = read(sentence.text, seen)
                assert all(x == {target} for x in readings), sentence.text
                told += 1
    assert told > 4 * count


def test_kinds_use_their_own_words(scenes):
    for _, _, _, sentences in scenes:
        for sentence in sum(sentences, []):
            words = set(sentence.text.split())
            relation = bool(words & {'above', 'below'}) or bool(
                re.search(r'(left|right) of', sentence.text))
            _, places = split_words(sentence.text)
            kind = ('relation' if relation else
                    'location' if places else 'appearance')
            assert sentence.kind == kind in KINDS, sentence.text


@pytest.mark.parametrize('one, other', [('left', 'right'),
                                        ('above', 'below'),
                                        ('top', 'bottom'),
                                        ('leftmost', 'rightmost'),
                                        ('small', 'large'),
                                        ('plain', 'striped'),
                                        ('circle', 'square')])
def test_reader_notices_a_changed_word(scenes, one, other):
    """Guards the guard: a reader that found the target whatever is said
    would prove nothing."""
    swap = {one: other, other: one}
    same, count = 0, 0
    for _, _, scene, sentences in scenes[:150]:
        seen = look(scene)
        for sentence in sum(sentences, []):
            words = sentence.text.split()
            changed = ' '.join(swap.get(w, w) for w in words)
            if changed == sentence.text:
                continue
            count += 1
            if any(s.words >= split_words(changed)[0] for s in seen):
                same += read(changed, seen) == read(sentence.text, seen)
    assert count > 20
    # About a fifth of the places are said of an object that is the only one
    # of its noun, and a changed landmark may lie on the same side.
    assert same <= 0.3 * count


def test_scenes_of_different_splits_and_seeds_differ():
    layouts = set()
    for seed in (0, 1):
        for split in SPLITS:
            for index in range(5):
                scene, _, _ = build_scene(split, index, size=96, seed=seed)
                layouts.add(tuple(o.centre for o in scene.objects))
    assert len(layouts) == 2 * len(SPLITS) * 5
