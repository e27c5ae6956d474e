# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import ImageFeatures, Prediction
from .base import FoundationSegmentor
from .hub import load_pretrained
from .photos import process, to_photos
from .prompts import Sentences, check_template


@MODELS.register_module()
class CLIPSegSegmentor(FoundationSegmentor):
    """CLIPSeg: a frozen CLIP and a small decoder, from a sentence to a mask.

    Lüddecke and Ecker, Image segmentation using text and image prompts,
    CVPR 2022. Existence is the highest probability of any pixel.

    Args:
        pretrained (str): Name of the weights on the Hugging Face hub, such as
            'CIDAS/clipseg-rd64-refined', or their folder.
        template (str): What the model reads; ``{}`` is the sentence. Such as
            'a photo of {}'. Defaults to the sentence alone.
        existence_threshold (float): Existence below which nothing is there.
            Defaults to 0.5, at which a mask is refused that has no pixel.
        revision (str, optional): Branch, tag or commit on the hub.
        local_files_only (bool): Ask no hub. Defaults to False.
        dtype (str): 'float32', 'bfloat16' or 'float16'. Defaults to
            'float32'.
        test_cfg (dict, optional): See :class:`FoundationSegmentor`.
        data_preprocessor (dict, optional): See :class:`FoundationSegmentor`.

    Raises:
        ImportError, OSError: See
            :func:`~mmrefseg.models.foundation.hub.load_pretrained`.
        ValueError: The same, or ``template`` has no place for the sentence.

    Example:
        >>> from mmrefseg.models import CLIPSegSegmentor
        >>> model = CLIPSegSegmentor(
        ...     pretrained='CIDAS/clipseg-rd64-refined')  # doctest: +SKIP
    """

    def __init__(self,
                 *,
                 pretrained: str,
                 template: str = '{}',
                 existence_threshold: float = 0.5,
                 revision: str | None = None,
                 local_files_only: bool = False,
                 dtype: str = 'float32',
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None) -> None:
        check_template(template)
        loaded = load_pretrained(
            pretrained, ('clipseg', ),
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
        self.template = template
        self.network: Any = loaded.model
        self.processor = loaded.processor

    def encode_images(self, inputs: Tensor) -> ImageFeatures:
        """The photos as the processor makes them, ``N x 3 x h x w``; see
        :meth:`FoundationSegmentor.encode_images`."""
        pixels = process(self.processor, to_photos(inputs))['pixel_values']
        size = (inputs.shape[2], inputs.shape[3])
        return ImageFeatures(
            (pixels.to(self.network.device, self.network.dtype), ), size)

    def predict_pairs(self, image: ImageFeatures, rows: Sequence[int],
                      texts: Sequence[str]) -> Prediction:
        """See :meth:`FoundationSegmentor.predict_pairs`."""
        prompts = [self.template.replace('{}', text) for text in texts]
        pixels = image.maps[0][list(rows)]
        tokens = self.language_encoder(prompts, device=pixels.device)
        logits = self.network(pixel_values=pixels, **tokens).logits.float()
        # Of one sentence some releases give h x w.
        logits = logits.reshape(len(texts), 1, *logits.shape[-2:])
        return Prediction(
            F.interpolate(
                logits, image.size, mode='bilinear', align_corners=False),
            existence=logits.flatten(1).amax(dim=1).sigmoid(),
            existence_threshold=self.existence_threshold)
