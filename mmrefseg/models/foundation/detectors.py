# Licensed under the Apache License, Version 2.0.
"""Detectors that a sentence steers: boxes and scores."""

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from packaging.version import Version
from PIL import Image
from torch import Tensor, nn

from .hub import Loaded
from .photos import process
from .prompts import Sentences, lower_phrase

DETECTORS = ('grounding-dino', 'owlv2')


class Detector(nn.Module):
    """A detector that finds boxes for each sentence.

    Args:
        loaded (Loaded): Grounding DINO (Liu et al., ECCV 2024) or OWLv2
            (Minderer et al., NeurIPS 2023).
    """

    sentences: Sentences

    def __init__(self, loaded: Loaded) -> None:
        super().__init__()
        self.network: Any = loaded.model
        self.processor = loaded.processor

    @property
    def device(self) -> torch.device:
        """torch.device: Of the weights."""
        return self.network.device

    def encode(self, photos: Sequence[Image.Image]) -> Tensor:
        """``N`` photos of one size as the processor makes them.

        Returns:
            Tensor: ``N x 3 x h x w``. Photos of one size need no padding.
        """
        pixels = process(self.processor, photos)['pixel_values']
        return pixels.to(self.device, self.network.dtype)

    def detect(self, pixels: Tensor, texts: Sequence[str],
               size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Score the boxes of each sentence.

        Args:
            pixels (Tensor): ``B x 3 x h x w``, as :meth:`encode` gives them.
            texts (Sequence[str]): ``B`` sentences.
            size (tuple[int, int]): ``H`` and ``W`` of the photos.

        Returns:
            tuple[Tensor, Tensor]: Scores ``B x Q``, float32, in 0..1, and
            boxes ``B x Q x 4``, float32: x0, y0, x1, y1 in the photo's
            pixels, within it.
        """
        scores, boxes = self._run(pixels, texts)
        centre, extent = boxes.float().split(2, dim=-1)
        corners = torch.cat([centre - extent / 2, centre + extent / 2], -1)
        corners = corners * corners.new_tensor(self._frame(size) * 2)
        height, width = size
        limit = corners.new_tensor([width, height] * 2)
        return scores.float(), corners.clamp_min(0).minimum(limit)

    def _run(self, pixels: Tensor,
             texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Scores ``B x Q`` and boxes ``B x Q x 4``, centre and extent as
        fractions of :meth:`_frame`."""
        raise NotImplementedError

    def _frame(self, size: tuple[int, int]) -> list[int]:
        """Width and height, in the photo's pixels, of what the network
        sees."""
        height, width = size
        return [width, height]


class GroundingDINODetector(Detector):
    """Grounding DINO. A box has the score of the token that fits it best.

    Raises:
        ImportError: It is wanted in half precision, which transformers runs
            since 5.0.
    """

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        if loaded.model.dtype != torch.float32 and _major() < 5:
            raise ImportError(
                'Grounding DINO runs in half precision since transformers '
                f"5.0; installed is {transformers.__version__}: set "
                "dtype='float32', or pip install 'transformers>=5'.")
        self.sentences = Sentences(loaded.processor.tokenizer,
                                   loaded.model.config.max_text_len)

    def _run(self, pixels, texts):
        tokens = self.sentences(
            list(map(lower_phrase, texts)), device=self.device)
        lengths = tokens['attention_mask'].sum(dim=1)
        scores: list[Any] = [None] * len(texts)
        boxes: list[Any] = [None] * len(texts)
        # Sentences of one length together: padding changes the scores in
        # transformers 4.40.
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            out = self.network(
                pixel_values=pixels[rows],
                **{k: v[rows, :length]
                   for k, v in tokens.items()})
            best = out.logits.float().sigmoid().amax(dim=-1)
            for row, score, box in zip(rows.tolist(), best, out.pred_boxes):
                scores[row], boxes[row] = score, box
        return torch.stack(scores), torch.stack(boxes)


class OWLv2Detector(Detector):
    """OWLv2. The photo is padded at its right or its lower side to a square,
    of which the boxes are fractions."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        text = loaded.model.config.text_config
        self.sentences = Sentences(loaded.processor.tokenizer,
                                   text.max_position_embeddings)

    def encode(self, photos):
        height = photos[0].height
        if height in (1, 3) and photos[0].width > 1 and _major() < 5:
            raise ValueError(
                f'A photo is {height} pixels in height, which the processor '
                'of OWLv2 in transformers 4 takes for its channels: enlarge '
                "it, or pip install 'transformers>=5'.")
        return super().encode(photos)

    def _run(self, pixels, texts):
        tokens = self.sentences(texts, fill=True, device=self.device)
        out = self.network(
            pixel_values=pixels,
            input_ids=tokens['input_ids'],
            attention_mask=tokens['attention_mask'])
        return out.logits[..., 0].float().sigmoid(), out.pred_boxes

    def _frame(self, size):
        return [max(size)] * 2


def _major() -> int:
    return Version(transformers.__version__).major


def build_detector(loaded: Loaded) -> Detector:
    """The detector of a kind of :data:`DETECTORS`."""
    if loaded.kind == 'owlv2':
        return OWLv2Detector(loaded)
    return GroundingDINODetector(loaded)
