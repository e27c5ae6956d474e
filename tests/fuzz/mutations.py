# Licensed under the Apache License, Version 2.0.
"""What can be wrong with a value, with a tree of values, and with bytes."""

import math
from random import Random

from hypothesis import strategies as st

DEEP = 5000


def deep_list(depth):
    """A list in a list in a list ..."""
    result = []
    for _ in range(depth):
        result = [result]
    return result


TEXTS = (
    '', ' ', '\t\n', '\u200b', '\ufffd', '\u0301', '\x00', '\x1b[31mred',
    'a\x00b', '\ud800', 'red \udfff star', '\U0001f600', '\U0001f469\u200d'
    '\U0001f680 in space', 'left', 'RED  star', 'ö', 'ß', '红色的星星',
    'النجمة الحمراء', '\u202eright to left', 'e\u0301' * 50, '\U0010ffff',
    'word ' * 10_000, 'x' * 20_000, '1' * 5000, '{}', '%s%n', '{0.__class__}',
    '../../../etc/passwd', '/', '.', '', 'a' * 300 + '.jpg', 'img_1.jpg/x',
    'http://127.0.0.1:9/x.jpg', 's3://bucket/x.jpg', 'petrel://x',
    'NaN', '-1', 'null', "'; rm -rf ~; '", '$(touch x)', '[UNK] [SEP] [CLS]')
NUMBERS = (0, 1, -1, 2, 11, 12, 41, 64, 96, 2**31 - 1, 2**31, 2**32, 2**63,
           2**64, -2**63, 10**30, 0.5, -0.0, 1e-320, 1e6, 1e9, 1e308, math.inf,
           -math.inf, math.nan)
OTHERS = (None, True, False, [], [[]], [[[]]], {}, {'a': 1}, [1], [None],
          [math.nan] * 6, {'size': [64, 96], 'counts': 'a'})

plain_values = st.one_of(
    st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(OTHERS),
    st.just(DEEP).map(deep_list), st.just(10**4000), st.text(max_size=40),
    st.integers(), st.floats(), st.lists(st.integers(), max_size=7))
# What pickles hold and JSON does not.
pickled_values = st.one_of(
    plain_values, st.just(10**6000), st.binary(max_size=30),
    st.sampled_from([(), (1, 2), set(), frozenset([1]), {1: 2}, {None: 'x'},
                     {(1, 2): {3}}, 1 << 70, b'\xff']))


def _places(tree):
    """Every (container, key) of a tree of dicts and lists."""
    found, waiting, seen = [], [tree], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # a change can put a list within itself
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            keys = list(node)
        elif isinstance(node, list):
            keys = list(range(len(node)))
        else:
            continue
        for key in keys:
            found.append((node, key))
            # Outlines have thousands of numbers: the first few stand for all.
            if not (isinstance(node, list) and key > 12):
                waiting.append(node[key])
    return found


def _fitting(value, random):
    """A number near the one that is there."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if isinstance(value, int) and value.bit_length() > 1000:
        return -value  # no float is as large, and no text as long
    return random.choice((-value, value + 1, value - 1, value * 1000,
                          value * 0.5, float(value), str(value), [value]))


def change_tree(draw, tree, values):
    """Change a tree of dicts and lists in one to three places.

    Returns the tree, which may be another object when its root was hit.
    """
    random = Random(draw(st.integers(0, 2**32)))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = _places(tree)
        if not places or random.random() < 0.01:
            tree = draw(values)
            continue
        # Deep places are many: half of the time a shallow one.
        node, key = random.choice(
            places if random.random() < 0.5 else places[:80])
        what = random.randrange(9)
        if what <= 2:
            node[key] = draw(values)
        elif what == 3:
            del node[key]
        elif what == 4 and isinstance(node, list):
            node.insert(random.randint(0, len(node)), node[key])
        elif what == 5:
            other, place = random.choice(places)
            try:
                node[key] = other[place]
            except (KeyError, IndexError):  # it was removed before
                node[key] = None
        elif what == 6:
            node[key] = _fitting(node[key], random)
        elif what == 7:
            node[key] = random.choice(
                ([node[key]], {'x': node[key]}, [node[key]] * 2))
        elif isinstance(node, dict):
            node[draw(st.text(max_size=5))] = node.pop(key)
        else:
            random.shuffle(node)
    return tree


def change_bytes(draw, content):
    """Damage bytes the way disks, networks and editors do."""
    random = Random(draw(st.integers(0, 2**32)))
    content = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        if not content:
            break
        place = random.randrange(len(content))
        length = random.choice((1, 2, 4, 16, 200))
        what = random.randrange(10)
        if what <= 3:
            for _ in range(random.choice((1, 1, 2, 8))):
                content[random.randrange(
                    len(content))] ^= 1 << random.randrange(8)
        elif what == 4:
            del content[place:]
        elif what == 5:
            del content[place:place + length]
        elif what == 6:
            content[place:place] = content[place:place + length]
        elif what == 7:
            content[place:place] = draw(st.binary(min_size=1, max_size=20))
        elif what == 8:
            fill = random.choice((0, 255))
            content[place:place + length] = bytes([fill]) * len(
                content[place:place + length])
        else:
            start = random.choice(
                (b'\xef\xbb\xbf', b'\xff\xfe', b'<html>', b'\x1f\x8b', b'[',
                 b'PK\x03\x04', b'\x00' * 16))
            content[:0] = start
    return bytes(content)
