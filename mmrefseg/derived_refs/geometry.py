# Licensed under the Apache License, Version 2.0.
"""Where things are: facts that hold with a margin.

Each function looks at things that one noun means, and tells what is true of
exactly one of them whoever looks: the leftmost one is ahead by its centre and
by its edge, whatever is not the target is clearly not. Between yes and no
lies a gap, and a fact with anything in the gap is no fact. A crowd region
stands for things at unknown places in its box.
"""

import numpy as np

from .habits import supports
from .layout import Layout

NO, OPEN, YES = 0, 1, 2

SIDES = ('left', 'right', 'top', 'bottom')
# Ahead of the next: by the centre, by the edge.
MOST_LEAD, MOST_EDGE, MOST_FAR = 0.08, 0.02, 0.01
TWO_LEAD = 0.15
SIDE_YES, SIDE_NO, SIDE_LEAD, SIDE_BEHIND = 0.42, 0.48, 0.12, 0.27
ALONE_YES = 0.36
FAR_YES, FAR_EDGE, FAR_LEAD = 0.30, 0.08, 0.20
HALF_YES, HALF_EDGE, HALF_NO = 0.40, 0.56, 0.56
CORNER_YES, CORNER_NO, CORNER_LEAD = 0.40, 0.50, 0.06
IN_CORNER, IN_CORNER_EDGE = 0.27, 0.08
CENTRE_YES, CENTRE_NO = 0.13, 0.27
ORDER_GAP, ORDER_EDGE, ORDER_MAX = 0.07, 0.01, 6
MIDDLE_GAP, MIDDLE_ROW = 0.10, 0.25
SIZE_RATIO, BOX_RATIO, TWO_SIZE_RATIO = 1.5, 1.2, 1.8
# What the photo's border or another of its kind may hide is not called small.
AT_BORDER, HIDDEN = 0.01, 0.3
ORDINALS = ('second', 'third', 'fourth')


