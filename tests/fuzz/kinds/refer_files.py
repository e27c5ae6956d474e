# Licensed under the Apache License, Version 2.0.
"""Annotation files in the layouts of REFER, gRefCOCO and R-RefCOCO."""

import copy
import json
import pickle
from random import Random

from hostile_pickles import hostile_refs
from hypothesis import strategies as st
from mutations import change_bytes, change_tree, pickled_values, plain_values

from mmrefseg.datasets import GRefCOCODataset, RRefCOCODataset
from mmrefseg.fileio.plain_pickle import loads_plain_pickle
from .base import Kind, count, dumps, tiny


class RefsValues(Kind):
    """Values of a refs pickle."""
    share = 13

    def draw(self, draw):
        refs = change_tree(draw, tiny._refs(), pickled_values)
        return refs, draw(st.integers(0, pickle.HIGHEST_PROTOCOL))

    def run(self, case):
        refs, protocol = case
        try:
            content = pickle.dumps(refs, protocol)
        except (RecursionError, ValueError):
            # Too deep to be written, or a number too long for protocol 0,
            # which writes digits.
            content = pickle.dumps([refs] if isinstance(refs, dict) else [], 2)
        self.write(self.refs_name, content)
        try:
            expected = count(refs)
        except Exception:  # then it may not be accepted, which len tells
            expected = None
        return self.try_refer(expected=expected)


class RefsBytes(Kind):
    """Bytes of a refs pickle."""
    share = 12

    def draw(self, draw):
        content = pickle.dumps(tiny._refs(), draw(st.integers(0, 4)))
        return change_bytes(draw, content)

    def run(self, case):
        self.write(self.refs_name, case)
        try:
            expected = count(loads_plain_pickle(case, 'x'))
        except Exception:
            expected = None
        return self.try_refer(expected=expected)


class RefsCode(Kind):
    """Refs pickles that would run code or use up the machine."""
    share = 10
    harmless = ('import', 'numpy record', 'operator', 'allowed name as a '
                'class', 'dtype from text')

    def draw(self, draw):
        return draw(hostile_refs(tiny._refs, self.canary))

    def run(self, case):
        self.write(self.refs_name, case[0])
        return self.try_refer(must_refuse=True)


class InstancesValues(Kind):
    """Values of an instances.json."""
    share = 13

    def draw(self, draw):
        # Its outlines are the module's own.
        instances = copy.deepcopy(tiny._instances())
        return change_tree(draw, instances, plain_values)

    def run(self, case):
        try:
            content = dumps(case)
        except (RecursionError, ValueError):
            content = b'{"images": ' + b'[' * 100_000 + b']' * 100_000 + b'}'
        self.write('instances.json', content)
        return self.try_refer(expected=count(tiny._refs()))


class InstancesBytes(Kind):
    """Bytes of an instances.json."""
    share = 9

    def draw(self, draw):
        return change_bytes(draw, dumps(tiny._instances()))

    def run(self, case):
        self.write('instances.json', case)
        return self.try_refer(expected=count(tiny._refs()))


class GeneralRefs(Kind):
    """gRefCOCO and R-RefCOCO, values and bytes."""
    share = 8

    def draw(self, draw):
        refs = tiny._refs()
        random = Random(draw(st.integers(0, 2**32)))
        general = random.random() < 0.6
        for ref in refs:
            if general:
                ref['ann_id'] = random.choice(
                    ([ref['ann_id']], ref['ann_id'], [-1]))
            else:
                for sentence in ref['sentences']:
                    sentence['exist'] = random.random() < 0.5
        if random.random() < 0.7:
            refs = change_tree(draw, refs, plain_values)
            try:
                return general, dumps(refs)
            except (RecursionError, ValueError):
                refs = []
        return general, change_bytes(draw, dumps(refs))

    def run(self, case):
        general, content = case
        self.dataset = GRefCOCODataset if general else RRefCOCODataset
        self.refs_name = ('g' if general else '') + 'refs(unc).json'
        for name in ('refs(unc).p', 'refs(unc).json', 'grefs(unc).json'):
            (self.folder / name).unlink(missing_ok=True)
        self.write(self.refs_name, content)
        try:
            expected = count(json.loads(content))
        except Exception:
            expected = None
        return self.try_refer(expected=expected)
