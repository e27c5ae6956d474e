# Licensed under the Apache License, Version 2.0.
"""Objects that a predicted mask covers instead of the target."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pycocotools import mask as mask_utils


class ImageObject(NamedTuple):
    """An annotated object of an image.

    Attributes:
        ann_id (Any): Id of its annotation.
        category (str): What it is; empty where that is not known.
        rle (dict): Its mask, as run lengths, see
            :func:`~mmrefseg.fileio.run_lengths.encode_run_lengths`.
    """

    ann_id: Any
    category: str
    rle: dict


class Overlap(NamedTuple):
    """An object and how a predicted mask covers it, in pixels."""

    ann_id: Any
    category: str
    intersection: int
    union: int


def best_overlap(predicted: dict,
                 objects: Iterable[ImageObject]) -> Overlap | None:
    """The object whose IoU with a predicted mask is the greatest.

    Args:
        predicted (dict): The mask, as run lengths.
        objects (Iterable[ImageObject]): Of masks of the same size. Among
            equals, the first one is taken.

    Returns:
        Overlap, optional: None if the mask touches no object.
    """
    best = None
    area = int(mask_utils.area(predicted))
    for item in objects:
        common = mask_utils.merge([predicted, item.rle], intersect=True)
        inter = int(mask_utils.area(common))
        union = area + int(mask_utils.area(item.rle)) - inter
        if inter and (best is None or exceeds(
            (inter, union), (best.intersection, best.union))):
            best = Overlap(item.ann_id, item.category, inter, union)
    return best


def exceeds(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one IoU is greater than another, by whole numbers.

    Args:
        one (tuple[int, int]): Intersection and union; a union of 0 is an IoU
            of 0.
        other (tuple[int, int]): The same.
    """
    return one[0] * max(other[1], 1) > other[0] * max(one[1], 1)