def _seen_from(box: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Near and far edge of each box, counted from a side of the photo."""
    axis = 0 if side in ('left', 'right') else 1
    near, far = box[:, axis], box[:, axis + 2]
    if side in ('right', 'bottom'):
        near, far = 1 - far, 1 - near
    return near, far


def find_places(box: np.ndarray,
                crowd: np.ndarray) -> list[tuple[str, int]]:
    """What place in the photo, or among the others, is one thing's alone.

    Args:
        box (np.ndarray): ``n x 4``, shares of the photo, of all things that
            the noun means.
        crowd (np.ndarray): ``n``, bool.

    Returns:
        list[tuple[str, int]]: Places, each with the index of its thing:
        a side ('left'), 'most left', 'far left', 'half left', 'two left' (of
        two), 'second left' (from the left), 'top left', 'corner top left'
        (within the corner), 'middle' (of three), 'centre' (of the photo).
    """
    n = len(box)
    found: list[tuple[str, int]] = []
    for side in SIDES:
        near, far = _seen_from(box, side)
        centre = (near + far) / 2
        if n == 1:
            if not crowd[0] and centre[0] <= ALONE_YES:
                found.append((side, 0))
                if far[0] <= HALF_EDGE:
                    found.append((f'half {side}', 0))
            continue
        low = np.where(crowd, near, centre)
        order = np.argsort(low)
        i = int(order[0])
        if crowd[i]:
            continue
        rest = np.arange(n) != i
        lead = low[rest].min() - centre[i]
        edge = near[rest].min() - near[i]
        # Who stands behind a table, head and all, is not "the bottom one".
        beyond = np.where(crowd, 1., far)[rest].min() - far[i]
        if lead >= MOST_LEAD and edge >= MOST_EDGE and beyond >= MOST_FAR:
            found.append((f'most {side}', i))
            others = low[rest]
            if side in SIDES[:2] and lead >= FAR_LEAD and (
                    centre[i] <= FAR_YES and near[i] <= FAR_EDGE):
                found.append((f'far {side}', i))
            if lead >= SIDE_LEAD and centre[i] <= SIDE_YES and (
                (others >= SIDE_NO) |
                (others - centre[i] >= SIDE_BEHIND)).all():
                found.append((side, i))
            if n == 2 and not crowd.any() and lead >= TWO_LEAD and (
                    far[rest][0] - far[i] >= MOST_EDGE):
                found.append((f'two {side}', i))
            if centre[i] <= HALF_YES and far[i] <= HALF_EDGE and (
                    others >= HALF_NO).all():
                found.append((f'half {side}', i))
        if side in SIDES[:2] and 3 <= n <= ORDER_MAX and not crowd.any():
            found += _ordinals(side, centre, near)
    found += _corners(box, crowd)
    found += _middles(box, crowd)
    return found


def _ordinals(side: str, centre: np.ndarray,
              near: np.ndarray) -> list[tuple[str, int]]:
    order = np.argsort(centre)
    gaps = np.diff(centre[order]) >= ORDER_GAP
    edges = np.diff(near[order]) >= ORDER_EDGE
    clear = gaps & edges
    found = []
    for k, word in enumerate(ORDINALS, 1):
        # Beyond the middle it is counted from the other side.
        if k > (len(order) - 1) / 2 or not clear[:k + 1].all():
            break
        found.append((f'{word} {side}', int(order[k])))
    return found


def _corners(box: np.ndarray, crowd: np.ndarray) -> list[tuple[str, int]]:
    found = []
    for vertical in SIDES[2:]:
        near_y, far_y = _seen_from(box, vertical)
        for horizontal in SIDES[:2]:
            near_x, far_x = _seen_from(box, horizontal)
            x, y = (near_x + far_x) / 2, (near_y + far_y) / 2
            away = np.maximum(
                np.where(crowd, near_x, x), np.where(crowd, near_y, y))
            total = np.where(crowd, near_x + near_y, x + y) / 2
            i = int(np.argmin(total))
            if crowd[i] or max(x[i], y[i]) > CORNER_YES:
                continue
            rest = np.arange(len(box)) != i
            if (away[rest] >= CORNER_NO).all() and (
                    total[rest] >= total[i] + CORNER_LEAD).all():
                found.append((f'{vertical} {horizontal}', i))
                if max(x[i], y[i]) <= IN_CORNER and max(
                        near_x[i], near_y[i]) <= IN_CORNER_EDGE:
                    found.append((f'corner {vertical} {horizontal}', i))
    return found


def _middles(box: np.ndarray, crowd: np.ndarray) -> list[tuple[str, int]]:
    n = len(box)
    if n < 2 or crowd.any():
        return []
    x, y = (box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2
    found = []
    order = np.argsort(x)
    between = int(order[n // 2]) if n % 2 else -1
    nearest = int(np.argmin(abs(x - 0.5)))
    if n == 3 and between == nearest and (np.diff(x[order]) >=
                                          MIDDLE_GAP).all() and (
                                              np.ptp(y) <= MIDDLE_ROW):
        found.append(('middle', between))
    away = np.hypot(x - 0.5, y - 0.5)
    i = int(np.argmin(away))
    rest = np.arange(n) != i
    if away[i] <= CENTRE_YES and (away[rest] >= CENTRE_NO).all() and (
            n != 3 or between == i):
        found.append(('centre', i))
    return found


def find_sizes(box: np.ndarray, area: np.ndarray,
               crowd: np.ndarray) -> list[tuple[str, int]]:
    """What size, compared with the others, is one thing's alone.

    Args:
        box (np.ndarray): ``n x 4``, shares of the photo.
        area (np.ndarray): ``n``, shares of the photo.
        crowd (np.ndarray): ``n``, bool.

    Returns:
        list[tuple[str, int]]: 'largest', 'smallest'; of two, 'larger' and
        'smaller'; each with the index of its thing.
    """
    n = len(box)
    if n < 2:
        return []
    extent = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    found = []
    for word, two, sign in (('largest', 'larger', 1), ('smallest', 'smaller',
                                                       -1)):
        if sign < 0 and crowd.any():
            break
        i = int(np.argmax(sign * area))
        rest = np.arange(n) != i
        if crowd[i] or (sign < 0 and _in_part(box, i)):
            continue
        if sign > 0:
            ratio = area[i] / max(area[rest].max(), 1e-9)
            boxes = extent[i] / max(extent[rest].max(), 1e-9)
        else:
            ratio = area[rest].min() / max(area[i], 1e-9)
            boxes = extent[rest].min() / max(extent[i], 1e-9)
        if ratio >= SIZE_RATIO and boxes >= BOX_RATIO:
            found.append((word, i))
            if n == 2 and ratio >= TWO_SIZE_RATIO:
                found.append((two, i))
    return found


def _in_part(box: np.ndarray, i: int) -> bool:
    """Whether a thing may be larger than it is seen to be."""
    if (box[i, :2] <= AT_BORDER).any() or (box[i, 2:] >= 1 - AT_BORDER).any():
        return True
    rest = np.arange(len(box)) != i
    low = np.maximum(box[rest, :2], box[i, :2])
    high = np.minimum(box[rest, 2:], box[i, 2:])
    shared = np.maximum(high - low, 0).prod(-1)
    return bool(shared.max() > HIDDEN * (box[i, 2:] - box[i, :2]).prod())


def find_leaders(box: np.ndarray) -> list[tuple[str, int, tuple[int, ...]]]:
    """The first few things from a side, where a clear gap follows them.

    Args:
        box (np.ndarray): ``n x 4``, shares of the photo; no crowds.

    Returns:
        list[tuple[str, int, tuple[int]]]: Side, how many, which.
    """
    found = []
    for side in SIDES[:2]:
        near, far = _seen_from(box, side)
        centre = (near + far) / 2
        order = np.argsort(centre)
        for count in (2, 3):
            if len(box) <= count:
                break
            first, rest = order[:count], order[count:]
            if centre[rest].min() - centre[first].max(
            ) >= TWO_LEAD and near[rest].min() - near[first].max(
            ) >= MOST_EDGE and far[rest].min() - far[first].max(
            ) >= MOST_FAR and centre[first].max() <= 0.5:
                found.append((side, count, tuple(int(i) for i in first)))
    return found


# Between two things; lengths in roots of the photo's area.
RELATION_YES, RELATION_NO, SLOPE_YES, SLOPE_NO = 0.10, 0.04, 0.8, 2.2
APART, OVERLAP = 0.6, 0.3
NEXT_GAP, NEXT_FAR = 0.04, 0.15
CLOSE_RATIO, CLOSE_LEAD = 1.35, 0.05
CONTACT, CLEAR = 0.4, 0.06
DIRECTIONS = ('left', 'right', 'above', 'below')


class Relations:
    """How any two objects of a photo stand to each other.

    Attributes:
        gap (list[list[float]]): ``n x n``: distance of the boxes.
        apart (list[list[float]]): ``n x n``: distance of the centres.
        inside (list[list[float]]): ``n x n``: share of the second's box that
            lies in the first's.

    Args:
        layout (Layout): The photo.
    """

    def __init__(self, layout: Layout) -> None:
        box = layout.square
        self.layout = layout
        low = np.maximum(box[:, None, :2], box[None, :, :2])
        high = np.minimum(box[:, None, 2:], box[None, :, 2:])
        signed = high - low  # overlap, or minus the gap, by axis
        gaps = np.maximum(-signed, 0)
        size = np.maximum(box[:, 2:] - box[:, :2], 1e-6)
        overlap = np.maximum(signed, 0)
        centre = (box[:, :2] + box[:, 2:]) / 2
        offset = centre[None] - centre[:, None]  # from the first to the second
        self._size, self._overlap = size, overlap
        self._offset = offset
        self.gap = np.hypot(gaps[..., 0], gaps[..., 1]).tolist()
        self.apart = np.hypot(offset[..., 0], offset[..., 1]).tolist()
        self.inside = (overlap.prod(-1) / size.prod(-1)[None]).tolist()
        self._gap = np.asarray(self.gap)
        self.tables = {name: self._direction(name) for name in DIRECTIONS}
        self.tables['next to'] = self._next_to()

    def _direction(self, name: str) -> list[list[int]]:
        axis = 0 if name in ('left', 'right') else 1
        ahead = self._offset[..., axis]
        if name in ('right', 'below'):
            ahead = -ahead
        aside = abs(self._offset[..., 1 - axis])
        half = self._size[:, axis] / 2
        apart = APART * (half[:, None] + half[None])
        truth = np.full(ahead.shape, OPEN)
        # What lies on a table is not left of it, wherever the centres are.
        size = self._size[:, axis]
        clear = self._overlap[..., axis] <= OVERLAP * np.minimum(
            size[:, None], size[None])
        truth[(ahead >= np.maximum(RELATION_YES, apart)) & clear
              & (aside <= SLOPE_YES * ahead)] = YES
        truth[(ahead <= RELATION_NO) | (aside >= SLOPE_NO * ahead)] = NO
        truth[self.layout.crowd] = OPEN
        return truth.tolist()

    def _next_to(self) -> list[list[int]]:
        height, width = self._size[:, 1], self._size[:, 0]
        beside = self._overlap[..., 1] / np.minimum(height[:, None],
                                                    height[None])
        across = self._overlap[..., 0] / np.minimum(width[:, None],
                                                    width[None])
        scale = self._size.prod(-1)**0.5
        similar = scale[:, None] / scale[None]
        truth = np.full(beside.shape, OPEN)
        truth[(self._gap <= NEXT_GAP) & (beside >= 0.4) & (across <= 0.2)
              & (similar > 1 / 4) & (similar < 4)] = YES
        # Nobody says that a vase is next to the table it stands on.
        names = self.layout.category
        put = np.array([[supports(x, y) or supports(y, x) for y in names]
                        for x in names], bool).reshape(truth.shape)
        truth[put] = OPEN
        truth[self._gap >= NEXT_FAR] = NO
        crowds = self.layout.crowd
        truth[crowds] = np.minimum(truth[crowds], OPEN)
        return truth.tolist()

    def the_one(self, name: str, group: tuple[int, ...],
                mark: int) -> int | None:
        """The one of a group that stands so to another object, if all
        others clearly do not."""
        table = self.tables[name]
        yes = None
        for i in group:
            truth = table[i][mark]
            if truth == OPEN or (truth == YES and yes is not None):
                return None
            if truth == YES:
                yes = i
        return yes

    def closest(self, group: tuple[int, ...], mark: int,
                farthest: bool = False) -> int | None:
        """The one of a group that is clearly closest to another object, or
        clearly farthest from it, by boxes and by centres."""
        if farthest and any(self.layout.crowd[i] for i in group):
            return None
        by_apart = sorted(group, key=lambda i: self._apart(i, mark))
        if farthest:
            by_apart.reverse()
        first, rest = by_apart[0], by_apart[1:]
        if not rest or self.layout.crowd[first]:
            return None
        sign = -1 if farthest else 1
        for i in rest:
            near, far = (first, i) if not farthest else (i, first)
            if self._apart(far, mark) < CLOSE_RATIO * self._apart(
                    near, mark) or self._apart(far, mark) - self._apart(
                        near, mark) < CLOSE_LEAD:
                return None
            if sign * (self.gap[i][mark] - self.gap[first][mark]) < (
                    CLOSE_LEAD / 2):
                return None
        return first

    def _apart(self, i: int, mark: int) -> float:
        # Someone of a crowd may stand at its nearest edge.
        if self.layout.crowd[i]:
            return self.gap[i][mark]
        return self.apart[i][mark]

    def has(self, i: int, j: int) -> int:
        """Truth of 'i has j with it', by boxes alone: within its box and
        smaller, or nowhere near."""
        crowd, area = self.layout.crowd, self.layout.area
        if self.inside[i][j] >= CONTACT and not crowd[i] and not crowd[
                j] and area[j] < 0.8 * area[i]:
            return YES
        return OPEN if self.gap[i][j] < CLEAR else NO

    def on(self, i: int, j: int) -> int:
        """Truth of 'i stands or lies on j', by boxes alone."""
        box = self.layout.square
        (y0, y1), (v0, v1) = box[i, 1::2].tolist(), box[j, 1::2].tolist()
        across = self._overlap[i, j, 0] / self._size[i, 0]
        # Feet hang below the couch that one sits on.
        if self.gap[i][j] > 0.03 or across < 0.15 or y1 < v0 - 0.03 or (
                y0 > v1 - 0.1 * (v1 - v0)):
            return NO
        if self.layout.crowd[i] or self.layout.crowd[j]:
            return OPEN
        height = v1 - v0
        area = self.layout.area
        if across >= 0.9 and v0 + 0.1 * height <= y1 <= v1 - 0.1 * height and (
                area[i] < 0.6 * area[j]) and (y0 + y1) / 2 < v1 - 0.3 * height:
            return YES
        return OPEN

    def rides(self, i: int, j: int) -> int:
        """Truth of 'i is on j', of someone on what carries a person."""
        box = self.layout.square
        (x0, y0, x1, y1), (u0, v0, u1, v1) = box[i].tolist(), box[j].tolist()
        if self.gap[i][j] > 0.04:
            return NO
        if self.layout.crowd[i] or self.layout.crowd[j]:
            return OPEN
        margin = 0.1 * (u1 - u0)
        if u0 + margin <= (x0 + x1) / 2 <= u1 - margin and (
                y0 + y1) / 2 < (v0 + v1) / 2 and (
                    v0 - 0.02 <= y1 <= v1 + 0.03) and y1 - y0 > 0.5 * (
                        v1 - v0):
            return YES
        return OPEN
