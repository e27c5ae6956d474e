# Licensed under the Apache License, Version 2.0.
"""A slow second opinion on sentences: whether a photo bears them out.

It shares no line with the package. Each object is drawn as pixels, nouns are
looked up by their text, and each thing that the noun may mean is asked in
turn whether it fits. A sentence passes if the target fits, and if whatever
else the noun means clearly does not: with a weaker margin than the package
asks for, but never zero.
"""

import re

MIRROR = {'left': 'right', 'right': 'left', 'top': 'bottom', 'bottom': 'top'}


def read_vocabulary(nouns):
    """What each noun means, and a pattern that finds the longest ones."""
    words = {}
    for each in nouns:
        for text in (each.one, each.many):
            words.setdefault(text, set()).update(each.extension)
    longest_first = sorted(words, key=len, reverse=True)
    return words, re.compile(
        rf'(?<![\w-])({"|".join(map(re.escape, longest_first))})(?![\w-])')


class Photo:
    """Objects as the pixels of their masks."""

    def __init__(self, layout, vocabulary):
        self.n = len(layout)
        self.names = list(layout.category)
        self.crowd = [bool(x) for x in layout.crowd]
        self.masks = [layout.mask(i) for i in range(self.n)]
        self.height, self.width = layout.height, layout.width
        self.edges, self.middles, self.pixels = [], [], []
        for mask in self.masks:
            rows = [y for y in range(self.height) if mask[y].any()]
            columns = [x for x in range(self.width) if mask[:, x].any()]
            left, right = columns[0], columns[-1] + 1
            top, bottom = rows[0], rows[-1] + 1
            self.edges.append(
                dict(
                    left=left / self.width,
                    right=1 - right / self.width,
                    top=top / self.height,
                    bottom=1 - bottom / self.height))
            self.middles.append(((left + right) / 2 / self.width,
                                 (top + bottom) / 2 / self.height))
            self.pixels.append(int(mask.sum()))
        self.root = (self.width * self.height)**0.5
        self.words, self.pattern = vocabulary

    def meant(self, text):
        """Sets of objects that the nouns in a text mean, in its order."""
        return [{i
                 for i in range(self.n)
                 if self.names[i] in self.words[word]}
                for word in self.pattern.findall(text.lower())]

    def from_side(self, i, side):
        """How far the middle of an object is from a side of the photo."""
        x, y = self.middles[i]
        return dict(left=x, right=1 - x, top=y, bottom=1 - y)[side]

    def gap(self, i, j):
        """Distance of two boxes, in pixels by the photo's root."""
        one, other = self.edges[i], self.edges[j]
        across = max(one['left'] - (1 - other['right']),
                     other['left'] - (1 - one['right']), 0) * self.width
        down = max(one['top'] - (1 - other['bottom']),
                   other['top'] - (1 - one['bottom']), 0) * self.height
        return (across**2 + down**2)**0.5 / self.root

    def apart(self, i, j):
        (x, y), (u, v) = self.middles[i], self.middles[j]
        return (((x - u) * self.width)**2 + (
            (y - v) * self.height)**2)**0.5 / self.root


def place_holds(photo, name, i, others):
    """Whether a place is the target's and nobody else's."""
    *first, side = name.split()
    if name == 'middle':
        xs = sorted(photo.middles[k][0] for k in (i, *others))
        return len(others) == 2 and photo.middles[i][0] == xs[1] and min(
            xs[1] - xs[0], xs[2] - xs[1]) > 0.05
    if name == 'centre':
        away = [
            max(abs(photo.middles[k][0] - 0.5), abs(photo.middles[k][1] - 0.5))
            for k in (i, *others)
        ]
        return away[0] < 0.15 and all(x > away[0] + 0.05 for x in away[1:])
    if first and first[-1] in ('top', 'bottom'):
        own = max(photo.from_side(i, x) for x in (first[-1], side))
        rest = [max(photo.from_side(k, x) for x in (first[-1], side))
                for k in others if not photo.crowd[k]]
        limit = 0.3 if first[0] == 'corner' else 0.42
        return own < limit and all(x > 0.48 for x in rest)
    own = photo.from_side(i, side)
    rest = [photo.edges[k][side] if photo.crowd[k] else
            photo.from_side(k, side) for k in others]
    if first and first[0] in ('second', 'third', 'fourth'):
        before = [x for x in rest if x < own]
        return len(before) == ('second', 'third', 'fourth').index(
            first[0]) + 1 and all(abs(x - own) > 0.05 for x in rest)
    if first == ['half']:
        far = 1 - photo.edges[i][MIRROR[side]]
        return far < 0.58 and all(x > 0.54 for x in rest)
    if not first and not rest:
        return own < 0.4
    ahead = all(own < x - 0.06 for x in rest) and all(
        photo.edges[i][side] < photo.edges[k][side] for k in others)
    if first == ['two']:
        return len(others) == 1 and ahead
    if first == ['far']:
        return ahead and own < 0.32 and photo.edges[i][side] < 0.1
    if first == ['most']:
        return ahead
    return ahead and own < 0.45 and all(x > 0.45 or x > own + 0.2
                                        for x in rest)


