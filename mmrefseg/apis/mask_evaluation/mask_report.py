# Licensed under the Apache License, Version 2.0.
"""Reports about measured masks: a text, a CSV, pictures."""

import json
import os.path as osp

import numpy as np

from mmrefseg.datasets import LoadRefImage
from mmrefseg.evaluation.report import (CSV_COUNTS, csv_counts, format_table,
                                        write_csv)
from mmrefseg.evaluation.scores import iou
from mmrefseg.fileio import write_atomically
from mmrefseg.visualization import draw_panels, draw_referring_overlay
from mmrefseg.visualization.files import file_safe, save_picture
from mmrefseg.visualization.overlay import (DASHED, FAINT_COLOR, FILLED,
                                            PREDICTION_COLOR, TEXT_COLOR,
                                            TRUTH_COLOR, add_banner)
from .evaluate import MaskEvaluation, Sentence, is_miss

_IDS = ('image_id', 'ref_id', 'sent_id', 'text')
_PAIRS = 10  # of the confusion that are shown


def format_evaluation(result: MaskEvaluation) -> str:
    """The scores as a text for people."""
    metrics = result.metrics
    lines = [format_table(result.rows, result.convention)]
    targets = [x for x in result.sentences if not x.counts.no_target]
    misses = sum(is_miss(x.counts) for x in targets)
    wrong = sum(x.wrong_object for x in targets)
    if targets:
        lines.append(
            f'{wrong} of {len(targets)} masks '
            f'({metrics["wrong-object"]:.2f} %) fit another object of the '
            'image better than the target.')
    if misses:
        found = sum(x.wrong_object and is_miss(x.counts) for x in targets)
        lines.append(
            f'Of the {misses} masks with an IoU below 0.5 these are {found} '
            f'({metrics["wrong-object-of-misses"]:.2f} %).')
    for meant, instead, number in result.confusion[:_PAIRS]:
        lines.append(f'  {number:5} times {instead} instead of ' +
                     ('another ' if meant == instead else '') + meant)
    if result.confusion[_PAIRS:]:
        lines.append(f'  and {len(result.confusion) - _PAIRS} other pairs')
    if metrics['missing']:
        lines.append(f'{metrics["missing"]} PREDICTIONS ARE MISSING AND '
                     'COUNT AS EMPTY MASKS.')
    return '\n'.join(lines)


def write_evaluation(result: MaskEvaluation,
                     out_dir: str,
                     worst: int = 20) -> list[str]:
    """Write ``metrics.json``, ``sentences.csv`` and pictures of the worst.

    Args:
        result (MaskEvaluation): From :func:`evaluate_masks`.
        out_dir (str): The folder; files of these names are replaced.
        worst (int): How many pictures. Defaults to 20.

    Returns:
        list[str]: The files.
    """
    files = [osp.join(out_dir, x) for x in ('metrics.json', 'sentences.csv')]
    write_atomically(files[0],
                     (json.dumps(result.metrics, indent=2) + '\n').encode())
    write_csv(
        files[1],
        (*_IDS, *result.breakdown.fields, *CSV_COUNTS, 'missing', 'category',
         'wrong_object', 'other_ann_id', 'other_category', 'other_iou'),
        [_csv_row(x, result) for x in result.sentences])
    return files + draw_worst(result, osp.join(out_dir, 'worst'), worst)


def _csv_row(x: Sentence, result: MaskEvaluation) -> list:
    row = [x.item.get(key, '') for key in _IDS]
    row += [*x.parts, *csv_counts(x.counts, result.convention)]
    row += [int(x.missing), x.category, int(x.wrong_object)]
    if x.other is None:
        return row + ['', '', '']
    value = iou(x.other.intersection, x.other.union)
    return row + [x.other.ann_id, x.other.category, f'{value:.6f}']


def _badness(x: Sentence) -> tuple:
    """The worst first: the lowest IoU, and among equals the largest area."""
    if x.counts.no_target:
        return (float(x.counts.pred_no_target), -x.counts.predicted)
    inter, union = x.counts.scored_areas
    return (iou(inter, union), -union)


def draw_worst(result: MaskEvaluation, out_dir: str,
               number: int) -> list[str]:
    """Draw the sentences with the lowest IoU, the worst first.

    Args:
        result (MaskEvaluation): From :func:`evaluate_masks`.
        out_dir (str): Folder for the pictures.
        number (int): How many.

    Returns:
        list[str]: The files; the last is an overview of up to 24.
    """
    order = sorted(
        range(len(result.sentences)),
        key=lambda i: _badness(result.sentences[i]))[:max(number, 0)]
    files: list[str] = []
    thumbs: list[tuple[str, np.ndarray]] = []
    for rank, index in enumerate(order, 1):
        x = result.sentences[index]
        picture = _draw(result, index)
        name = file_safe(f'{rank:03d}_ref{x.item["ref_id"]}_'
                         f'sent{x.item["sent_id"]}.png')
        files.append(osp.join(out_dir, name))
        save_picture(picture, files[-1])
        if len(thumbs) < 24:
            thumbs.append((f'{rank}', picture))
    if thumbs:
        files.append(osp.join(out_dir, 'overview.png'))
        sheet = draw_panels(thumbs, columns=min(4, len(thumbs)))
        save_picture(sheet, files[-1])
    return files


def _draw(result: MaskEvaluation, index: int) -> np.ndarray:
    """A picture of one sentence, RGB, with a legend."""
    x = result.sentences[index]
    image = LoadRefImage()(dict(x.item))['img'][..., ::-1]
    true = result.masks.at_original_size(index)
    predicted = np.zeros_like(true)
    if not x.counts.pred_no_target:
        size = result.masks.compared_at(index)
        predicted = result.predictions.load(index, size).mask
    legend = [(FILLED, PREDICTION_COLOR, 'prediction') if predicted.any()
              else ('', PREDICTION_COLOR, 'prediction: ' +
                    ('missing' if x.missing else 'nothing'))]
    legend.append((DASHED, TRUTH_COLOR, 'target') if true.any() else
                  ('', TRUTH_COLOR, 'no target'))
    score = 100 * iou(*x.counts.scored_areas)
    legend.append(('', TEXT_COLOR, f'IoU {score:.1f}'))
    if x.other is not None:
        value = 100 * iou(x.other.intersection, x.other.union)
        what = x.other.category or 'object'
        how = 'another thing fits better' if x.wrong_object else 'next best'
        legend.append(('', FAINT_COLOR, f'{how}: {what} {x.other.ann_id}, '
                       f'IoU {value:.1f}'))
    picture = draw_referring_overlay(image, predicted, None, true)
    return add_banner(picture, str(x.item['text']), legend)
