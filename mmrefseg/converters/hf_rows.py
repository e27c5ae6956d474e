# Licensed under the Apache License, Version 2.0.
"""Rows of a Hugging Face data set: parquet files, or JSON lines of them."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .source import Source

# Columns by which the two layouts are known.
REFER_COLUMNS = ('raw_anns', 'raw_image_info', 'sentences', 'split')
ANSWER_COLUMNS = ('question_id', 'answer', 'segmentation', 'file_name')


class Row(NamedTuple):
    """A row.

    Attributes:
        values (dict): By column.
        where (str): File and number, from 0, for messages.
        split (str, optional): By the name of the file.
    """
    values: dict[str, Any]
    where: str
    split: str | None


def seems_hf_rows(source: Source) -> bool:
    """Whether a file of JSON lines has rows of one of the two layouts."""
    with source.path.open('rb') as file:
        try:
            first = json.loads(file.readline())
        except ValueError:
            return False
    return isinstance(first, dict) and layout_of(list(first)) is not None


def layout_of(columns: Sequence[str]) -> str | None:
    """'refer' or 'answers', or None where the columns are others."""
    if set(REFER_COLUMNS) <= set(columns):
        return 'refer'
    return 'answers' if set(ANSWER_COLUMNS) <= set(columns) else None


def read_rows(source: Source, columns: Sequence[str]) -> Iterator[Row]:
    """All rows of a file, or of all parquet files in a folder.

    Args:
        source (Source): A ``.parquet`` file, a ``.jsonl`` file as
            ``Dataset.to_json`` writes it, or a folder of parquet files.
        columns (Sequence[str]): What to read where it is there.

    Yields:
        Row: In the order of the file names and rows.

    Raises:
        ImportError: A parquet file, and pyarrow is not installed.
        ValueError: A file is damaged, or there is none.
    """
    paths = [source.path]
    if source.path.is_dir():
        paths = sorted(source.path.glob('*.parquet'))
        if not paths:
            raise ValueError(f'{source} has no .parquet files: give the '
                             'folder of the data set\'s parquet files, or one '
                             'of them.')
    for path in paths:
        is_text = path.suffix in ('.jsonl', '.ndjson', '.json')
        read = _json_lines if is_text else _parquet
        split = _split_of(path)
        for number, values in enumerate(read(path, columns)):
            yield Row(values, f'{path}: row {number}', split)


def _split_of(path: Path) -> str | None:
    """'testA' of 'testA-00000-of-00001-1f2e.parquet'."""
    named = re.match(r'(\w+?)-\d+-of-\d+', path.name)
    return named[1] if named else None


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[dict]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise ImportError(
            f'{path} is a parquet file, for which a reader is missing: pip '
            "install 'mmrefseg[parquet]', or save the rows as JSON lines with "
            "Dataset.to_json('rows.jsonl').") from None
    try:
        file = parquet.ParquetFile(path)
        there = [x for x in columns if x in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=64, columns=there):
            yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise ValueError(f'{path} cannot be read as parquet ({error}): it is '
                         'damaged or cut off; get it again.') from None


def _json_lines(path: Path, columns: Sequence[str]) -> Iterator[dict]:
    with path.open('rb') as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f'{path}: row {number} is not JSON '
                                 f'({error}).') from None
            if not isinstance(values, dict):
                raise ValueError(f'{path}: row {number} is not an object.')
            yield {key: values[key] for key in columns if key in values}
