# Licensed under the Apache License, Version 2.0.
import copy
import pickle

import pytest

from mmrefseg.datasets.annotation_store import AnnotationStore

ITEMS = [[[1.5, 2.0]], dict(size=[2, 3], counts='abc'), 'a/path.png', []]


def _store(items):
    return AnnotationStore(AnnotationStore.dumps(x) for x in items)


def test_holds_what_was_given():
    store = _store(ITEMS)
    assert len(store) == 4
    assert [store[i] for i in range(4)] == ITEMS
    assert store.nbytes == sum(len(AnnotationStore.dumps(x)) for x in ITEMS)


def test_index_outside_raises():
    store = _store(ITEMS)
    for index in (-1, 4):
        with pytest.raises(IndexError):
            store[index]


def test_empty():
    assert len(_store([])) == 0
    assert _store([]).nbytes == 0


def test_copies_share_the_bytes_and_pickles_hold_them():
    store = _store(ITEMS)
    assert copy.deepcopy(store) is store
    again = pickle.loads(pickle.dumps(store))
    assert [again[i] for i in range(4)] == ITEMS
