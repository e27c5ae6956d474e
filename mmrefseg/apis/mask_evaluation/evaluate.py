# Licensed under the Apache License, Version 2.0.
"""Measurement of predicted masks by the metric of this package."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log

from mmrefseg.datasets import BaseRefDataset
from mmrefseg.evaluation.breakdowns import Breakdown
from mmrefseg.evaluation.confusion import Overlap, best_overlap, exceeds
from mmrefseg.evaluation.conventions import Convention
from mmrefseg.evaluation.counts import Counts
from mmrefseg.evaluation.report import Row, score_split
from mmrefseg.evaluation.sample_masks import count_sample
from mmrefseg.evaluation.scores import exceeds_threshold
from mmrefseg.fileio.run_lengths import encode_run_lengths
from .image_objects import ImageObjects
from .mask_predictions import (MaskPredictions, Prediction, name_some,
                               open_predictions)
from .true_masks import TrueMasks


class Sentence(NamedTuple):
    """What was found for one sentence.

    Attributes:
        item (dict): The sentence as the dataset has it, without its mask.
        counts (Counts): The areas.
        parts (tuple[str]): Its part by each field of the breakdown.
        category (str): Of its target; empty if not known.
        missing (bool): There is no prediction for it.
        other (Overlap, optional): The object that is not its target and that
            the prediction covers best; None if it touches none.
        wrong_object (bool): The prediction fits that object better, by IoU,
            than the target.
    """

    item: dict[str, Any]
    counts: Counts
    parts: tuple[str, ...]
    category: str
    missing: bool
    other: Overlap | None
    wrong_object: bool


@dataclass
class MaskEvaluation:
    """Scores of a split, and what they are made of.

    Attributes:
        convention (Convention): How they were computed.
        breakdown (Breakdown): By what they were split.
        metrics (dict[str, float]): The metric's scores in percent, and

            - ``wrong-object``: share of the sentences with a target whose
              mask fits another object of the image better;
            - ``wrong-object-of-misses``: the same among those whose IoU is
              below 0.5;
            - ``missing``: number of predictions that are not there.
        rows (list[Row]): The lines of the metric's table.
        sentences (list[Sentence]): In the order of the dataset.
        confusion (list[tuple[str, str, int]]): The target's category,
            what was segmented instead, how often; the most frequent first.
            Empty where the data have no categories.
    """

    convention: Convention
    breakdown: Breakdown
    metrics: dict[str, float]
    rows: list[Row]
    sentences: list[Sentence]
    masks: TrueMasks = field(repr=False)
    predictions: MaskPredictions = field(repr=False)
    confusion: list[tuple[str, str, int]] = field(default_factory=list)


def evaluate_masks(dataset: BaseRefDataset,
                   predictions: str,
                   *,
                   name: str | None = None,
                   convention: Convention | None = None,
                   breakdown: Breakdown | None = None,
                   input_size: Sequence[int] | None = None,
                   missing: str = 'error',
                   mask_value: int | str | None = None,
                   mask_threshold: float | None = None) -> MaskEvaluation:
    """Measure predicted masks against a dataset.

    Args:
        dataset (BaseRefDataset): The sentences; its pipeline is not used.
        predictions (str): A folder of mask images, or a ``.json`` or
            ``.jsonl`` file of masks in COCO's format, see
            :mod:`~mmrefseg.apis.mask_evaluation.mask_predictions`.
        name (str, optional): How the files of a folder are called.
        convention (Convention, optional): How to compute. Its ``foreground``
            does not matter: masks are taken as they are.
        breakdown (Breakdown, optional): By what to split the scores.
        input_size (sequence[int], optional): Height and width of the masks
            where ``convention`` compares at the size of a network's input.
        missing (str): 'error', or 'empty': a missing prediction counts as an
            empty mask, with a warning. Defaults to 'error'.
        mask_value (int or str, optional): Which value of the images of a
            folder is the mask. None takes all that is not black, and refuses
            images with several values.
        mask_threshold (float, optional): The value above which it is, where
            the images hold probabilities.

    Returns:
        MaskEvaluation: The scores.

    Raises:
        FileNotFoundError: The predictions, an image or a mask is not there.
        ValueError: A prediction is missing, surplus, unreadable or of another
            size than it must have, has several values, or no image has
            ``mask_value``; the message names such.

    Example:
        >>> import json, os, tempfile
        >>> from PIL import Image
        >>> from mmrefseg.apis import evaluate_masks
        >>> from mmrefseg.datasets import JSONLinesRefDataset
        >>> folder = tempfile.mkdtemp()
        >>> Image.new('RGB', (8, 6)).save(f'{folder}/a.png')
        >>> square = [[1, 1, 5, 1, 5, 5, 1, 5]]
        >>> line = dict(image='a.png', text='a cup', segmentation=square)
        >>> with open(f'{folder}/val.jsonl', 'w') as file:
        ...     _ = file.write(json.dumps(line))
        >>> with open(f'{folder}/masks.json', 'w') as file:
        ...     json.dump([dict(sent_id=1, segmentation=square)], file)
        >>> dataset = JSONLinesRefDataset(
        ...     ann_file='val.jsonl', data_root=folder)
        >>> result = evaluate_masks(dataset, f'{folder}/masks.json')
        >>> result.metrics['oIoU']
        100.0
    """
    if missing not in ('error', 'empty'):
        raise ValueError(f"missing is 'error' or 'empty', not {missing!r}.")
    convention = Convention() if convention is None else convention
    _check_input_size(convention, input_size)
    breakdown = Breakdown() if breakdown is None else breakdown
    masks = TrueMasks(dataset, input_size)
    found = open_predictions(predictions, masks.items, name, mask_value,
                             mask_threshold)
    _account_for(found, masks.items, missing)
    objects = ImageObjects(dataset, masks)
    faults: list[str] = []
    sentences = []
    absent = set(found.missing)
    for index in range(len(masks.items)):
        size = masks.compared_at(index)
        if index in absent:
            prediction = Prediction(np.zeros(size, np.uint8))
        else:
            try:
                prediction = found.load(index, size)
            except ValueError as error:
                faults.append(str(error))
                continue
        sentences.append(
            _measure(index, prediction, index in absent, masks, objects,
                     breakdown, convention))
    if faults:
        raise ValueError(f'{len(faults)} of {len(masks.items)} predictions '
                         f'cannot be used: {name_some(faults)}.')
    if mask_value is not None and not any(x.counts.predicted
                                          for x in sentences):
        raise ValueError(f'No image of {predictions} has the mask_value '
                         f'{mask_value}.')
    objects.tell_of_damage()
    metrics, rows = score_split([x.counts for x in sentences],
                                [x.parts for x in sentences],
                                breakdown.fields, convention)
    metrics.update(_misplaced(sentences), missing=len(absent))
    return MaskEvaluation(convention, breakdown, metrics, rows, sentences,
                          masks, found, _confusion(sentences))


def _check_input_size(convention: Convention,
                      size: Sequence[int] | None) -> None:
    if convention.eval_size == 'input' and size is None:
        raise ValueError("The convention compares at the size of a network's "
                         'input: add input_size, height and width of the '
                         'masks.')
    if convention.eval_size != 'input' and size is not None:
        raise ValueError('The convention compares at the size of each image: '
                         'remove input_size.')
    if size is not None and min(size) < 1:
        raise ValueError('input_size is height and width in pixels, not '
                         f'{size[0]} x {size[1]}.')


def _account_for(found: MaskPredictions, items: Sequence[dict],
                 missing: str) -> None:
    """Refuse predictions that are too many or too few."""
    if found.surplus:
        raise ValueError(
            f'{len(found.surplus)} predictions belong to no sentence of the '
            f'split: {name_some(found.surplus)}. Check that split and '
            'predictions belong together.')
    if not found.missing:
        return
    names = name_some([
        f'ref {items[i]["ref_id"]} sentence {items[i]["sent_id"]}'
        for i in found.missing
    ])
    message = (f'{len(found.missing)} of {len(items)} predictions are missing:'
               f' {names}.')
    if missing == 'error':
        raise ValueError(f'{message} Add them, or let them count as empty '
                         'masks with --missing empty.')
    print_log(
        f'{message} THEY COUNT AS EMPTY MASKS, which are right where there is '
        'no target.',
        logger='current',
        level=logging.WARNING)


def _measure(index: int, prediction: Prediction, missing: bool,
             masks: TrueMasks, objects: ImageObjects, breakdown: Breakdown,
             convention: Convention) -> Sentence:
    """Compare a predicted mask with the true one and with other objects."""
    item = masks.items[index]
    counts = count_sample(
        dict(item, pred_no_target=prediction.no_target),
        torch.from_numpy(prediction.mask == 1),
        torch.from_numpy(masks.at_original_size(index) == 1), convention)
    other = None
    if not counts.pred_no_target:
        other = best_overlap(
            encode_run_lengths(prediction.mask), objects.others(index))
    wrong = other is not None and not counts.no_target and exceeds(
        (other.intersection, other.union), counts.scored_areas)
    return Sentence(item, counts,
                    breakdown.labels(item, counts.truth,
                                     prediction.mask.size),
                    objects.category(item), missing, other, wrong)


def is_miss(counts: Counts) -> bool:
    """Whether the IoU of a sentence is below 0.5."""
    return not exceeds_threshold(*counts.scored_areas, 0.5)


def _misplaced(sentences: Sequence[Sentence]) -> dict[str, float]:
    """Shares of predictions that fit another object better, in percent."""
    targets = [x for x in sentences if not x.counts.no_target]
    misses = [x for x in targets if is_miss(x.counts)]
    out = {}
    for key, group in (('wrong-object', targets),
                       ('wrong-object-of-misses', misses)):
        if group:
            out[key] = 100 * sum(x.wrong_object for x in group) / len(group)
    return out


def _confusion(sentences: Sequence[Sentence]) -> list[tuple[str, str, int]]:
    """How often one category was segmented for another."""
    counts: dict[tuple[str, str], int] = {}
    for x in sentences:
        if (x.wrong_object and x.category and x.other is not None
                and x.other.category):
            pair = (x.category, x.other.category)
            counts[pair] = counts.get(pair, 0) + 1
    ordered = sorted(counts.items(), key=lambda x: (-x[1], x[0]))
    return [(*pair, number) for pair, number in ordered]
