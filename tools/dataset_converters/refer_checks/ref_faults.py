# Licensed under the Apache License, Version 2.0.
"""Faults of refs and sentences, as far as a refs file alone shows them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mmrefseg.datasets.field_checks import (id_key, is_id, is_note, is_truth,
                                            show, show_id)
from mmrefseg.datasets.leak_list import is_held_out
from mmrefseg.datasets.refer_files import annotations_of, find_contradiction
from mmrefseg.structures import find_text_fault


class Fault(NamedTuple):
    """Something wrong with a set.

    Attributes:
        kind (str): A short name, the same for all faults of this sort.
        what (str): A sentence about this one.
        split (str, optional): The split that it concerns.
        harmless (bool): Whether training and testing go on as if it were not
            there.
    """
    kind: str
    what: str
    split: str | None = None
    harmless: bool = False


def find_ref_faults(refs: Sequence[dict],
                    path: str,
                    *,
                    general: bool,
                    absent: bool,
                    sentence_field: str = 'raw') -> Iterator[Fault]:
    """Look for faults in the refs of a file.

    Args:
        refs (Sequence[dict]): From
            :func:`~mmrefseg.datasets.refer_files.load_refs`, ``many=True``.
        path (str): The file, to be named.
        general (bool): Whether a ref may speak of several annotations or of
            none, and have no sentences (gRefCOCO).
        absent (bool): Whether a sentence may say ``exist`` (R-RefCOCO).
        sentence_field (str): Where the text is, 'raw' or 'sent'.

    Yields:
        Fault: One after the other; none raises.
    """
    for ref in refs:
        where, split = f'Ref {ref["ref_id"]}', ref['split']
        ids = ref['ann_id']
        if not general and (isinstance(ids, (list, tuple)) or ids == -1):
            yield Fault(
                'several or no annotations',
                f'{where} has ann_id {show(ids)}, which only the files '
                'grefs(...) of gRefCOCO may have.', split)
        for twice in repeated(ids if isinstance(ids, (list, tuple)) else ()):
            yield Fault('annotation named twice',
                        f'{where} names annotation {twice} twice.', split,
                        True)
        contradiction = find_contradiction(ref, annotations_of(ref, path))
        if general and contradiction is not None:
            yield Fault('no_target that contradicts ann_id',
                        f'{where} {contradiction}.', split)
        if not is_note(ref.get('category_id')):
            yield Fault(
                'category_id that is no number',
                f'{where} has a {type(ref["category_id"]).__name__} as '
                'category_id.', split)
        if not ref['sentences']:
            # The public file of gRefCOCO has such, and its authors skip them.
            yield Fault('ref without sentences', f'{where} has no sentences.',
                        split, general)
        for sentence in ref['sentences']:
            for kind, what in _sentence_faults(sentence, sentence_field,
                                               absent):
                name = show_id(sentence.get('sent_id'))
                yield Fault(kind, f'{where}: sentence {name} {what}.', split)
    yield from _duplicates(refs, path)
    tested = {
        id_key(x['image_id'])
        for x in refs if is_held_out(x['split'])
    }
    trained = {id_key(x['image_id']) for x in refs if x['split'] == 'train'}
    if tested & trained:
        # RefCOCOg's Google split is made so.
        yield Fault(
            'images in train and in val or test',
            f'{len(tested & trained)} images are trained on and tested on, '
            f'such as {min(map(str, tested & trained))}.', harmless=True)


def repeated(values: Iterable[Any]) -> list[Any]:
    """The ids that occur more than once."""
    counts = Counter(map(id_key, filter(is_id, values)))
    return [x for x, n in counts.items() if n > 1]


def _sentence_faults(sentence: dict, sentence_field: str,
                     absent: bool) -> Iterator[tuple]:
    """Kind, and a phrase that follows the sentence's name."""
    text = sentence.get(sentence_field)
    if not isinstance(text, str):
        other = dict(raw='sent', sent='raw')[sentence_field]
        yield 'sentence without text', (
            f'has no text under "{sentence_field}"' +
            (f', but under "{other}" (option sentence_field)'
             if isinstance(sentence.get(other), str) else ''))
    else:
        fault = find_text_fault(text)
        if fault is not None:
            yield ('empty sentence'
                   if 'empty' in fault else 'damaged sentence'), fault
    sent_id = sentence.get('sent_id')
    if sent_id is not None and not is_id(sent_id):
        yield 'sent_id that is no id', (
            f'has a {type(sent_id).__name__} as sent_id')
    if absent and not is_truth(sentence.get('exist', True)):
        yield 'exist that is neither true nor false', (
            f'has exist={show(sentence["exist"])}')


def _duplicates(refs: Sequence[dict], path: str) -> Iterator[Fault]:
    split_of = {
        'ref_id': [(x['ref_id'], x['split']) for x in refs],
        'sent_id': [(x.get('sent_id'), ref['split']) for ref in refs
                    for x in ref['sentences']]
    }
    for what, pairs in split_of.items():
        known = {id_key(x): split for x, split in pairs if is_id(x)}
        for twice in repeated(known_id for known_id, _ in pairs):
            yield Fault(f'duplicate {what}',
                        f'{path} has {what} {twice} more than once.',
                        known[twice])
