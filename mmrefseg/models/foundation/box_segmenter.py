# Licensed under the Apache License, Version 2.0.
"""Masks of what is in boxes."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from .hub import Loaded
from .photos import process

SEGMENTERS = ('sam', 'sam2', 'sam2_video')
# Masks at the size of the photo that are held at once.
_CHUNK = 8


class BoxSegmenter(nn.Module):
    """SAM (Kirillov et al., ICCV 2023) or SAM 2 (Ravi et al., ICLR 2025),
    one mask for each box.

    Args:
        loaded (Loaded): The model.
    """

    def __init__(self, loaded: Loaded) -> None:
        super().__init__()
        self.network: Any = loaded.model
        self.processor = loaded.processor
        # SAM keeps the shape of the photo and pads; SAM 2 stretches it.
        self.pads = loaded.kind == 'sam'

    def encode(self, photos: Sequence[Image.Image]) -> tuple[Tensor, ...]:
        """Embed ``N`` photos of one size.

        Returns:
            tuple[Tensor, ...]: The size of each photo as the network sees it
            without padding, ``N x 2``, int64, and its embeddings, each
            ``N x C x h x w``.
        """
        inputs = process(self.processor, photos)
        pixels = inputs['pixel_values']
        if self.pads:
            seen = torch.as_tensor(inputs['reshaped_input_sizes'])
        else:
            seen = torch.tensor([pixels.shape[-2:]] * len(photos))
        embeddings = self.network.get_image_embeddings(
            pixels.to(self.network.device, self.network.dtype))
        if isinstance(embeddings, Tensor):
            embeddings = [embeddings]
        return (seen.to(self.network.device), *embeddings)

    def segment(self, encoded: Sequence[Tensor], boxes: Tensor,
                size: tuple[int, int]) -> Iterator[Tensor]:
        """Segment what is in the boxes of one photo.

        Args:
            encoded (Sequence[Tensor]): A row of each of what :meth:`encode`
                gave, ``1 x ...``.
            boxes (Tensor): ``n x 4``, x0, y0, x1, y1 in the photo's pixels.
            size (tuple[int, int]): ``H`` and ``W`` of the photo.

        Yields:
            Tensor: For each box its mask logits, ``H x W``, float32.
        """
        seen, *maps = encoded
        embeddings = maps if len(maps) > 1 else maps[0]
        scale = seen[0].flip(0) / seen.new_tensor(size).flip(0)
        # In float32 also where the weights are not: bfloat16 is off by pixels.
        scaled = boxes * scale.repeat(2)
        for start in range(0, len(scaled), _CHUNK):  # none for no box
            part = scaled[start:start + _CHUNK]
            masks = self.network(
                image_embeddings=embeddings,
                input_boxes=part[None],
                multimask_output=False).pred_masks.float()
            yield from self._at_photo_size(masks, seen, size)[:, 0]

    def _at_photo_size(self, masks: Tensor, seen: Tensor,
                       size: tuple[int, int]) -> Tensor:
        sizes = [[list(size)]]
        if self.pads:
            sizes.append(seen.tolist())
        return self.processor.post_process_masks(
            masks, *sizes, binarize=False)[0]
