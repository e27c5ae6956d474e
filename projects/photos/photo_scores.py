# Licensed under the Apache License, Version 2.0.
"""Scores on photographs: of a model, of its control, of simple baselines."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from mmrefseg.apis.inference.doubts import find_doubt
from mmrefseg.datasets import BaseRefDataset
from mmrefseg.evaluation.scores import score

# Kinds of sentences that mean one object.
SINGLE = ('category', 'place', 'size', 'relation', 'with', 'colour')
KINDS = (*SINGLE, 'plural')


class Sentence(NamedTuple):
    """A sentence, and what is known of it.

    Attributes:
        text (str): The sentence.
        kind (str): Its kind, such as 'place'.
        ref (str): The same for all sentences about an object.
        mask (np.ndarray): What it means, ``H x W``, bool.
        no_target (bool): Nothing in the photo fits.
    """
    text: str
    kind: str
    ref: str
    mask: np.ndarray
    no_target: bool


class Answer(NamedTuple):
    """What a model says to a sentence: a mask, before it is emptied, the
    score of existence, 1 where the model has none, and the mean probability
    over the mask."""
    mask: np.ndarray
    existence: float
    score: float = 1.


def read_photos(
        dataset: BaseRefDataset) -> Iterator[tuple[str, list[Sentence]]]:
    """Paths of the photos of a dataset, each with its sentences.

    Args:
        dataset (BaseRefDataset): With ``LoadRefMask`` alone in its pipeline.
    """
    photos: dict[str, list[int]] = defaultdict(list)
    for i in range(len(dataset)):
        photos[dataset.get_data_info(i)['img_path']].append(i)
    for path, items in photos.items():
        found = []
        for item in items:
            data = dataset[item]
            found.append(
                Sentence(data['text'], data.get('kind', 'category'),
                         str(data['ref_id']), data['gt_seg_map'] > 0,
                         bool(data.get('no_target'))))
        yield path, found


class PhotoScores:
    """Adds up areas for each row and kind.

    Args:
        threshold (float): Score of existence below which the mask counts as
            empty. Defaults to 0.5.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.areas: dict[tuple[str, str], list[tuple[int, int]]] = (
            defaultdict(list))
        self.existence: list[tuple[bool, str, float]] = []
        self.answers: list[dict] = []

    def _add(self, row: str, kind: str, predicted: np.ndarray,
             true: np.ndarray) -> None:
        areas = (int((predicted & true).sum()), int((predicted | true).sum()))
        self.areas[row, kind].append(areas)
        if kind in SINGLE:
            self.areas[row, 'single'].append(areas)

    def add_photo(self, sentences: list[Sentence],
                  answer: Callable[[str], Answer]) -> None:
        """Count the sentences of a photo.

        Args:
            sentences (list[Sentence]): All of them.
            answer (Callable): The model's answer to a text.
        """
        refs: dict[str, list[Sentence]] = defaultdict(list)
        for sentence in sentences:
            said = answer(sentence.text)
            self.existence.append(
                (sentence.no_target, sentence.kind, said.existence))
            self.answers.append(self._describe(sentence, said))
            if sentence.no_target:
                continue
            self._add('model', sentence.kind, self._mask(said), sentence.mask)
            self._add('whole image', sentence.kind,
                      np.ones_like(sentence.mask), sentence.mask)
            self._add('centre box', sentence.kind,
                      centre_box(sentence.mask.shape), sentence.mask)
            if sentence.kind in SINGLE:
                refs[sentence.ref].append(sentence)
        # As ExchangedSentences: each ref is held against the next one's.
        groups = list(refs.values())
        for shown, read in zip(groups, groups[1:] + groups[:1]):
            if shown is not read:
                for sentence in read:
                    self._add('sentences exchanged', sentence.kind,
                              self._mask(answer(sentence.text)),
                              shown[0].mask)

    def _mask(self, said: Answer) -> np.ndarray:
        if said.existence < self.threshold:
            return np.zeros_like(said.mask)
        return said.mask

    def _describe(self, sentence: Sentence, said: Answer) -> dict:
        mask = self._mask(said)
        union = int((mask | sentence.mask).sum())
        iou = int((mask & sentence.mask).sum()) / union if union else 1.
        doubt = find_doubt(
            sentence.text,
            said.score,
            found=bool(mask.any()),
            existence=said.existence,
            no_target=said.existence < self.threshold)
        return dict(
            text=sentence.text, kind=sentence.kind,
            no_target=sentence.no_target, existence=said.existence,
            score=said.score, iou=iou, doubt=doubt or '')

    def doubts(self) -> dict[bool, tuple[float, float]]:
        """How good the answers are of which the model is sure (False) and
        unsure (True): the percentage of all, and their mean IoU in percent,
        1 where nothing is rightly found."""
        found = {}
        for unsure in (False, True):
            ious = [answer['iou'] for answer in self.answers
                    if bool(answer['doubt']) is unsure]
            found[unsure] = (100 * len(ious) / max(len(self.answers), 1),
                             100 * float(np.mean(ious)) if ious else np.nan)
        return found

    def table(self) -> list[dict]:
        """Rows of oIoU, mIoU and P@0.5 in percent, of each kind."""
        rows = []
        for (row, kind), areas in self.areas.items():
            rows.append(
                dict(row=row, kind=kind, sentences=len(areas),
                     **score(areas, (0.5, ), '>=')))
        return rows

    def refusals(self, threshold: float) -> tuple[float, float]:
        """Percent of the no-target sentences that are refused, and percent of
        the others that are refused wrongly, at a threshold."""
        refused: dict[bool, list[bool]] = {True: [], False: []}
        for no_target, _, value in self.existence:
            refused[no_target].append(value < threshold)
        return tuple(
            100 * float(np.mean(refused[which])) if refused[which] else np.nan
            for which in (True, False))

    def calibrate(self, wrong: float = 0.1) -> float:
        """The threshold at which this share of the sentences with a target
        is refused: for photos of the training set."""
        there = [value for no_target, _, value in self.existence
                 if not no_target]
        return float(np.quantile(there, wrong))


def centre_box(shape: tuple[int, int]) -> np.ndarray:
    """The middle of a photo, half as high and half as wide."""
    box = np.zeros(shape, dtype=bool)
    height, width = shape
    box[height // 4:height - height // 4, width // 4:width - width // 4] = True
    return box
