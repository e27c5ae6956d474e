# Licensed under the Apache License, Version 2.0.
"""Choice of the sentences of an epoch."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmrefseg.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class OneSentencePerRefSampler(Sampler):
    """Visits each ref once per epoch, with one of its sentences.

    This is how LAVT and its successors train: an epoch is as long as the
    dataset has refs, and the sentence is drawn anew at each visit. Refs and
    sentences are drawn here, in the main process, from a generator seeded
    ``seed + epoch``, so nothing random happens in a worker and an epoch is
    the same after a resume.

    Args:
        dataset: A dataset with ``get_ref_groups()``, or a ConcatDataset or
            RepeatDataset of such.
        seed (int, optional): Must be the same in all processes. Defaults to
            None: drawn once and shared among the processes.
        shuffle (bool): Visit the refs in a new order each epoch. Sentences
            are drawn in either case. Defaults to True.
        round_up (bool): Repeat some refs so that all processes get the same
            number. Defaults to True.
        refs_per_image (int): Refs of one image that follow each other, where
            the image has as many. Above 1 a batch asks several things of the
            same picture, so that only the sentence tells them apart: small
            models learn to read earlier. Defaults to 1.

    Example:
        >>> import numpy as np
        >>> from mmrefseg.datasets import OneSentencePerRefSampler
        >>> class Refs:  # two refs, of three sentences and of one
        ...     def __len__(self): return 4
        ...     def get_ref_groups(self):
        ...         return [np.array([0, 1, 2]), np.array([3])]
        >>> sampler = OneSentencePerRefSampler(Refs(), seed=0)
        >>> len(sampler), 3 in sampler
        (2, True)
    """

    def __init__(self,
                 dataset,
                 *,
                 seed: int | None = None,
                 shuffle: bool = True,
                 round_up: bool = True,
                 refs_per_image: int = 1) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        self.round_up = round_up
        self.refs_per_image = refs_per_image
        self.epoch = 0

        groups = ref_groups(dataset)
        self._items = torch.from_numpy(np.concatenate(groups))
        self._sizes = torch.tensor([len(x) for x in groups])
        self._starts = self._sizes.cumsum(0) - self._sizes
        self._images = None
        if refs_per_image > 1:
            self._images = _number_images(dataset, groups)
        # Fewer than refs only where the runner cuts the dataset
        # (num_batch_per_epoch).
        self.num_refs = min(len(groups), len(dataset))
        if round_up:
            self.num_samples = math.ceil(self.num_refs / self.world_size)
            self.total_size = self.num_samples * self.world_size
        else:
            self.num_samples = math.ceil(
                (self.num_refs - self.rank) / self.world_size)
            self.total_size = self.num_refs

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        # Sentences first: a ref's sentence does not depend on the order.
        share = torch.rand(
            len(self._sizes), generator=generator, dtype=torch.float64)
        choice = (share * self._sizes).long()
        items = self._items[self._starts + choice]
        if self.shuffle:
            items = items[self._order(generator)]
        items = items[:self.num_refs]
        if self.round_up:
            items = items.repeat(self.total_size // len(items) +
                                 1)[:self.total_size]
        if self._images is not None:
            # In one piece, so that an image's refs stay with one process.
            start = self.rank * self.num_samples
            return iter(items[start:start + self.num_samples].tolist())
        return iter(items[self.rank:self.total_size:self.world_size].tolist())

    def _order(self, generator: torch.Generator) -> torch.Tensor:
        """Refs in random order, or random groups of refs of one image."""
        order = torch.randperm(len(self._sizes), generator=generator)
        if self._images is None:
            return order
        # Refs in random order within their image, images one after another.
        order = order[self._images[order].argsort(stable=True)]
        images = self._images[order]
        place = torch.arange(len(order))
        first = torch.ones(len(order), dtype=torch.bool)
        first[1:] = images[1:] != images[:-1]
        rank = place - place[first][first.cumsum(0) - 1]
        # A new group starts with each image and after refs_per_image refs.
        group = (rank % self.refs_per_image == 0).cumsum(0) - 1
        shuffled = torch.randperm(int(group[-1]) + 1, generator=generator)
        return order[shuffled[group].argsort(stable=True)]

    def __len__(self) -> int:
        """Number of items that this process gets in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose what the next iteration draws (``DistSamplerSeedHook`` calls
        it)."""
        self.epoch = epoch


def _number_images(dataset, groups: list[np.ndarray]) -> torch.Tensor:
    """A number for the image of each ref."""
    numbers: dict = {}
    paths = (dataset.get_data_info(int(x[0]))['img_path'] for x in groups)
    return torch.tensor([numbers.setdefault(p, len(numbers)) for p in paths])


def ref_groups(dataset) -> list[np.ndarray]:
    """The items of each ref of a dataset, through wrappers.

    Args:
        dataset: A dataset with ``get_ref_groups()``, or a ConcatDataset or
            RepeatDataset of such.

    Returns:
        list[np.ndarray]: int64 indices into ``dataset``, one array per ref.

    Raises:
        TypeError: The dataset has no refs.
    """
    if isinstance(dataset, ConcatDataset):
        parts = dataset.datasets
    elif isinstance(dataset, RepeatDataset):
        parts = [dataset.dataset] * dataset.times
    elif hasattr(dataset, 'get_ref_groups'):
        return dataset.get_ref_groups()
    else:
        raise TypeError(
            f'OneSentencePerRefSampler needs a dataset with get_ref_groups(), '
            f'such as RefCOCODataset; {type(dataset).__name__} has none: use '
            'DefaultSampler with it.')
    groups, offset = [], 0
    for part in parts:
        groups += [x + offset for x in ref_groups(part)]
        offset += len(part)
    return groups
