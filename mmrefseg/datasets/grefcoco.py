# Licensed under the Apache License, Version 2.0.
"""gRefCOCO: sentences about one object, several, or none."""

from typing import Any

from mmrefseg.registry import DATASETS
from .field_checks import id_key
from .refcoco import RefCOCODataset
from .refer_files import annotations_of, find_contradiction


@DATASETS.register_module()
class GRefCOCODataset(RefCOCODataset):
    """Referring expressions in the layout of gRefCOCO.

    As :class:`RefCOCODataset`, with ``grefs(<split_by>).json`` (or ``.p``) in
    place of ``refs(<split_by>).p``. A ref lists its annotations in
    ``ann_id``: one id, a list of ids, or ``[-1]`` where the sentences have
    no target in the image. The mask of several annotations is their union,
    crowd annotations included; of none it is empty.

    An item also has ``no_target`` (bool), and ``ann_id`` and ``category_id``
    as lists.

    Args:
        others: See :class:`RefCOCODataset`. The public file has refs without
            sentences: ``empty_sentences='skip'`` leaves these out.

    Raises:
        FileNotFoundError: See :class:`RefCOCODataset`.
        ValueError: See there; also where ``ann_id`` is none of the above, or
            ``no_target`` of the ref contradicts it.

    Example:
        >>> config = dict(type='GRefCOCODataset', split='val', split_by='unc',
        ...               data_root='data/coco/grefcoco')
    """

    refs_names = ('grefs({}).json', 'grefs({}).p')
    many_annotations = True

    def _annotation_ids(self, ref: dict, refs_file: str) -> tuple[Any, ...]:
        ids = annotations_of(ref, refs_file)
        fault = find_contradiction(ref, ids)
        if fault is not None:
            raise ValueError(f'Ref {ref["ref_id"]} of {refs_file} {fault}: '
                             'correct the file, see docs/data.md.')
        return ids

    def _parse_ref(self, ref: dict, ids: tuple[Any, ...],
                   images: dict[Any, dict], annotations: dict[Any, dict],
                   where: str) -> dict:
        shared = super()._parse_ref(ref, ids, images, annotations, where)
        categories = [
            annotations[id_key(i)].get('category_id') for i in ids
        ]
        shared.update(
            ann_id=list(ids), category_id=categories, no_target=not ids)
        return shared
