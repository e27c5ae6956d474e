# Licensed under the Apache License, Version 2.0.
"""True masks of a dataset's sentences, without loading their images."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from mmrefseg.datasets import BaseRefDataset, LoadRefMask
from mmrefseg.evaluation.sample_masks import resize_nearest


class TrueMasks:
    """Draws true masks at the size at which masks are compared.

    Args:
        dataset (BaseRefDataset): The dataset.
        input_size (sequence[int], optional): Height and width to compare at.
            None compares at the size of each image.

    Attributes:
        items (list[dict]): The sentences, without their masks.
    """

    def __init__(self,
                 dataset: BaseRefDataset,
                 input_size: Sequence[int] | None = None) -> None:
        self.dataset = dataset
        self.input_size = None if input_size is None else (input_size[0],
                                                           input_size[1])
        self.items: list[dict] = []
        for index in range(len(dataset)):
            item = dataset.get_data_info(index)
            item.pop('segmentation')
            self.items.append(item)
        self._load = LoadRefMask()

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of a sentence's image."""
        item = self.items[index]
        # where masks are scaled to their images, these may not be as large
        # as annotated
        scaled = item.pop('size_mismatch', None) is not None
        if 'height' not in item or scaled:
            try:
                with Image.open(item['img_path']) as image:
                    item['width'], item['height'] = image.size
            except OSError as error:
                raise ValueError(
                    f'The size of image {item["img_path"]} cannot be read '
                    f'({error}), but the mask of sentence {item["sent_id"]} '
                    'must have it.') from None
        return item['height'], item['width']

    def compared_at(self, index: int) -> tuple[int, int]:
        """Height and width that a prediction has to have."""
        return self.input_size or self.size(index)

    def at_original_size(self, index: int) -> np.ndarray:
        """The true mask, ``H x W``, uint8, {0, 1}; empty where there is no
        target."""
        info = self.dataset.get_data_info(index)
        info['ori_shape'] = self.size(index)
        return self._load(info)['gt_seg_map']

    def scale(self, mask: np.ndarray) -> np.ndarray:
        """A mask at the size at which masks are compared."""
        if self.input_size is None:
            return mask
        return resize_nearest(torch.from_numpy(mask), self.input_size).numpy()

    def draw(self, index: int) -> np.ndarray:
        """The true mask at the size at which masks are compared."""
        return self.scale(self.at_original_size(index))
