# Licensed under the Apache License, Version 2.0.
"""Scores of a split and of its parts: numbers, table, CSV file."""

import csv
import io
import logging
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmengine.logging import print_log
from prettytable import PrettyTable

from mmrefseg.fileio import write_atomically
from .breakdowns import NO_VALUE, group_by
from .conventions import Convention
from .counts import Counts
from .no_target_scores import RULES_OF_REFS, rela_areas, score_sentences
from .scores import iou


class Row(NamedTuple):
    """A line of the table: which sentences, how many, their scores."""

    title: str
    number: int
    scores: dict[str, float]


def score_split(items: Sequence[Counts], labels: Sequence[tuple[str, ...]],
                fields: Sequence[str],
                convention: Convention) -> tuple[dict[str, float], list[Row]]:
    """Scores of a split and of its parts.

    Args:
        items (sequence[Counts]): One for each sentence, at least one.
        labels (sequence[tuple[str]]): For each sentence its part by each
            field.
        fields (sequence[str]): The fields.
        convention (Convention): What to compute.

    Returns:
        tuple[dict, list[Row]]: The scores in percent, those of a part as
        '<field>/<part>/<score>'; and the lines of the table.
    """
    _warn_of_no_target(items, convention)
    metrics = score_sentences(items, convention)
    rows = [Row('all', len(items), dict(metrics))]
    for index, field in enumerate(fields):
        column = [x[index] for x in labels]
        if all(label == NO_VALUE for label in column):
            print_log(
                f'No sample has the field "{field}": the results are not '
                'split by it.',
                logger='current',
                level=logging.WARNING)
            continue
        groups = group_by(column)
        refs_are_split = _split_refs(items, groups)
        for label, members in groups.items():
            part = score_sentences([items[k] for k in members], convention)
            if refs_are_split:
                part = {
                    key: value
                    for key, value in part.items() if key not in RULES_OF_REFS
                }
            rows.append(Row(f'{field}: {label}', len(members), part))
            metrics.update({
                f'{field}/{label}/{key}': part[key]
                for key in _brief(part)
            })
    return metrics, rows


def _split_refs(items: Sequence[Counts], groups: dict[str,
                                                      list[int]]) -> bool:
    """Whether sentences of one ref are in several parts: then no part holds
    whole refs."""
    part_of: dict[Any, str] = {}
    return any(
        part_of.setdefault(items[k].ref, label) != label
        for label, members in groups.items() for k in members
        if items[k].ref is not None)


def _brief(scores: dict[str, float]) -> list[str]:
    """The keys that are reported of a part: all, but only one P@X."""
    precisions = [key for key in scores if key[0] == 'P']
    return [key for key in scores if key not in precisions[1:]]


def _warn_of_no_target(items: Sequence[Counts],
                       convention: Convention) -> None:
    number = sum(x.no_target for x in items)
    if number and not convention.no_target:
        print_log(
            f'{number} of {len(items)} sentences have no target in their '
            'image, and no rule is chosen for them: an empty prediction has '
            f'IoU {convention.empty_iou} there, any other 0. Set '
            "no_target='rela' or 'rris' in ReferringIoUMetric.",
            logger='current',
            level=logging.WARNING)


def format_table(rows: Sequence[Row], convention: Convention) -> str:
    """The lines as a table with notes on the convention below it."""
    keys: list[str] = []
    for row in rows:
        keys += [key for key in row.scores if key not in keys]
    table = PrettyTable()
    table.field_names = ['sentences', 'number'] + [
        f'P@{key[1:]}' if key[0] == 'P' else key for key in keys
    ]
    table.align = 'r'
    table.align['sentences'] = 'l'
    for title, number, scores in rows:
        if re.match(r'size: \d', title):
            title += ' %'
        table.add_row([re.sub('-up( %)?$', r'+\1', title), number] + [
            f'{scores[key]:.2f}' if key in scores else '-' for key in keys
        ])
    size = dict(original='size of the image', input='input size')
    notes = [f'percent; masks compared at the {size[convention.eval_size]}']
    if convention.thresholds:
        notes.append(f'P@X: IoU {convention.precision_compare} X')
    if 'pointing' in keys:
        notes.append('pointing: most probable pixel on the target')
    if convention.no_target:
        notes.append('oIoU, mIoU and P@X: of sentences with a target')
    return f'{table}\n({"; ".join(notes)})'


# The sum of `intersection` by that of `union` is oIoU, by that of `rela_union`
# over all sentences cIoU.
CSV_COUNTS = ('intersection', 'union', 'rela_union', 'iou', 'true_area',
              'no_target', 'pred_no_target')


def csv_counts(item: Counts, convention: Convention) -> list[Any]:
    """The cells of :data:`CSV_COUNTS` of a sentence, and whether it was
    pointed at, where that was asked."""
    inter, union = item.scored_areas
    value = iou(inter, union, convention.empty_iou)
    if item.no_target and 'rela' in convention.no_target:
        value = float(item.pred_no_target)
    cells = [
        inter, union,
        rela_areas(item)[1], f'{value:.6f}', item.truth,
        int(item.no_target),
        int(item.pred_no_target)
    ]
    return cells if item.pointed is None else [*cells, int(item.pointed)]


def write_csv(path: str, header: Sequence[str],
              rows: Sequence[Sequence[Any]]) -> None:
    """Write a table that spreadsheets read, whole or not at all."""
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
