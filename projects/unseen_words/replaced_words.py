# Licensed under the Apache License, Version 2.0.
"""A dataset wrapper that replaces words of the sentences."""

import re
from collections.abc import Iterator, Mapping

from mmengine.dataset import BaseDataset

from mmrefseg.registry import DATASETS

_VOWELS = 'aeiou'


@DATASETS.register_module()
class ReplacedWords:
    """A control: some words of the sentences are replaced by others.

    Does a model understand a word that no training sentence had? Put it in
    the place of one that means the same. Only sentences that have a word to
    replace are kept; with ``replace=False`` the very same sentences are shown
    as they were, to compare with.

    Args:
        dataset (dict | BaseDataset): A dataset of refs, or its config.
        words (Mapping[str, str]): New words for old ones, such as
            ``{'red': 'crimson'}``. Whole words are replaced, in any case, all
            at once: what was put in is not replaced again. An old word may be
            several ('left of'), the longest that fits is taken; a new one may
            be several or none. 'a' and 'an' before it follow its first
            letter. A sentence of which nothing would be left is not kept.
        replace (bool): Whether words are replaced. Defaults to True.

    Raises:
        ValueError: ``words`` is empty or has an empty old word, or no
            sentence has any of them.

    Example:
        >>> custom_imports = dict(
        ...     imports=['projects.unseen_words.replaced_words'])
        >>> test_dataloader = dict(dataset=dict(
        ...     _delete_=True, type='ReplacedWords',
        ...     words={'red': 'crimson', 'circle': 'disc'},
        ...     dataset=_base_.test_dataloader.dataset))
    """

    def __init__(self,
                 *,
                 dataset: dict | BaseDataset,
                 words: Mapping[str, str],
                 replace: bool = True) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        self.dataset = dataset
        self._words = {old.lower(): new for old, new in words.items()}
        if not all(old.strip() for old in self._words) or not self._words:
            raise ValueError('words must name at least one word to replace, '
                             f'and no empty one, not {dict(words)}.')
        longest_first = sorted(self._words, key=len, reverse=True)
        self._pattern = re.compile(
            r'(?<!\w)(?:(an?)\s+)?(' + '|'.join(
                map(re.escape, longest_first)) + r')(?!\w)', re.IGNORECASE)
        # (item, its sentence as it is shown)
        self._items = [(i, new if replace else old)
                       for i, old, new in self._changed()]
        if not self._items:
            raise ValueError('No sentence of this dataset has one of the '
                             f'words {", ".join(sorted(self._words))}.')

    def _changed(self) -> Iterator[tuple[int, str, str]]:
        for i in range(len(self.dataset)):
            text = self.dataset.get_data_info(i)['text']
            new, count = self._pattern.subn(self._put, text)
            if count and new.strip():
                yield i, text, ' '.join(new.split())

    def _put(self, match: 're.Match') -> str:
        article, old = match.groups()
        new = self._words[old.lower()]
        if article is None:
            return new
        if new:
            article = article[0] + ('n' if new[0].lower() in _VOWELS else '')
        return f'{article} {new}'

    @property
    def metainfo(self) -> dict:
        """dict: Meta information of the dataset inside."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        return len(self._items)

    def source(self, index: int) -> tuple[int, str]:
        """Where an item comes from.

        Args:
            index (int): Index of the item.

        Returns:
            tuple[int, str]: Index of its item in the dataset inside, which
            identifies it whatever the words, and the sentence as it is shown.
        """
        return self._items[index]

    def __getitem__(self, index: int) -> dict:
        """Give an item of the dataset inside with the sentence shown here."""
        inner, text = self._items[index]
        item = self.dataset.get_data_info(inner)
        item['text'] = text
        return self.dataset.pipeline(item)
