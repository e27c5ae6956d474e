# Licensed under the Apache License, Version 2.0.
"""Which format a file seems to be, by what is in it."""

from typing import Any

from mmrefseg.derived_refs.lvis_file import is_lvis
from .hf_rows import seems_hf_rows
from .source import Source

# What is no format of the converter, and what to do with it.
OTHERS = {
    'coco':
    "instances in COCO's layout, without sentences; "
    'tools/dataset_converters/coco_to_refs.py derives sentences from them',
    'refer':
    'in the layout of REFER (RefCOCO, gRefCOCO, R-RefCOCO), which the '
    'datasets RefCOCODataset, GRefCOCODataset and RRefCOCODataset read as it '
    'is',
    'jsonl':
    'JSON lines already, which JSONLinesRefDataset reads as they are',
    'skipped-phrasecut':
    "PhraseCut's list of phrases that annotators skipped, which have no "
    'masks; give refer_train.json, refer_val.json or refer_test.json',
}


def guess_format(source: Source) -> str | None:
    """The format that a file or folder seems to be.

    Args:
        source (Source): The file or folder.

    Returns:
        str or None: A name of :data:`~mmrefseg.converters.FORMATS`, a key of
        ``OTHERS``, or None where nothing is recognised.

    Raises:
        ValueError: A JSON file is damaged.

    Example:
        >>> import json, tempfile
        >>> from mmrefseg.converters.guess import guess_format
        >>> from mmrefseg.converters.source import Source
        >>> row = dict(file_name='train2017/1.jpg', sentence='the sky',
        ...            pan_seg_file='panoptic_train2017/1.png', id=7)
        >>> with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        ...     json.dump([row], file)
        ...     file.flush()
        ...     guess_format(Source(file.name))
        'ris-cq'
    """
    if source.path.is_dir():
        if any(source.path.glob('*.parquet')):
            return 'hf-refcoco'
        return 'refer' if source.refs_files() else None
    if source.starts_with(b'PAR1'):
        return 'hf-refcoco'
    if source.starts_with(b'\x80', b'(l'):
        return 'refer'
    if source.path.suffix in ('.jsonl', '.ndjson'):
        return 'hf-refcoco' if seems_hf_rows(source) else 'jsonl'
    return _of_json(source.json())


def _of_json(content: Any) -> str | None:
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict):
        if 'pan_seg_file' in first:
            return 'ris-cq'
        if 'Polygons' in first:
            return 'phrasecut'
        if {'phrase', 'reason'} <= first.keys():
            return 'skipped-phrasecut'
        if {'ref_id', 'sentences'} <= first.keys():
            return 'refer'
        return None
    if not isinstance(content, dict):
        return None
    if isinstance(content.get('images'), list):
        if any(isinstance(x, dict) and 'caption' in x
               for x in content['images'][:1]):
            return 'mdetr'
        if is_lvis(content):
            return 'lvis'
        return 'coco' if 'annotations' in content else None
    for part in content.values():
        rows = part.values() if isinstance(part, dict) else part
        for row in rows if isinstance(rows, list) or isinstance(
                part, dict) else ():
            known = isinstance(row, dict) and {'img', 'command'} <= row.keys()
            return 'talk2car-regseg' if known else None
    return None
