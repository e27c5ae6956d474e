# Licensed under the Apache License, Version 2.0.
"""Lines of a converted set: checked, counted, written whole or not at all."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmrefseg.datasets.jsonl_refs import parse_line
from mmrefseg.fileio.atomic import open_atomically
from mmrefseg.structures import find_text_fault


@dataclass(frozen=True)
class Skipped:
    """An entry of which no line can be made.

    Attributes:
        reason (str): Why; the same text for all of one sort.
        where (str): File and entry.
    """
    reason: str
    where: str


@dataclass
class Report:
    """What was written.

    Attributes:
        sentences (Counter): Lines by split; None where none is named.
        refs (set): What tells objects from each other.
        images (set): Names of the images.
        skipped (Counter): Entries left out, by reason.
        examples (dict[str, str]): Of each reason the first entry.
    """
    sentences: Counter = field(default_factory=Counter)
    refs: set = field(default_factory=set)
    images: set = field(default_factory=set)
    skipped: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def skip(self, item: Skipped) -> None:
        """Count an entry that is left out."""
        self.skipped[item.reason] += 1
        self.examples.setdefault(item.reason, item.where)

    def __str__(self) -> str:
        counts = (f'{self.sentences.total()} sentences about '
                  f'{len(self.refs)} objects in {len(self.images)} images')
        named = [f'{split} {n}' for split, n in self.sentences.items()
                 if split is not None]
        lines = [f'{counts} ({", ".join(named)})' if named else counts]
        return '\n'.join(lines + self.reasons())

    def reasons(self) -> list[str]:
        """What was left out, a line for each reason."""
        return [
            f'{count} left out: {reason} (first: {self.examples[reason]})'
            for reason, count in self.skipped.most_common()
        ]


def write_lines(items: Iterable[dict | Skipped], out: str | Path) -> Report:
    """Write lines for :class:`~mmrefseg.datasets.JSONLinesRefDataset`.

    Args:
        items (Iterable[dict | Skipped]): A line each, in the order to be
            written, ``where`` of each among its fields for messages; it is
            not written. Sentences without text are left out.
        out (str | Path): The file.

    Returns:
        Report: What was written and what was not.

    Raises:
        ValueError: A line is none that the dataset reads, one ``ref_id`` is
            two objects, or nothing is left to be written. Nothing is written
            then, and an old file stays as it was.
    """
    report = Report()
    objects: dict[Any, tuple] = {}
    with open_atomically(out) as file:
        for item in items:
            if isinstance(item, Skipped):
                report.skip(item)
                continue
            where = item.pop('where')
            fault = find_text_fault(item['text'])
            if fault is not None:
                report.skip(Skipped(f'the sentence {fault}', where))
                continue
            line = json.dumps(item).encode()
            parse_line(line, where)
            _note(report, objects, item, where)
            file.write(line + b'\n')
        if not report.sentences:
            raise ValueError('Nothing is left to be written. ' +
                             ('; '.join(report.reasons()) or
                              'The set has no entry') + '.')
    return report


def _note(report: Report, objects: dict[Any, tuple], item: dict,
          where: str) -> None:
    mask = hash(json.dumps(item.get('segmentation') or item.get('mask')))
    key = item['image'], mask
    ref = item.get('ref_id', key)
    if objects.setdefault(ref, key) != key:
        raise ValueError(
            f'{where}: ref_id {ref} has another image or another mask than '
            'before: one ref_id is one object in one image; correct the file.')
    report.sentences[item.get('split')] += 1
    report.refs.add(ref)
    report.images.add(item['image'])
