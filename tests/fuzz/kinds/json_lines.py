# Licensed under the Apache License, Version 2.0.
"""JSON lines, and the outlines in them."""

import numpy as np
from hypothesis import strategies as st
from mutations import change_bytes, change_tree, plain_values

from .base import Kind, dumps, lines


class LinesValues(Kind):
    """Values of JSON lines."""
    share = 9

    def draw(self, draw):
        return change_tree(draw, lines(), plain_values)

    def run(self, case):
        lines = case if isinstance(case, list) else [case]
        content = []
        for line in lines:
            try:
                content.append(dumps(line))
            except (RecursionError, ValueError):
                content.append(b'[' * 50_000 + b']' * 50_000)
        self.write('refs.jsonl', b'\n'.join(content))
        return self.try_lines(expected=len(content))


class LinesBytes(Kind):
    """Bytes of JSON lines."""
    share = 5

    def draw(self, draw):
        return change_bytes(draw, b'\n'.join(map(dumps, lines())))

    def run(self, case):
        self.write('refs.jsonl', case)
        return self.try_lines(
            expected=sum(bool(x.strip()) for x in case.split(b'\n')))


outline_numbers = st.one_of(
    st.floats(-50, 150), st.integers(-10**4, 10**4), st.floats(),
    st.sampled_from([1e6, -1e6, 999999.5, 1e5, 2**31, 1e18, 10**400]))
outlines = st.one_of(
    st.lists(outline_numbers, max_size=12),
    st.lists(st.floats(-50, 150), min_size=6, max_size=8),
    st.integers(1, 3000).map(lambda n: [1e6, -1e6, -1e6, 1e6] * n),
    st.integers(1, 9).map(lambda n: [0., 0., 1e5 * n, 1e5, 0., 1e5]),
    st.integers(1, 30_000).map(
        lambda n: np.random.default_rng(n).uniform(-90, 190, 2 * n).tolist()))
run_lengths = st.fixed_dictionaries(
    dict(
        size=st.sampled_from([[64, 96], [64.0, 96], [96, 64], [0, 0], [64],
                              [-64, -96], None, 'ab', [2**31, 2**31]]),
        counts=st.one_of(
            st.lists(st.integers(-5, 7000), max_size=6),
            st.integers(0, 6144).map(lambda n: [n, 6144 - n]),
            st.sampled_from([[2**62] * 4 + [6144], [2**63, 2**63, 6144],
                             [10**30], [6144.0], ['6144'], 6144, '', None,
                             [[6144]], True, {'a': 1}, 'o' * 200_000,
                             'o' * 20 + '0', [0] * 6144 + [6144]]),
            st.text(max_size=20),
            st.text(
                st.characters(min_codepoint=48, max_codepoint=111),
                max_size=60))))


class Outlines(Kind):
    """Polygons and run lengths."""
    share = 7

    def draw(self, draw):
        one = st.one_of(outlines, outlines, run_lengths)
        return draw(
            st.one_of(st.lists(one, min_size=1, max_size=4), run_lengths,
                      st.integers(1, 300).map(lambda n: [[0, 0, 9e5, 9e5, 0,
                                                          9e5]] * n)))

    def run(self, case):
        line = dict(lines()[0], segmentation=case)
        self.write('refs.jsonl', dumps(line))
        return self.try_lines(expected=1)
