# Licensed under the Apache License, Version 2.0.
"""Annotation files of LVIS, brought into COCO's layout.

LVIS (Gupta, Dollar, Girshick, CVPR 2019; the reader that its authors
published, github.com/lvis-dataset/lvis-api) differs from COCO's instances
files in what matters here as follows. An image has ``coco_url`` and, in v1,
no ``file_name``; a category has ``name`` such as 'bow_(weapon)', ``synonyms``,
``def`` and ``synset``. It is *federated*: of an image, only the categories
that are annotated in it or listed in its ``neg_category_ids`` were looked
for, and those in its ``not_exhaustive_category_ids`` are not marked wherever
they are.
"""

import re
from typing import Any
from urllib.parse import urlsplit

_OF_CATEGORIES = {'synset', 'synonyms', 'def', 'frequency'}
_OF_IMAGES = {'neg_category_ids', 'not_exhaustive_category_ids'}


def is_lvis(content: Any) -> bool:
    """Whether the content of a JSON file is of LVIS.

    Args:
        content (Any): What the file holds.
    """
    if not isinstance(content, dict):
        return False
    return _has_keys(content.get('categories'), _OF_CATEGORIES) or _has_keys(
        content.get('images'), _OF_IMAGES)


def as_coco(content: dict) -> tuple[dict, int]:
    """The same file in COCO's layout.

    - ``file_name`` of an image is the end of its ``coco_url``, folder
      included ('train2017/000000391895.jpg'): val has images of COCO's
      train2017, too.
    - A category is called by its ``name``, without underscores and what
      stands in parentheses, so that two kinds of bow are both a 'bow'. Its
      ``synonyms`` are not used: those of several categories overlap.
    - Annotations of a category that its image lists in
      ``not_exhaustive_category_ids`` are left out: "the cup" may not be the
      only one.

    Args:
        content (dict): With lists ``images``, ``annotations`` and
            ``categories``; not changed. Entries of another form are kept as
            they are, to be refused where entries are checked.

    Returns:
        tuple[dict, int]: The file, and how many annotations were left out.

    Example:
        >>> from mmrefseg.derived_refs.lvis_file import as_coco
        >>> url = 'http://images.cocodataset.org/train2017/000000391895.jpg'
        >>> coco, left_out = as_coco(dict(
        ...     images=[dict(id=391895, coco_url=url)], annotations=[],
        ...     categories=[dict(id=1, name='bow_(weapon)')]))
        >>> coco['images'][0]['file_name'], coco['categories'][0]['name']
        ('train2017/000000391895.jpg', 'bow')
    """
    images = [_with_file_name(x) for x in content['images']]
    loose = {_pair(x.get('id'), category)
             for x in images if isinstance(x, dict)
             for category in x.get('not_exhaustive_category_ids') or ()}
    annotations = [
        x for x in content['annotations'] if not isinstance(x, dict) or _pair(
            x.get('image_id'), x.get('category_id')) not in loose
    ]
    categories = [_with_plain_name(x) for x in content['categories']]
    left_out = len(content['annotations']) - len(annotations)
    return dict(
        content,
        images=images,
        annotations=annotations,
        categories=categories), left_out


def _pair(image_id: Any, category_id: Any) -> str:
    """Both as text, since a damaged file may hold a list there."""
    return f'{image_id} {category_id}'


def _has_keys(entries: Any, keys: set[str]) -> bool:
    first = entries[0] if isinstance(entries, list) and entries else None
    return isinstance(first, dict) and bool(keys & first.keys())


def _with_file_name(image: Any) -> Any:
    if not isinstance(image, dict) or image.get('file_name') or not isinstance(
            image.get('coco_url'), str):
        return image
    path = urlsplit(image['coco_url']).path.split('/')
    return dict(image, file_name='/'.join(path[-2:]))


def _with_plain_name(category: Any) -> Any:
    if not isinstance(category, dict) or not isinstance(
            category.get('name'), str):
        return category
    name = re.sub(r'\(.*?\)', ' ', category['name'].replace('_', ' '))
    return dict(category, name=' '.join(name.split()) or category['name'])
