# Licensed under the Apache License, Version 2.0.
"""Packing of an item and its sentence for the model."""

from collections.abc import Sequence

from mmseg.datasets.transforms import PackSegInputs

from mmrefseg.registry import TRANSFORMS

META_KEYS = ('img_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
             'text', 'ref_id', 'sent_id', 'image_id', 'ann_id', 'kind',
             'split', 'wrong', 'no_target')


@TRANSFORMS.register_module()
class PackRefInputs(PackSegInputs):
    """mmseg's ``PackSegInputs``, which also carries the sentence.

    The model reads ``text`` from the metainfo, a metric ``ref_id``,
    ``no_target`` and what it breaks results down by. What an item does not
    have is left out.

    Args:
        meta_keys (Sequence[str]): What is carried as metainfo. Defaults to
            :data:`META_KEYS`.
        extra_keys (Sequence[str]): What is carried besides, such as a field
            of ``extra_fields`` of the dataset. Defaults to ().

    Example:
        >>> import numpy as np
        >>> from mmrefseg.datasets import PackRefInputs
        >>> item = dict(img=np.zeros((4, 5, 3), np.uint8), text='a cup')
        >>> packed = PackRefInputs()(item)
        >>> tuple(packed['inputs'].shape), packed['data_samples'].text
        ((3, 4, 5), 'a cup')
    """

    def __init__(self,
                 *,
                 meta_keys: Sequence[str] = META_KEYS,
                 extra_keys: Sequence[str] = ()) -> None:
        super().__init__(meta_keys=(*meta_keys, *extra_keys))
