# Licensed under the Apache License, Version 2.0.
"""What is in a photo and where, as arrays: all that most sentences need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mmrefseg.fileio.masks import rasterize


@dataclass(frozen=True)
class Layout:
    """The objects of a photo.

    Attributes:
        image_id (int or str): Of the photo.
        width, height (int): Pixels.
        box (np.ndarray): ``n x 4``, float64: x0, y0, x1, y1 as shares of
            width and height.
        area (np.ndarray): ``n``, float64: share of the photo.
        category (tuple[str]): Name of each object's category.
        crowd (np.ndarray): ``n``, bool: a region of several things.
        target (np.ndarray): ``n``, bool: may be the target of a sentence.
        annotations (tuple[dict]): Of the file, for masks.
    """
    image_id: Any
    width: int
    height: int
    box: np.ndarray
    area: np.ndarray
    category: tuple[str, ...]
    crowd: np.ndarray
    target: np.ndarray
    annotations: tuple[Mapping[str, Any], ...] = field(repr=False, default=())

    def __len__(self) -> int:
        return len(self.category)

    @cached_property
    def square(self) -> np.ndarray:
        """Boxes with one unit for both axes: the root of the photo's area."""
        side = (self.width * self.height)**0.5
        scale = np.array([self.width, self.height] * 2) / side
        return self.box * scale

    def mask(self, i: int) -> np.ndarray:
        """``height x width``, uint8: 1 on an object."""
        return draw(self.annotations[i], self.height, self.width)


def make_layout(image: Mapping[str, Any],
                annotations: Sequence[Mapping[str, Any]],
                names: Mapping[Any, str],
                *,
                min_area: float = 0.004,
                ignore_below: float = 0.) -> Layout:
    """The layout of one photo of a COCO file.

    Args:
        image (Mapping): Its ``id``, ``width``, ``height``.
        annotations (Sequence[Mapping]): Of this photo, with ``segmentation``
            and ``category_id``; ``bbox`` and ``area`` are computed where
            they are missing.
        names (Mapping): Category names by id.
        min_area (float): Share of the photo below which an object is no
            target; it still makes sentences about others ambiguous.
        ignore_below (float): Share of the photo below which an object does
            not even count for ambiguity. Defaults to 0: all count.

    Returns:
        Layout: The objects in the order given.

    Raises:
        ValueError: A segmentation cannot be drawn; the message names the
            annotation and the reason.
    """
    width, height = int(image['width']), int(image['height'])
    boxes, areas = [], []
    for each in annotations:
        box, area = each.get('bbox'), each.get('area')
        if box is None or area is None:
            box, area = _measure(draw(each, height, width))
        boxes.append((box[0], box[1], box[0] + box[2], box[1] + box[3]))
        areas.append(area)
    box = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    box = np.clip(box / np.array([width, height] * 2), 0, 1)
    area = np.asarray(areas, dtype=np.float64) / (width * height)
    crowd = np.array([bool(x.get('iscrowd', 0)) for x in annotations], bool)
    kept = np.flatnonzero((area >= ignore_below) | crowd).tolist()
    return Layout(
        image_id=image['id'],
        width=width,
        height=height,
        box=box[kept],
        area=area[kept],
        category=tuple(names[annotations[i]['category_id']] for i in kept),
        crowd=crowd[kept],
        target=(area[kept] >= min_area) & ~crowd[kept],
        annotations=tuple(annotations[i] for i in kept))


def draw(annotation: Mapping[str, Any], height: int,
         width: int) -> np.ndarray:
    """The mask of an annotation, ``height x width``, uint8, 1 on it.

    Raises:
        ValueError: It cannot be drawn.
    """
    try:
        return rasterize(annotation['segmentation'], height, width)
    except ValueError as error:
        raise ValueError(f'Annotation {annotation.get("id")} cannot be used: '
                         f'{error}.') from None


def _measure(mask: np.ndarray) -> tuple[list[float], float]:
    """Box of the file's form (x, y, width, height), and pixels."""
    ys, xs = np.nonzero(mask)
    if not len(xs):
        return [0., 0., 0., 0.], 0.
    return [
        float(xs.min()),
        float(ys.min()),
        float(np.ptp(xs) + 1),
        float(np.ptp(ys) + 1)
    ], float(len(xs))
