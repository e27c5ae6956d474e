# Licensed under the Apache License, Version 2.0.
"""Records of predicted masks in files that any program has written."""

import json
from collections.abc import Iterator
from typing import Any

from mmrefseg.datasets.field_checks import show


def read_records(path: str) -> list[tuple[str, dict]]:
    """The records of a ``.json`` or ``.jsonl`` file.

    Args:
        path (str): A list of records, or, if its name ends with ``.jsonl``,
            one record per line; UTF-8, with or without a byte order mark.

    Returns:
        list[tuple[str, dict]]: The records, each with its place for messages.

    Raises:
        ValueError: The file is not of this form, or holds no record at all.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 ({error.reason} at byte '
                         f'{error.start}): save it as UTF-8.') from None
    lines = text.split('\n') if path.endswith('.jsonl') else None
    records = list(_list(text, path) if lines is None else _lines(lines, path))
    for where, record in records:
        if not isinstance(record, dict):
            raise ValueError(f'{where} is no object {{"sent_id": ..., '
                             '"segmentation": ...}.')
    if not records:
        raise ValueError(
            f'{path} holds no predictions at all. A sentence for which '
            'nothing is predicted has a record with "segmentation": [].')
    return records


def _list(text: str, path: str) -> Iterator[tuple[str, Any]]:
    content = _parse(text, path)
    if not isinstance(content, list):
        raise ValueError(f'{path} cannot be read (its content is no list of '
                         'records).')
    for number, record in enumerate(content):
        yield f'Record {number} of {path}', record


def _lines(lines: list[str], path: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f'{path}:{number}', _parse(line, f'{path}:{number}')


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f'{where} cannot be read ({error}).') from None
    except RecursionError:
        raise ValueError(f'{where} cannot be read (it is nested too '
                         'deeply).') from None


def id_text(value: Any) -> str:
    """An id as a text, the same of 7, "7" and 7.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def with_whole_numbers(segmentation: list | dict) -> list | dict:
    """Run lengths with numbers that are whole as integers.

    Some programs write all numbers as floats.

    Args:
        segmentation (list or dict): Polygons, or run lengths.

    Returns:
        list or dict: The same; 3.0 among run lengths and in a size is 3.

    Raises:
        ValueError: One of them is no whole number; with the reason alone.
    """
    if isinstance(segmentation, list):
        return [
            with_whole_numbers(x) if isinstance(x, dict) else x
            for x in segmentation
        ]
    return {
        key: _whole_numbers(value, key) if key in ('size', 'counts')
        and isinstance(value, list) else value
        for key, value in segmentation.items()
    }


def _whole_numbers(values: list, key: str) -> list[int]:
    for value in values:
        if not isinstance(value, (int, float)) or value != value // 1:
            raise ValueError(f'its "{key}" must be whole numbers, not '
                             f'{show(value)}')
    return [int(x) for x in values]
