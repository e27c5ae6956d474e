# Licensed under the Apache License, Version 2.0.
"""Pipelines under which a sentence would no longer fit its image."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from mmcv.transforms import LoadImageFromFile

from .transforms import LoadRefMask

# By name, because they come from many packages. What only changes colours or
# the scale is not among them.
_MOVING = re.compile('Flip|Crop|Rotate|Rotation|Rot90|Mosaic|Mix|Affine|'
                     'RandomShift|Shear|Translate|Perspective|Transpose|'
                     'CopyPaste')
# Where transforms keep others: mmcv's wrappers, TestTimeAug, mmseg's Albu.
_INNER = ('transforms', 'subroutines', 'aug')


def check_pipeline(transforms: Sequence[Any], allow_moving: bool) -> None:
    """Refuse a pipeline that makes sentences untrue, or cannot work.

    Args:
        transforms (Sequence): The built transforms.
        allow_moving (bool): Accept transforms that flip, crop, rotate, shift
            or mix images. One whose ``moves_text`` is true is always
            accepted: it changes the sentence with the image.

    Raises:
        ValueError: One of them may not be there, or the mask comes before
            the image.
    """
    for transform, names in _flatten(transforms):
        if 'LoadAnnotations' in names:
            raise ValueError(
                'LoadAnnotations reads maps of classes, but the mask of a '
                'sentence is drawn by LoadRefMask: put that in its place in '
                'the pipeline.')
        if (not allow_moving and not getattr(transform, 'moves_text', False)
                and any(map(_MOVING.search, names))
                and getattr(transform, 'prob', 1) != 0):
            raise ValueError(
                f'{names[0]} in the pipeline moves what is in the image, but '
                'not the words: "left" would be on the right, or out of the '
                'picture. Remove it, or say allow_moving_transforms=True in '
                'the dataset if no sentence speaks of places (a transform '
                'that changes the sentence too has moves_text = True).')
    loads = [isinstance(x, LoadImageFromFile) for x in transforms]
    masks = [isinstance(x, LoadRefMask) for x in transforms]
    if True in loads and True in masks[:loads.index(True)]:
        raise ValueError('LoadRefMask needs the size of the image: put '
                         'LoadRefImage before it in the pipeline.')


def _flatten(transforms: Any) -> Iterator[tuple[Any, list[str]]]:
    """All transforms, those within others included, and the names of their
    classes."""
    for transform in transforms:
        if isinstance(transform, (list, tuple)):
            yield from _flatten(transform)
            continue
        yield transform, [x.__name__ for x in type(transform).__mro__]
        for key in _INNER:
            inner = getattr(transform, key, None)
            if inner is not None and not callable(inner):
                yield from _flatten(inner)
            elif inner is not None:
                yield from _flatten([inner])
