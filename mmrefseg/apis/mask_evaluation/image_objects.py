# Licensed under the Apache License, Version 2.0.
"""The other objects of an image, which could be segmented by mistake."""

import json
import logging
from typing import Any

from mmengine.logging import print_log

from mmrefseg.datasets import BaseRefDataset, RefCOCODataset
from mmrefseg.datasets.field_checks import id_key, is_id
from mmrefseg.evaluation.confusion import ImageObject
from mmrefseg.fileio.masks import rasterize
from mmrefseg.fileio.run_lengths import encode_run_lengths
from .true_masks import TrueMasks


class ImageObjects:
    """All annotated objects of the images of a dataset.

    Of a set in the REFER layout these are the annotations of
    ``instances.json`` but for crowds, which are no single objects; of any
    other set the objects that its sentences mean.

    Args:
        dataset (BaseRefDataset): The dataset.
        masks (TrueMasks): Draws masks at the size of comparison.
    """

    def __init__(self, dataset: BaseRefDataset, masks: TrueMasks) -> None:
        self.masks = masks
        self.damaged: list[str] = []
        self._drawn: dict[Any, list[ImageObject]] = {}
        self._records: dict[Any, list[tuple]] | None = None
        self.categories: dict[Any, str] = {}
        if isinstance(dataset, RefCOCODataset):
            images = {id_key(item['image_id']) for item in masks.items}
            self._records, self.categories = _read_objects(
                dataset.ann_file, images)
        else:
            self._items: dict[Any, list[int]] = {}
            for index, item in enumerate(masks.items):
                self._items.setdefault(item['image_id'], []).append(index)

    def category(self, item: dict) -> str:
        """Category of a target, such as 'person'; empty if not known."""
        ids = item.get('category_id')
        ids = ids if isinstance(ids, list) else [ids]
        names = {self.categories.get(id_key(x), '') for x in ids if is_id(x)}
        return ' and '.join(sorted(names - {''}))

    def others(self, index: int) -> list[ImageObject]:
        """The objects of an image that a sentence does not mean.

        Args:
            index (int): Of the sentence.

        Returns:
            list[ImageObject]: In the order of the file.
        """
        item = self.masks.items[index]
        image = item['image_id']
        if image not in self._drawn:
            if self._records is None:
                self._drawn[image] = self._of_sentences(image)
            else:
                self._drawn[image] = self._of_file(
                    self._records[id_key(image)], index)
        if item.get('no_target', False):
            return self._drawn[image]
        if self._records is None:
            own = encode_run_lengths(self.masks.draw(index))
            return [x for x in self._drawn[image] if x.rle != own]
        ids = item['ann_id']
        ids = set(map(id_key, ids if isinstance(ids, list) else [ids]))
        return [x for x in self._drawn[image] if id_key(x.ann_id) not in ids]

    def _of_file(self, records: list[tuple], index: int) -> list[ImageObject]:
        objects = []
        for ann_id, category, segmentation in records:
            try:
                mask = rasterize(segmentation, *self.masks.size(index))
            except ValueError as error:
                self.damaged.append(f'annotation {ann_id}: {error}')
                continue
            objects.append(
                ImageObject(ann_id, self.category(dict(category_id=category)),
                            encode_run_lengths(self.masks.scale(mask))))
        return objects

    def _of_sentences(self, image: Any) -> list[ImageObject]:
        objects: dict[str, ImageObject] = {}
        for number in self._items[image]:
            item = self.masks.items[number]
            if not item.get('no_target', False):
                rle = encode_run_lengths(self.masks.draw(number))
                objects.setdefault(
                    rle['counts'],
                    ImageObject(f'ref {item["ref_id"]}', '', rle))
        return list(objects.values())

    def tell_of_damage(self) -> None:
        """Warn of objects that could not be drawn."""
        if self.damaged:
            print_log(
                f'{len(self.damaged)} objects beside those meant cannot be '
                'drawn and are left out where it is asked what was segmented '
                'instead: ' + '; '.join(self.damaged[:5]),
                logger='current',
                level=logging.WARNING)


def _read_objects(
    path: str, images: set[Any]
) -> tuple[dict[Any, list[tuple]], dict[Any, str]]:
    """Id, category id and segmentation of the objects of some images, by
    image, and the names of the categories."""

    def slim(record: dict) -> dict | None:
        if 'segmentation' not in record:
            return record
        image = record.get('image_id')
        wanted = is_id(image) and id_key(image) in images
        return record if wanted and not record.get('iscrowd') else None

    with open(path, 'rb') as file:  # in any encoding that JSON may have
        content = json.load(file, object_hook=slim)
    records: dict[Any, list[tuple]] = {image: [] for image in images}
    for ann in content['annotations']:
        if isinstance(ann, dict) and 'segmentation' in ann:
            records[id_key(ann['image_id'])].append(
                (ann.get('id'), ann.get('category_id'), ann['segmentation']))
    return records, _names(content.get('categories'))


def _names(categories: Any) -> dict[Any, str]:
    """Names of categories by id. They only make reading easier, so what is
    not of COCO's form is left out."""
    if not isinstance(categories, list):
        return {}
    return {
        id_key(x['id']): str(x['name'] if is_id(x.get('name')) else x['id'])
        for x in categories if isinstance(x, dict) and is_id(x.get('id'))
    }
