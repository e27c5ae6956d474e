# Licensed under the Apache License, Version 2.0.
"""Generalisation of a model to words absent from the training set."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import nn

from mmrefseg.evaluation.scores import iou, score
from replaced_words import ReplacedWords

# What replaces a word instead of a synonym: no word, a nonsense word, and the
# token of words outside of the vocabulary.
CONTROLS = {'removed': '', 'nonsense': 'blicket', '[UNK]': '[UNK]'}
SEEN, UNSEEN = 'seen', 'unseen'
ALL = 'all'


class Line(NamedTuple):
    """The same sentences under one choice of words.

    Attributes:
        group (str): Name of the group of words that were replaced, or 'all'.
        shown (str): 'seen' (the sentences as they are), 'unseen' (synonyms)
            or a name of ``CONTROLS``.
        sentences (int): How many sentences have one of the words.
        scores (dict[str, float]): oIoU, mIoU and P0.5, in percent, at the
            original size.
        change (float): mIoU less that of 'seen'.
        error (float): Standard error of ``change``: sentences are compared
            in pairs, those of one image count as one observation.
    """
    group: str
    shown: str
    sentences: int
    scores: dict[str, float]
    change: float
    error: float


class _Predictor:
    """Areas of predictions, each sentence of an item predicted once.

    What the tokenizer gives the same tokens is the same sentence.
    """

    def __init__(self, model: nn.Module, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self.areas: dict[tuple, tuple[int, int]] = {}

    def __call__(self, shown: ReplacedWords,
                 kept: Sequence[int]) -> list[tuple[int, int]]:
        places = {shown.source(i)[0]: i for i in range(len(shown))}
        keys, new = [], {}
        for inner in kept:
            text = shown.source(places[inner])[1]
            key = inner, *self.model.language_encoder.tokens(text)
            keys.append(key)
            if key not in self.areas:
                new[key] = places[inner]
        wanted = list(new.items())
        for start in range(0, len(wanted), self.batch_size):
            batch = wanted[start:start + self.batch_size]
            items = [shown[i] for _, i in batch]
            with torch.no_grad():
                samples = self.model.test_step(pseudo_collate(items))
            for (key, _), sample in zip(batch, samples):
                predicted = sample.pred_sem_seg.data == 1
                true = sample.gt_sem_seg.data.to(predicted.device) == 1
                self.areas[key] = (int((predicted & true).sum()),
                                   int((predicted | true).sum()))
        return [self.areas[key] for key in keys]


def measure_unseen_words(model: nn.Module,
                         dataset: BaseDataset,
                         groups: Mapping[str, Mapping[str, str]],
                         *,
                         batch_size: int = 16) -> Iterator[Line]:
    """Compare sentences with the same sentences in words never seen.

    Args:
        model (nn.Module): A referring segmentor in evaluation mode, as
            :func:`init_model` gives it, that predicts at the original size.
        dataset (BaseDataset): A dataset of refs whose pipeline gives the true
            mask at the original size.
        groups (Mapping[str, Mapping[str, str]]): By the name of a group, new
            words for old ones, as in ``ReplacedWords``. With several groups,
            'all' replaces the words of all at once.
        batch_size (int): Sentences that the model takes at once.

    Yields:
        Line: For each group the sentences that have one of its words and
        others besides: as they are, with synonyms, and with each of
        ``CONTROLS``.

    Raises:
        ValueError: No sentence has a word of a group.
    """
    groups = dict(groups)
    if len(groups) > 1:
        union: dict[str, str] = {}
        for words in groups.values():
            union.update(words)
        groups[ALL] = union
    predict = _Predictor(model, batch_size)
    for name, words in groups.items():
        shown = {
            SEEN: ReplacedWords(dataset=dataset, words=words, replace=False),
            UNSEEN: ReplacedWords(dataset=dataset, words=words)
        }
        for control, word in CONTROLS.items():
            shown[control] = ReplacedWords(
                dataset=dataset, words=dict.fromkeys(words, word))
        # Without the word, some sentences are empty.
        kept = sorted(
            set.intersection(*({each.source(i)[0]
                                for i in range(len(each))}
                               for each in shown.values())))
        images = [dataset.get_data_info(i)['image_id'] for i in kept]
        before = predict(shown[SEEN], kept)
        for what, each in shown.items():
            yield _line(name, what, images, before, predict(each, kept))


def _line(group: str, shown: str, images: Sequence,
          before: Sequence[tuple[int, int]],
          after: Sequence[tuple[int, int]]) -> Line:
    changes = [100 * (iou(*b) - iou(*a)) for a, b in zip(before, after)]
    change, error = clustered_mean(changes, images)
    return Line(group, shown, len(after), score(after, (0.5, ), '>='), change,
                error)


def clustered_mean(values: Sequence[float],
                   clusters: Sequence) -> tuple[float, float]:
    """A mean and its standard error where values come in clusters.

    Args:
        values (Sequence[float]): At least one value.
        clusters (Sequence): The cluster of each value. Clusters are taken to
            be independent, the values of one not.

    Returns:
        tuple[float, float]: The mean, and the root of the sum over clusters
        of (sum of deviations)^2, times G / (G - 1), over the number of
        values; NaN for a single cluster.
    """
    mean = math.fsum(values) / len(values)
    sums: dict[object, float] = {}
    for value, cluster in zip(values, clusters):
        sums[cluster] = sums.get(cluster, 0.) + value - mean
    if len(sums) < 2:
        return mean, math.nan
    variance = math.fsum(x * x for x in sums.values())
    variance *= len(sums) / (len(sums) - 1)
    return mean, math.sqrt(variance) / len(values)


def format_unseen_words(lines: Sequence[Line]) -> str:
    """The lines as a table in Markdown.

    Args:
        lines (Sequence[Line]): As :func:`measure_unseen_words` gives them.
    """
    rows = [
        '| words | sentences | shown | oIoU | mIoU | P@0.5 | '
        'change of mIoU |',
        '|---|---|---|---|---|---|---|',
    ]
    for line in lines:
        first = line.shown == SEEN
        change = '' if first else f'{line.change:+.1f} ± {line.error:.1f}'
        rows.append(
            f'| {line.group if first else ""} '
            f'| {line.sentences if first else ""} | {line.shown} '
            f'| {line.scores["oIoU"]:.1f} | {line.scores["mIoU"]:.1f} '
            f'| {line.scores["P0.5"]:.1f} | {change} |')
    return '\n'.join(rows)
