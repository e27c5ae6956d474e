# Licensed under the Apache License, Version 2.0.
"""Instance annotations in COCO's layout, read and checked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets.field_checks import as_length, id_key, is_id, show, show_id
from ..datasets.leak_list import image_key, images_to_exclude
from .lvis_file import as_coco, is_lvis


@dataclass(frozen=True)
class Instances:
    """An instances file.

    Attributes:
        images (list[dict]): In the order of the file.
        annotations (dict): Lists of annotations by image id.
        names (dict): Category names by id.
        categories (list[dict]): As in the file.
        federated (bool): Of each image only some categories were looked for,
            as in LVIS; what is not annotated may be there.
        left_out (int): Annotations of LVIS that are not read, because their
            category is not marked wherever it is in their image.
    """
    images: list[dict]
    annotations: dict[Any, list[dict]]
    names: dict[Any, str]
    categories: list[dict]
    federated: bool = False
    left_out: int = 0


def read_instances(path: str | Path,
                   ids: Iterable[Any] | None = None,
                   leave_out: Sequence[str] = ()) -> Instances:
    """Read a file such as ``instances_train2017.json`` or, brought into its
    layout by :func:`~mmrefseg.derived_refs.lvis_file.as_coco`, one of LVIS.

    Args:
        path (str | Path): The file.
        ids (Iterable, optional): Only these photos, in the order of the
            file.
        leave_out (Sequence[str]): Leak lists or refs files (``.p``) whose
            held-out images are not read, such as those that RefCOCO tests
            on; see :func:`~mmrefseg.datasets.leak_list.images_to_exclude`.

    Returns:
        Instances: Photos without any annotation included.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not in COCO's layout, or an id is not in it; the
            message names the file and what in it.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(
            f'There is no file {path}: give the instances file of COCO or of '
            'a set in its layout.') from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not JSON ({error}).') from None
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content, dict) or not isinstance(
                content.get(key), list):
            raise ValueError(
                f'{path} is not an instances file in COCO\'s layout: it has '
                f'no list "{key}".')
    federated, left_out = is_lvis(content), 0
    if federated:
        content, left_out = as_coco(content)
    names = _names(content['categories'], path)
    images = _images(content['images'], path)
    of_image: dict[Any, list[dict]] = {x['id']: [] for x in images}
    for number, each in enumerate(content['annotations']):
        _check_annotation(each, number, names, path)
        if each['image_id'] not in of_image:
            raise ValueError(
                f'{path}: annotation {show_id(each.get("id"))} is of image '
                f'{show_id(each["image_id"])}, which is not in "images".')
        of_image[each['image_id']].append(each)
    if ids is not None:
        images = _select(images, ids, path)
    if leave_out:
        excluded = images_to_exclude(leave_out)
        images = [x for x in images if image_key(x['id']) not in excluded]
    return Instances(images, of_image, names, content['categories'], federated,
                     left_out)


def read_ids(path: str | Path) -> list[str]:
    """Ids of a text file, one a line; blank lines are left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has none.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').split('\n')
    except FileNotFoundError:
        raise FileNotFoundError(
            f'There is no file {path} of image ids.') from None
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise ValueError(f'{path} has no image ids: write one a line.')
    return ids


def _select(images: list[dict], ids: Iterable[Any], path: Path) -> list[dict]:
    wanted = {id_key(x): x for x in ids}
    found = [x for x in images if id_key(x['id']) in wanted]
    missing = wanted.keys() - {id_key(x['id']) for x in found}
    if missing:
        one = wanted[next(x for x in wanted if x in missing)]
        raise ValueError(f'{len(missing)} of {len(wanted)} image ids are not '
                         f'in {path}, such as {one}.')
    return found


def _names(categories: list, path: Path) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for each in categories:
        if not isinstance(each, dict) or not is_id(
                each.get('id')) or not isinstance(
                    each.get('name'), str) or not each['name'].strip():
            raise ValueError(f'{path}: the category {show(each)} needs an '
                             '"id" and a "name".')
        names[each['id']] = each['name']
    return names


def _images(images: list, path: Path) -> list[dict]:
    seen = set()
    for each in images:
        if not isinstance(each, dict) or not is_id(
                each.get('id')) or not isinstance(
                    each.get('file_name'), str) or any(
                        as_length(each.get(key)) is None
                        for key in ('width', 'height')):
            raise ValueError(f'{path}: the image {show(each)} needs "id", '
                             '"file_name", "width" and "height".')
        if each['id'] in seen:
            raise ValueError(f'{path} has two images with the id '
                             f'{show_id(each["id"])}.')
        seen.add(each['id'])
    return images


def _check_annotation(each: Any, number: int, names: Mapping[Any, str],
                      path: Path) -> None:
    if not isinstance(each, dict) or not is_id(
            each.get('image_id')) or not is_id(each.get('id')):
        raise ValueError(f'{path}: annotation number {number} needs "id" and '
                         '"image_id".')
    where = f'{path}: annotation {show_id(each["id"])}'
    if not each.get('segmentation'):
        raise ValueError(
            f'{where} has no "segmentation": a file of boxes alone, or of '
            'captions, has no masks to refer to.')
    category = each.get('category_id')
    if not is_id(category) or category not in names:
        raise ValueError(f'{where} has the category_id {show(category)}, '
                         'which is not in "categories".')
    box = each.get('bbox')
    if box is not None and (not isinstance(box, list) or len(box) != 4 or any(
            not isinstance(x, (int, float)) for x in box)):
        raise ValueError(f'{where}: "bbox" is {show(box)}, not four numbers.')
