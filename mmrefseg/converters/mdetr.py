# Licensed under the Apache License, Version 2.0.
"""Files for fine-tuning MDETR, such as ``finetune_refcoco_train.json``.

Layout (scripts/fine-tuning/refexp_coco_format.py of
github.com/ashkamath/mdetr, which writes them; Kamath et al., "MDETR", ICCV
2021): as COCO's instances, but each entry of ``images`` is a sentence, with
``caption``, ``dataset_name``, ``original_id`` (of COCO's image) and
``tokens_negative``; each annotation has ``original_id`` (of COCO's
annotation) and ``tokens_positive``. That script writes **boxes alone**; the
masks are then those of another file with the same annotation ids, such as
``instances_train2014.json`` or the ``instances.json`` of REFER.
"""

from collections.abc import Iterator
from typing import Any

from mmrefseg.datasets.annotation_store import AnnotationStore
from mmrefseg.datasets.field_checks import as_length, id_key
from mmrefseg.datasets.refer_files import load_instances
from mmrefseg.fileio.masks import unite
from .source import Source, entries, id_of, name_of, text_of
from .writer import Skipped

_BOXES = ('it has boxes alone, and a box is no mask; masks can come from '
          '--instances instances_train2014.json')


def read_mdetr(source: Source,
               *,
               instances: str | None = None,
               split: str | None = None) -> Iterator[dict | Skipped]:
    """The lines of a file in MDETR's layout.

    Args:
        source (Source): The JSON file.
        instances (str, optional): File in COCO's layout from which masks are
            taken, by the ``original_id`` of the annotations. Defaults to
            None: the masks are in the file itself.
        split (str, optional): Written in every line.

    Yields:
        dict or Skipped: ``sent_id`` is the id of the entry, ``image_id`` the
        ``original_id`` of the image, ``ann_id`` and ``ref_id`` that of the
        annotation; of several annotations of a sentence the mask is their
        union, and ``ref_id`` names all.

    Raises:
        FileNotFoundError: ``instances`` does not exist.
        ValueError: An entry is not of this form.
    """
    content = source.json()
    images = entries(content, 'images', source)
    of_entry: dict[Any, list[dict]] = {}
    for number, ann in enumerate(entries(content, 'annotations', source)):
        where = f'{source}: annotation {number}'
        of_entry.setdefault(id_of(ann, 'image_id', where), []).append(ann)
    masks = None if instances is None else _masks(instances, of_entry)
    for number, image in enumerate(images):
        entry = id_of(image, 'id', f'{source}: image {number}')
        where = f'{source}: image {entry}'
        own = of_entry.pop(entry, [])
        text = text_of(image, 'caption', where)
        line = dict(
            where=where,
            image=name_of(image, 'file_name', where),
            text=text,
            image_id=_original(image, where),
            sent_id=entry)
        size = [as_length(image.get(key)) for key in ('height', 'width')]
        if None not in size:
            line['height'], line['width'] = size
        if split is not None:
            line['split'] = split
        if isinstance(image.get('dataset_name'), str):
            line['dataset_name'] = image['dataset_name']
        yield _with_mask(line, own, masks, where)
    if of_entry:
        raise ValueError(
            f'{source}: {len(of_entry)} annotations are of images that are '
            f'not in "images", such as {next(iter(of_entry))}: it is cut off '
            'or mixed up.')


def _with_mask(line: dict, own: list[dict], masks: dict | None,
               where: str) -> dict | Skipped:
    if not own:
        return Skipped('no annotation belongs to the sentence', where)
    ids = [_original(ann, f'{where}: its annotation') for ann in own]
    found = []
    for ann, ann_id in zip(own, ids):
        if masks is None:
            segmentation = ann.get('segmentation')
            if not segmentation:
                return Skipped(_BOXES, where)
        else:
            record = masks.get(id_key(ann_id))
            if record is None:
                return Skipped('its annotation is not in the file of masks',
                               f'{where}, annotation {ann_id}')
            image_id = record.get('image_id', line['image_id'])
            if id_key(image_id) != id_key(line['image_id']):
                raise ValueError(
                    f'{where} speaks of image {line["image_id"]}, but '
                    f'annotation {ann_id} of the file of masks lies in image '
                    f'{image_id}: it is of another set.')
            segmentation = AnnotationStore([record['segmentation']])[0]
        found.append(segmentation)
    if len(found) == 1:
        line.update(ann_id=ids[0], ref_id=ids[0], segmentation=found[0])
        for key in ('category_id', 'tokens_positive'):
            if key in own[0]:
                line[key] = own[0][key]
    else:
        line.update(
            ref_id='+'.join(map(str, ids)), segmentation=unite(found))
    return line


def _original(record: dict, where: str) -> Any:
    """The id in COCO, or where there is none, in the file."""
    key = 'original_id' if 'original_id' in record else 'id'
    return id_of(record, key, where)


def _masks(path: str, of_entry: dict[Any, list[dict]]) -> dict[Any, dict]:
    wanted = {
        _original(ann, 'An annotation')
        for own in of_entry.values() for ann in own
    }
    return load_instances(path, wanted)[1]
