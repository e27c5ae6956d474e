# Licensed under the Apache License, Version 2.0.
import itertools
from collections import Counter

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mmrefseg.datasets import OneSentencePerRefSampler, RefCOCODataset
from mmrefseg.datasets import samplers as samplers_module


class _Toy:
    """``sizes[i]`` sentences of ref i; its items come one after another."""

    def __init__(self, sizes):
        self.ends = np.cumsum(sizes)
        self.sizes = sizes

    def __len__(self):
        return int(self.ends[-1])

    def __getitem__(self, index):
        return index

    def get_ref_groups(self):
        return [np.arange(e - n, e) for e, n in zip(self.ends, self.sizes)]

    def ref_of(self, index):
        return int(np.searchsorted(self.ends, index, side='right'))


@pytest.fixture
def as_rank(monkeypatch):

    def choose(rank, world_size):
        monkeypatch.setattr(samplers_module, 'get_dist_info', lambda:
                            (rank, world_size))

    return choose


SIZES = [3, 1, 2, 5, 4, 1, 2]


def test_each_ref_once_with_one_of_its_sentences():
    toy = _Toy(SIZES)
    sampler = OneSentencePerRefSampler(toy, seed=3)
    assert len(sampler) == 7
    for epoch in range(20):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert len(drawn) == 7
        assert sorted(toy.ref_of(x) for x in drawn) == list(range(7))


def test_all_sentences_are_drawn_equally_often():
    sampler = OneSentencePerRefSampler(_Toy([4, 3]), seed=0)
    counts = Counter()
    for epoch in range(6000):
        sampler.set_epoch(epoch)
        counts.update(sampler)
    for index in range(4):
        assert abs(counts[index] - 1500) < 5 * 1500**0.5
    for index in range(4, 7):
        assert abs(counts[index] - 2000) < 5 * 2000**0.5


def test_order_is_shuffled_anew_and_repeats_for_the_same_epoch():
    toy = _Toy([2] * 50)
    sampler = OneSentencePerRefSampler(toy, seed=1)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    second = list(sampler)
    assert [x // 2 for x in first] != [x // 2 for x in second]
    again = OneSentencePerRefSampler(toy, seed=1)
    again.set_epoch(1)
    assert list(again) == second
    other = OneSentencePerRefSampler(toy, seed=2)
    assert list(other) != first


def test_without_shuffle_sentences_are_still_drawn():
    toy = _Toy(SIZES)
    sampler = OneSentencePerRefSampler(toy, seed=1, shuffle=False)
    seen = set()
    for epoch in range(10):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert [toy.ref_of(x) for x in drawn] == list(range(7))
        seen.add(tuple(drawn))
    assert len(seen) > 5


@pytest.mark.parametrize('world_size', [2, 3, 10, 20])
def test_processes_share_an_epoch(as_rank, world_size):
    toy = _Toy(SIZES)
    whole = list(OneSentencePerRefSampler(toy, seed=5))
    parts, lengths = [], set()
    for rank in range(world_size):
        as_rank(rank, world_size)
        sampler = OneSentencePerRefSampler(toy, seed=5)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
        lengths.add(len(sampler))
    assert len(lengths) == 1
    # In turn, and the rest repeated from the start, as DefaultSampler does.
    joined = [part[i] for i in range(lengths.pop()) for part in parts]
    assert joined == (whole * 10)[:len(joined)]
    assert len(joined) - len(whole) < world_size


@pytest.mark.parametrize('world_size', [2, 3, 10])
def test_without_round_up_nothing_is_repeated(as_rank, world_size):
    toy = _Toy(SIZES)
    whole = list(OneSentencePerRefSampler(toy, seed=5))
    drawn = []
    for rank in range(world_size):
        as_rank(rank, world_size)
        sampler = OneSentencePerRefSampler(toy, seed=5, round_up=False)
        part = list(sampler)
        assert len(part) == max(len(sampler), 0)
        drawn += part
    assert sorted(drawn) == sorted(whole)


def _tiny(root, split):
    return RefCOCODataset(
        data_root=str(root),
        data_prefix=dict(img_path='images/'),
        split=split,
        split_by='unc')


def test_through_concat_and_repeat(tiny_refer_root):
    parts = [_tiny(tiny_refer_root, x) for x in ('train', 'val', 'testA')]
    joined = ConcatDataset(parts)
    sampler = OneSentencePerRefSampler(joined, seed=0)
    assert len(sampler) == 6
    refs = [joined.get_data_info(i)['ref_id'] for i in sampler]
    assert sorted(refs) == [1, 2, 3, 4, 5, 6]

    repeated = RepeatDataset(parts[0], times=2)
    sampler = OneSentencePerRefSampler(repeated, seed=0)
    refs = [repeated.get_data_info(i)['ref_id'] for i in sampler]
    assert sorted(refs) == [1, 1, 2, 2, 3, 3]
    assert max(sampler) >= len(parts[0])


def test_workers_change_nothing():
    toy = _Toy([3] * 20)

    def draw(num_workers):
        sampler = OneSentencePerRefSampler(toy, seed=0)
        loader = DataLoader(
            toy, batch_size=4, sampler=sampler, num_workers=num_workers)
        return [batch.tolist() for batch in loader]

    assert draw(0) == draw(2)


def test_cut_dataset():
    """What mmengine's ``num_batch_per_epoch`` makes of a dataset."""

    class Cut:

        def __init__(self, dataset, length):
            self.dataset, self.length = dataset, length

        def __getattr__(self, name):
            return getattr(self.dataset, name)

        def __len__(self):
            return self.length

    sampler = OneSentencePerRefSampler(Cut(_Toy(SIZES), 4), seed=0)
    assert len(sampler) == len(list(sampler)) == 4


def test_built_from_a_config_with_mmengines_arguments():
    init_default_scope('mmrefseg')
    sampler = ROOT_DATA_SAMPLERS.build(
        dict(type='OneSentencePerRefSampler'),
        default_args=dict(dataset=_Toy(SIZES), seed=None))
    assert isinstance(sampler.seed, int)


def test_a_dataset_without_refs_is_refused():
    with pytest.raises(TypeError, match='list has none.*DefaultSampler'):
        OneSentencePerRefSampler([1, 2, 3], seed=0)


class _Images:
    """12 refs of 3 sentences each over 4 images: 5, 4, 2 and 1 refs."""
    images = [0] * 5 + [1] * 4 + [2] * 2 + [3]

    def __len__(self):
        return 3 * len(self.images)

    def get_ref_groups(self):
        return [np.arange(3 * i, 3 * i + 3) for i in range(len(self.images))]

    def get_data_info(self, index):
        return dict(img_path=f'{self.images[index // 3]}.jpg')


def test_refs_of_an_image_follow_each_other():
    sampler = OneSentencePerRefSampler(_Images(), seed=0, refs_per_image=4)
    orders = set()
    for epoch in range(5):
        sampler.set_epoch(epoch)
        items = list(sampler)
        assert items == list(sampler)
        refs = [i // 3 for i in items]
        assert sorted(refs) == list(range(12))
        images = [_Images.images[r] for r in refs]
        runs = [len(list(run)) for _, run in itertools.groupby(images)]
        # 5 refs are a group of 4 and one of 1, which may meet again
        assert len(runs) <= 5
        assert max(runs) >= 4
        orders.add(tuple(refs))
    assert len(orders) == 5
