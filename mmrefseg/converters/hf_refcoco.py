# Licensed under the Apache License, Version 2.0.
"""RefCOCO, RefCOCO+ and RefCOCOg as rows of Hugging Face data sets.

Two layouts, by the columns that the cards of the sets list
(huggingface.co/datasets/jxu124/refcoco and lmms-lab/RefCOCO):

- of ``jxu124/refcoco``, ``refcocoplus``, ``refcocog``: a row is a ref of
  REFER, with ``ref_id, ann_id, image_id, category_id, split, file_name,
  sentences`` (each ``raw, sent, sent_id, tokens``), ``raw_anns`` and
  ``raw_image_info`` (COCO's annotation and image record, as JSON text),
  ``image_path``, ``bbox``; no images.
- of ``lmms-lab/RefCOCO``, ``RefCOCOplus``, ``RefCOCOg``: a row is an object
  with all its sentences in ``answer``, the polygon in ``segmentation`` (one
  flat list of numbers), ``question_id, question, bbox, iscrowd, file_name``
  and the ``image`` itself. A flat list can hold one polygon: of an object
  that COCO draws in several, parts may be missing. The splits are val and
  test of both partitions together (8,811 = 3,811 + 5,000 rows in val).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmrefseg.datasets.field_checks import as_length, show
from mmrefseg.fileio import write_atomically
from mmrefseg.fileio.images import read_size
from .hf_rows import ANSWER_COLUMNS, REFER_COLUMNS, Row, layout_of, read_rows
from .source import Source, id_of, name_of, parse_json, text_of
from .writer import Skipped

_COLUMNS = (*REFER_COLUMNS, *ANSWER_COLUMNS, 'ref_id', 'ann_id', 'image_id',
            'category_id')


def read_hf_refcoco(source: Source,
                    *,
                    split: str | None = None,
                    sentence_field: str = 'raw',
                    save_images: str | None = None
                    ) -> Iterator[dict | Skipped]:
    """The lines of such rows.

    Args:
        source (Source): A parquet file, a folder of them, or the same rows
            as JSON lines.
        split (str, optional): Read the rows of this split alone.
        sentence_field (str): 'raw' or 'sent', as in
            :class:`~mmrefseg.datasets.RefCOCODataset`; for the first layout.
        save_images (str, optional): Folder for the images that are in the
            rows. Defaults to None: the lines name COCO's own files.

    Yields:
        dict or Skipped: Ids are those of REFER in the first layout; in the
        second ``ann_id`` and ``image_id`` are those in the file's name.

    Raises:
        ImportError: pyarrow is missing.
        ValueError: A row is of neither layout, or damaged.
    """
    columns = _COLUMNS if save_images is None else (*_COLUMNS, 'image')
    for row in read_rows(source, columns):
        layout = layout_of(list(row.values))
        if layout is None:
            raise ValueError(
                f'{row.where} has the columns '
                f'{", ".join(row.values) or "of neither layout"}; expected '
                f'are {", ".join(REFER_COLUMNS)} (jxu124/refcoco) or '
                f'{", ".join(ANSWER_COLUMNS)} (lmms-lab/RefCOCO).')
        if layout == 'refer':
            lines = _of_ref(row, sentence_field)
        else:
            lines = _of_answers(row, save_images)
        for line in lines:
            if split is None or isinstance(
                    line, Skipped) or line.get('split') == split:
                yield line


def _of_ref(row: Row, field: str) -> Iterator[dict | Skipped]:
    values, where = row.values, row.where
    ann, image = (
        _record(values, key, where) for key in ('raw_anns', 'raw_image_info'))
    shared = dict(
        where=where,
        image=name_of(image, 'file_name', f'{where}, raw_image_info'),
        segmentation=ann.get('segmentation'),
        split=text_of(values, 'split', where),
        **{
            key: id_of(values, key, where)
            for key in ('ref_id', 'image_id', 'ann_id', 'category_id')
        })
    if not shared['segmentation']:
        yield Skipped('its annotation has no mask', where)
        return
    size = [as_length(image.get(key)) for key in ('height', 'width')]
    if None not in size:
        shared['height'], shared['width'] = size
    sentences = values['sentences']
    if not isinstance(sentences, list) or not all(
            isinstance(x, dict) for x in sentences):
        raise ValueError(f'{where} has no list of sentences, but '
                         f'{show(sentences)}.')
    if not sentences:
        yield Skipped('it has no sentence', where)
    for sentence in sentences:
        yield dict(
            shared,
            text=text_of(sentence, field, f'{where}, a sentence'),
            sent_id=id_of(sentence, 'sent_id', f'{where}, a sentence'))


def _record(values: dict, key: str, where: str) -> dict:
    """COCO's record, which is JSON in a text."""
    found = parse_json(text_of(values, key, where), f'{where}, {key}')
    if not isinstance(found, dict):
        raise ValueError(f'{where}: "{key}" is {show(found)}, not an object.')
    return found


def _of_answers(row: Row, folder: str | None) -> Iterator[dict | Skipped]:
    values, where = row.values, row.where
    question = id_of(values, 'question_id', where)
    named = re.fullmatch(r'(COCO_\w+_(\d{12}))(?:_(\d+))?\.jpg',
                         name_of(values, 'file_name', where))
    if not named:
        raise ValueError(f'{where}: "file_name" is {values["file_name"]}, not '
                         'a name such as COCO_train2014_000000000009_1.jpg.')
    polygon = values['segmentation']
    if not isinstance(polygon, list) or not all(
            isinstance(x, (int, float)) for x in polygon) or len(polygon) % 2:
        raise ValueError(f'{where}: "segmentation" is {show(polygon)}, not '
                         'one polygon x0, y0, x1, y1, ...')
    texts = values['answer']
    if not isinstance(texts, list) or not all(
            isinstance(x, str) for x in texts):
        raise ValueError(f'{where}: "answer" is {show(texts)}, not a list of '
                         'sentences.')
    if len(polygon) < 6:
        yield Skipped('its polygon has no area', where)
        return
    line: dict[str, Any] = dict(
        where=where,
        image=f'{named[1]}.jpg',
        image_id=int(named[2]),
        question_id=question,
        segmentation=[polygon])
    if named[3]:
        line['ann_id'] = int(named[3])
    if row.split is not None:
        line['split'] = row.split
    if folder is not None:
        line.update(_save_image(values, Path(folder), named[1], where))
    for number, text in enumerate(texts):
        yield dict(line, text=text, sent_id=f'{question}_{number}')


def _save_image(values: dict, folder: Path, stem: str, where: str) -> dict:
    """Write the image that is in a row; its name and size."""
    image = values.get('image')
    content = image.get('bytes') if isinstance(image, dict) else None
    size = read_size(content) if isinstance(content, bytes) else None
    if not isinstance(content, bytes) or size is None:
        raise ValueError(f'{where} has no readable "image": leave out '
                         '--save-images and use COCO\'s own files.')
    name = stem + ('.png' if content.startswith(b'\x89PNG') else '.jpg')
    if not (folder / name).exists():  # a photo of several objects
        write_atomically(folder / name, content)
    return dict(image=name, height=size[0], width=size[1])
