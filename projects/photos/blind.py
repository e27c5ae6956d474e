# Licensed under the Apache License, Version 2.0.
"""Pipeline steps of models that see half of their input."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmrefseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BlankImage(BaseTransform):
    """The image becomes one grey: what does the sentence alone tell?

    Example:
        >>> custom_imports = dict(imports=['projects.photos.blind'])
        >>> pipeline = [dict(type='LoadRefImage'), dict(type='BlankImage')]
    """

    def transform(self, results: dict) -> dict:
        """Replace ``img``, ``H x W x 3``."""
        results['img'] = np.full_like(results['img'], 127)
        return results


@TRANSFORMS.register_module()
class FixedSentence(BaseTransform):
    """Every sentence becomes the same: what does the image alone tell?

    Args:
        text (str): The sentence. Defaults to 'the thing'.

    Example:
        >>> custom_imports = dict(imports=['projects.photos.blind'])
        >>> pipeline = [dict(type='LoadRefImage'), dict(type='FixedSentence')]
    """

    def __init__(self, *, text: str = 'the thing') -> None:
        self.text = text

    def transform(self, results: dict) -> dict:
        """Replace ``text``."""
        results['text'] = self.text
        return results
