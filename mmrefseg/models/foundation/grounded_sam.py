# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

import torch
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import ImageFeatures, Prediction
from .base import NOTHING, FoundationSegmentor
from .box_segmenter import SEGMENTERS, BoxSegmenter
from .detectors import DETECTORS, build_detector
from .hub import load_pretrained
from .photos import to_photos


@MODELS.register_module()
class GroundedSAM(FoundationSegmentor):
    """A detector finds the box of a sentence, SAM the mask in the box.

    Ren et al., Grounded SAM: Assembling open-world models for diverse visual
    tasks, arXiv:2401.14159. Existence is the score of the best box.

    Args:
        detector (str): Weights of Grounding DINO or OWLv2: a name on the
            Hugging Face hub, such as 'IDEA-Research/grounding-dino-base' or
            'google/owlv2-base-patch16-ensemble', or a folder.
        segmenter (str): Weights of SAM or SAM 2, such as
            'facebook/sam-vit-base' or 'facebook/sam2.1-hiera-large'.
        boxes (str): 'best' takes the box with the highest score, 'all' the
            union of those at or above ``existence_threshold``. Defaults to
            'best'.
        existence_threshold (float): Score below which a box is none. Where
            the best is below it nothing is there. 0 always answers. Defaults
            to 0.25, at which transformers cuts the boxes of Grounding DINO;
            the scores of OWLv2 are lower.
        detector_revision (str, optional): Branch, tag or commit on the hub.
        segmenter_revision (str, optional): The same of the segmenter.
        local_files_only (bool): Ask no hub. Defaults to False.
        dtype (str): 'float32', 'bfloat16' or 'float16'. Defaults to
            'float32'.
        test_cfg (dict, optional): See :class:`FoundationSegmentor`.
        data_preprocessor (dict, optional): See :class:`FoundationSegmentor`.

    Raises:
        ImportError, OSError: See
            :func:`~mmrefseg.models.foundation.hub.load_pretrained`.
        ValueError: The same, or ``boxes`` is unknown.

    Example:
        >>> from mmrefseg.models import GroundedSAM
        >>> model = GroundedSAM(
        ...     detector='IDEA-Research/grounding-dino-base',
        ...     segmenter='facebook/sam-vit-base')  # doctest: +SKIP
    """

    def __init__(self,
                 *,
                 detector: str,
                 segmenter: str,
                 boxes: str = 'best',
                 existence_threshold: float = 0.25,
                 detector_revision: str | None = None,
                 segmenter_revision: str | None = None,
                 local_files_only: bool = False,
                 dtype: str = 'float32',
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None) -> None:
        if boxes not in ('best', 'all'):
            raise ValueError(
                f"boxes={boxes!r} of GroundedSAM is neither 'best' nor 'all'.")
        finder = build_detector(
            load_pretrained(
                detector,
                DETECTORS,
                revision=detector_revision,
                local_files_only=local_files_only,
                dtype=dtype))
        cutter = BoxSegmenter(
            load_pretrained(
                segmenter,
                SEGMENTERS,
                revision=segmenter_revision,
                local_files_only=local_files_only,
                dtype=dtype))
        super().__init__(
            finder.sentences,
            existence_threshold=existence_threshold,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor)
        self.boxes = boxes
        self.detector = finder
        self.segmenter = cutter

    def encode_images(self, inputs: Tensor) -> ImageFeatures:
        """What the detector's processor makes of the photos, and what the
        segmenter's ``encode`` gives; see
        :meth:`FoundationSegmentor.encode_images`."""
        photos = to_photos(inputs)
        size = (inputs.shape[2], inputs.shape[3])
        return ImageFeatures(
            (self.detector.encode(photos), *self.segmenter.encode(photos)),
            size)

    def predict_pairs(self, image: ImageFeatures, rows: Sequence[int],
                      texts: Sequence[str]) -> Prediction:
        """See :meth:`FoundationSegmentor.predict_pairs`; with boxes."""
        pixels, *encoded = image.maps
        scores, boxes = self.detector.detect(pixels[list(rows)], texts,
                                             image.size)
        existence, best = scores.max(dim=1)
        logits = boxes.new_full((len(texts), 1, *image.size), NOTHING)
        for i, row in enumerate(rows):
            if self.boxes == 'best':
                chosen = boxes[i, best[i:i + 1]]
            else:
                chosen = boxes[i, scores[i] >= self.existence_threshold]
            own = [x[row:row + 1] for x in encoded]
            for mask in self.segmenter.segment(own, chosen, image.size):
                torch.maximum(logits[i, 0], mask, out=logits[i, 0])
        height, width = image.size
        first = boxes[torch.arange(len(texts), device=best.device), best]
        return Prediction(
            logits,
            existence=existence,
            boxes=first / first.new_tensor([width, height] * 2),
            existence_threshold=self.existence_threshold)
