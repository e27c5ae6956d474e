# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import ImageFeatures, Prediction
from .base import NOTHING, FoundationSegmentor
from .hub import load_pretrained
from .photos import process, to_photos
from .prompts import Sentences


@MODELS.register_module()
class SAM3Segmentor(FoundationSegmentor):
    """SAM 3 with the sentence as concept prompt.

    Carion et al., SAM 3: Segment anything with concepts, arXiv:2511.16719.
    The model finds all instances of a short noun phrase; it was not made for
    long sentences. The score of an instance is its own times that of
    presence, as transformers has it; existence is the best of them.

    Args:
        pretrained (str): Name of the weights on the Hugging Face hub, such as
            'facebook/sam3', or their folder.
        instances (str): 'best' takes the instance with the highest score,
            'union' all those at or above ``existence_threshold``. Defaults
            to 'best'.
        existence_threshold (float): Score below which an instance is none.
            Where the best is below it nothing is there. 0 always answers.
            Defaults to 0.3, at which transformers cuts instances.
        revision (str, optional): Branch, tag or commit on the hub.
        local_files_only (bool): Ask no hub. Defaults to False.
        dtype (str): 'float32', 'bfloat16' or 'float16'. Defaults to
            'float32'.
        test_cfg (dict, optional): See :class:`FoundationSegmentor`.
        data_preprocessor (dict, optional): See :class:`FoundationSegmentor`.

    Raises:
        ImportError, OSError: See
            :func:`~mmrefseg.models.foundation.hub.load_pretrained`.
        ValueError: The same, or ``instances`` is unknown.

    Example:
        >>> from mmrefseg.models import SAM3Segmentor
        >>> model = SAM3Segmentor(
        ...     pretrained='facebook/sam3')  # doctest: +SKIP
    """

    def __init__(self,
                 *,
                 pretrained: str,
                 instances: str = 'best',
                 existence_threshold: float = 0.3,
                 revision: str | None = None,
                 local_files_only: bool = False,
                 dtype: str = 'float32',
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None) -> None:
        if instances not in ('best', 'union'):
            raise ValueError(f'instances={instances!r} of SAM3Segmentor is '
                             "neither 'best' nor 'union'.")
        loaded = load_pretrained(
            pretrained, ('sam3', 'sam3_video'),
            revision=revision,
            local_files_only=local_files_only,
            dtype=dtype)
        text = loaded.model.config.text_config
        super().__init__(
            Sentences(loaded.processor.tokenizer,
                      text.max_position_embeddings),
            existence_threshold=existence_threshold,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor)
        self.instances = instances
        self.network: Any = loaded.model
        self.processor = loaded.processor

    def encode_images(self, inputs: Tensor) -> ImageFeatures:
        """Maps of the vision encoder and their positions; see
        :meth:`FoundationSegmentor.encode_images`."""
        pixels = process(self.processor, to_photos(inputs))['pixel_values']
        vision = self.network.get_vision_features(
            pixel_values=pixels.to(self.network.device, self.network.dtype))
        size = (inputs.shape[2], inputs.shape[3])
        rows = len(inputs)
        positions = [
            x.expand(rows, *x.shape[1:]) for x in vision.fpn_position_encoding
        ]
        return ImageFeatures((*vision.fpn_hidden_states, *positions), size)

    def predict_pairs(self, image: ImageFeatures, rows: Sequence[int],
                      texts: Sequence[str]) -> Prediction:
        """See :meth:`FoundationSegmentor.predict_pairs`; with boxes."""
        from transformers.models.sam3.modeling_sam3 import \
            Sam3VisionEncoderOutput
        maps = [x[list(rows)] for x in image.maps]
        half = len(maps) // 2
        out = self.network(
            vision_embeds=Sam3VisionEncoderOutput(
                fpn_hidden_states=tuple(maps[:half]),
                fpn_position_encoding=tuple(maps[half:])),
            **self.language_encoder(
                texts, fill=True, device=maps[0].device))
        scores = out.pred_logits.float().sigmoid()
        if out.presence_logits is not None:
            scores = scores * out.presence_logits.float().sigmoid()
        existence, best = scores.max(dim=1)
        logits = []
        for i, masks in enumerate(out.pred_masks):
            chosen = scores[i] >= self.existence_threshold
            if self.instances == 'best':
                chosen = best[i:i + 1]
            logits.append(_union(masks[chosen], image.size))
        index = torch.arange(len(texts), device=best.device)
        boxes = out.pred_boxes[index, best].float()
        return Prediction(
            torch.stack(logits),
            existence=existence,
            boxes=boxes.clamp(0, 1),
            existence_threshold=self.existence_threshold)


def _union(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits ``1 x H x W`` of the union of masks, ``n x h x w``.

    Probabilities are resized, as the processor does it, not logits.
    """
    union = masks.new_zeros((1, 1, *size), dtype=torch.float32)
    for mask in masks.float().sigmoid():  # one at a time: photos are large
        union = union.maximum(
            F.interpolate(
                mask[None, None], size, mode='bilinear', align_corners=False))
    return torch.special.logit(union[0], eps=1e-9).clamp_min(NOTHING)
