# Licensed under the Apache License, Version 2.0.
"""RRSIS-D: referring expressions about aerial images, in REFER's layout.

Layout (github.com/Lsan2401/RMSIN and its issues 2, 12 and 32; Liu et al.,
"Rotated Multi-Scale Interaction Network for Referring Remote Sensing Image
Segmentation", CVPR 2024)::

    rrsisd/refs(unc).p, rrsisd/instances.json
    images/rrsisd/JPEGImages/00001.jpg
    images/rrsisd/ann_split/00001.xml

A mask is COCO's compressed run lengths, as the one entry of the list
``segmentation``. The XML files in the form of VOC repeat masks, and hold
further expressions without any; neither the authors' code nor this reader
uses them. Images may be a pixel larger than annotated; see ``size_mismatch``
of the datasets.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmrefseg.datasets.annotation_store import AnnotationStore
from mmrefseg.datasets.field_checks import id_key, is_id
from mmrefseg.datasets.refer_files import (list_refs_files, load_instances,
                                           load_refs)
from .source import Source, text_of
from .writer import Skipped

_PLACES = ('', 'rrsisd', 'refer/data/rrsisd')


def read_rrsis_d(source: Source,
                 *,
                 split: str | None = None,
                 sentence_field: str = 'raw') -> Iterator[dict | Skipped]:
    """The lines of a folder of RRSIS-D, or of another set of one target per
    ref in REFER's layout.

    Args:
        source (Source): The folder of ``refs(unc).p`` and
            ``instances.json``, or one above.
        split (str, optional): Read this split alone.
        sentence_field (str): 'raw' or 'sent', as in
            :class:`~mmrefseg.datasets.RefCOCODataset`.

    Yields:
        dict or Skipped: With the ids of the refs file, and the annotated
        size of the image.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged or not of this form, or there is no
            such split.
    """
    folder, name = _find(source)
    path = str(folder / name)
    refs = load_refs(path)
    splits = dict.fromkeys(ref['split'] for ref in refs)
    if split is not None and split not in splits:
        raise ValueError(f'{path} has no split {split!r}, but '
                         f'{", ".join(splits)}: choose one of these.')
    images, annotations = load_instances(
        str(folder / 'instances.json'), {ref['ann_id'] for ref in refs})
    for ref in refs:
        if split in (None, ref['split']):
            yield from _lines(ref, images, annotations, sentence_field,
                              f'{path}: ref {ref["ref_id"]}')


def _find(source: Source) -> tuple[Path, str]:
    """The folder, and the name of its refs file."""
    if not source.path.is_dir():
        raise ValueError(f'{source} is a file: give the folder of refs(unc).p '
                         'and instances.json.')
    for place in _PLACES:
        names = list_refs_files(str(source.path / place))
        if len(names) > 1:
            raise ValueError(f'{source.path / place} has several refs files '
                             f'({", ".join(names)}), but RRSIS-D has one.')
        if names:
            return source.path / place, names[0]
    raise FileNotFoundError(f'{source} has no refs(unc).p, neither in itself '
                            f'nor in {" or ".join(_PLACES[1:])}: give the '
                            'folder of refs(unc).p and instances.json.')


def _lines(ref: dict, images: dict[Any, dict], annotations: dict[Any, dict],
           field: str, where: str) -> Iterator[dict | Skipped]:
    image = images.get(id_key(ref['image_id']))
    ann = annotations.get(id_key(ref['ann_id']))
    if image is None or ann is None:
        yield Skipped('its image or its annotation is not in instances.json',
                      where)
        return
    if id_key(ann.get('image_id', image['id'])) != id_key(image['id']):
        raise ValueError(f'{where} speaks of image {image["id"]}, but its '
                         f'annotation lies in image {ann["image_id"]}.')
    if not ref['sentences']:
        yield Skipped('it has no sentence', where)
    category = ref.get('category_id', ann.get('category_id'))
    for sentence in ref['sentences']:
        line = dict(
            where=where,
            image=image['file_name'],
            text=text_of(sentence, field, f'{where}, a sentence'),
            segmentation=AnnotationStore([ann['segmentation']])[0],
            height=image['height'],
            width=image['width'],
            split=ref['split'],
            ref_id=ref['ref_id'],
            image_id=ref['image_id'],
            ann_id=ref['ann_id'])
        if is_id(category):
            line['category_id'] = category
        if is_id(sentence.get('sent_id')):
            line['sent_id'] = sentence['sent_id']
        yield line