def size_holds(photo, name, i, others):
    if name in ('larger', 'smaller') and len(others) != 1:
        return False
    if name in ('largest', 'larger'):
        return all(photo.pixels[i] > 1.35 * photo.pixels[k] for k in others)
    return not any(photo.crowd[k] for k in others) and all(
        1.35 * photo.pixels[i] < photo.pixels[k] for k in others)


def stands(photo, name, i, j):
    """Whether i stands so to j: 'yes', 'no', or 'open'."""
    if name == 'next to':
        gap = photo.gap(i, j)
        return 'yes' if gap < 0.06 else 'no' if gap > 0.12 else 'open'
    axis = 0 if name in ('left', 'right') else 1
    sign = -1 if name in ('left', 'above') else 1
    scale = (photo.width, photo.height)
    along, aside = ((photo.middles[i][k] - photo.middles[j][k]) * scale[k] /
                    photo.root for k in (axis, 1 - axis))
    along *= sign
    if along > 0.08 and abs(aside) < along:
        return 'yes'
    return 'no' if along < 0.05 or abs(aside) > 2 * along else 'open'


def relation_holds(photo, name, i, others, j):
    if name in ('closest', 'farthest'):
        own = photo.apart(i, j)
        rest = [photo.gap(k, j) if photo.crowd[k] else photo.apart(k, j)
                for k in others]
        return bool(others) and (
            all(own * 1.25 < x for x in rest) if name == 'closest' else
            all(own > 1.25 * x for x in rest))
    if name in ('on', 'riding', 'standing on', 'under'):
        near = [k for k in others if photo.gap(k, j) < 0.025]
        return photo.gap(i, j) < 0.045 and not near
    return stands(photo, name, i, j) == 'yes' and all(
        stands(photo, name, k, j) == 'no' for k in others)


def with_holds(photo, name, i, others, marks):
    if name == 'next to a':
        near = any(stands(photo, 'next to', i, j) == 'yes' for j in marks)
        return near and not any(
            stands(photo, 'next to', k, j) == 'yes' for k in others
            for j in marks)
    touching = [k for k in (i, *others)
                if any(photo.gap(k, j) < 0.05 for j in marks)]
    if name == 'with':
        return touching == [i]
    return i not in touching and set(touching) == set(others)


def bears_out(photo, ref):
    """Whether the photo bears a sentence with targets out."""
    form, targets = ref.fact.form, set(ref.targets)
    meant = photo.meant(ref.text)
    if form[0] == 'pair':
        return len(meant) == 2 and all(len(x) == 1 for x in meant) and (
            meant[0] | meant[1] == targets)
    if not meant or not targets <= meant[0]:
        return False
    group = meant[0]
    if form[0] == 'all':
        return targets == group and len(group) > 1
    if form[0] == 'leaders':
        rest = [photo.from_side(k, form[1]) for k in group - targets]
        return len(targets) == form[2] and bool(rest) and max(
            photo.from_side(k, form[1]) for k in targets) < min(rest) - 0.1
    i, = targets
    others = sorted(group - targets)
    if photo.crowd[i]:
        return False
    if form[0] == 'category':
        return not others
    if form[0] == 'place':
        return place_holds(photo, form[1], i, others)
    if form[0] == 'size':
        return size_holds(photo, form[1], i, others)
    if len(meant) != 2:
        return False
    if form[0] == 'with':
        return with_holds(photo, form[1], i, others, sorted(meant[1]))
    return len(meant[1]) == 1 and relation_holds(photo, form[1], i, others,
                                                 *meant[1])


def fits_nothing(photo, ref):
    """Whether plainly nothing fits a no-target sentence."""
    meant = photo.meant(ref.text)
    if not meant:
        return False
    text = ref.text.lower()
    if ref.wrong == 'category':
        return not meant[0]
    if ref.wrong == 'place':
        side, = {
            dict(upper='top', lower='bottom').get(x, x)
            for x in re.findall(r'left|right|top|bottom|upper|lower', text)}
        return all(photo.from_side(i, side) > 0.6 for i in meant[0])
    if ref.wrong == 'relation':
        return len(meant) == 2 and (not meant[1] or all(
            photo.gap(i, j) > 0.2 for i in meant[0] for j in meant[1]))
    return False
