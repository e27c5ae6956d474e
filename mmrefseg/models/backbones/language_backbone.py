# Licensed under the Apache License, Version 2.0.
"""What backbones that use language have in common."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmrefseg.structures import (ImageFeatures, LanguageFeatures,
                                 MultimodalFeatures, Pairs, SentenceAttention)
from ..fusion import build_fusions, build_gates
from ..fusion.build import StageConfigs, run_fusion, run_gate


class LanguageBackbone(BaseModule, metaclass=ABCMeta):
    """Backbone whose stages are fused with language, one after the other.

    Stage i makes ``V_i``, then ``F_i, Q_i = fusion_i(V_i, language)``; the
    next stage sees ``V_i + gate_i(F_i, V_i)``. Without a fusion ``F_i = V_i``
    and the next stage sees ``V_i``. The maps given out are the ungated
    ``F_i``.

    A subclass says what its stages are in :meth:`run_stage` and calls
    :meth:`_build_language` when it is built.
    """

    uses_language = True
    fusions: ModuleList
    gates: ModuleList | None

    def _build_language(self,
                        *,
                        channels: Sequence[int],
                        language_channels: int,
                        fusion: dict | Sequence[dict | None],
                        gate: StageConfigs,
                        query_channels: int,
                        query_stages: Sequence[int] | None,
                        last_gate: bool = False) -> None:
        self.fusions = build_fusions(
            fusion,
            channels=channels,
            language_channels=language_channels,
            query_channels=query_channels,
            query_stages=query_stages)
        self.gates = build_gates(
            gate,
            channels=channels if last_gate else channels[:-1],
            fusions=self.fusions)

    @abstractmethod
    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        """Run one stage.

        Args:
            stage (int): Which, from 0.
            x (Tensor): Images, ``N x 3 x H x W``, for stage 0; for any other
                what the stage before passes on, ``B x C x H x W``. Whatever
                comes before the blocks, such as downsampling, is this
                stage's. The tensor is not changed.

        Returns:
            Tensor: The map of its blocks, ``B x C_i x H_i x W_i``.
        """

    def finish(self, stage: int, fused: Tensor) -> Tensor:
        """What is given out of a fused map, ``B x C_i x H_i x W_i``."""
        return fused

    def encode_images(self, images: Tensor) -> ImageFeatures:
        """Compute what does not depend on a sentence.

        Args:
            images (Tensor): ``N x 3 x H x W``, normalised.

        Returns:
            ImageFeatures: Maps of the stages up to the first that fuses.
        """
        x, maps = images, list[Tensor]()
        for i, fusion in enumerate(self.fusions):
            x = self.run_stage(i, x)
            maps.append(x)
            if not isinstance(fusion, nn.Identity):
                break
        return ImageFeatures(tuple(maps), image_size(images))

    def fuse(self,
             image: ImageFeatures,
             language: LanguageFeatures,
             pairs: Pairs | None = None,
             *,
             keep_visual: bool = False,
             keep_attention: bool = False) -> MultimodalFeatures:
        """Go on from :meth:`encode_images`, with language.

        Args:
            image (ImageFeatures): Of ``N`` images.
            language (LanguageFeatures): Sentences.
            pairs (Pairs, optional): Which of them belong together. None pairs
                the first with the first, and so on.
            keep_visual (bool): Give the maps before fusion too.
            keep_attention (bool): Give the attention of each stage too, where
                its fusion has one.

        Returns:
            MultimodalFeatures: Of each pair: maps ``B x C_i x H_i x W_i``,
            queries ``B x n x C_q``, language, and what is kept.

        Raises:
            ValueError: The numbers of images and of sentences differ, or the
                images are too small.
        """
        if pairs is not None:
            image = image.select(pairs.image)
            language = language.select(pairs.sentence)
        if len(image.maps[0]) != len(language.words):
            raise ValueError(
                f'{len(image.maps[0])} images and {len(language.words)} '
                'sentences are no pairs: say with pairs=Pairs(...) which of '
                'them belong together.')
        given, last = len(image.maps), len(self.fusions) - 1
        maps: list[Tensor] = []
        kept: list[Tensor] = []
        queries: list[Tensor] = []
        attention: list[Tensor | SentenceAttention | None] = []
        x = image.maps[0]
        for i, fusion in enumerate(self.fusions):
            x = image.maps[i] if i < given else self.run_stage(i, x)
            # A view: its gradients are summed before that of x + ... joins,
            # in the order (and so the rounding) of earlier trainings.
            visual = x.view_as(x)
            try:
                out = run_fusion(
                    fusion, visual, language, keep_attention=keep_attention)
            except ValueError as error:
                if 'spatial element' not in str(error):  # PyTorch's words
                    raise
                raise self._too_small(image, i) from error
            if given <= i + 1 <= last:
                if not isinstance(fusion, nn.Identity):
                    x = x + run_gate(self.gates, i, out.fused, visual)
            maps.append(self.finish(i, out.fused))
            if out.query is not None:
                one = out.query.dim() == 2
                queries.append(out.query.unsqueeze(1) if one else out.query)
            if keep_visual:
                kept.append(visual)
            attention.append(out.attention)
        return MultimodalFeatures(
            maps=tuple(maps),
            queries=torch.cat(queries, dim=1) if queries else None,
            language=language,
            visual=tuple(kept) if keep_visual else None,
            attention=tuple(attention) if keep_attention else None)

    def forward(self,
                images: Tensor,
                language: LanguageFeatures,
                pairs: Pairs | None = None,
                *,
                keep_visual: bool = False,
                keep_attention: bool = False) -> MultimodalFeatures:
        """Extract features of images (``N x 3 x H x W``, normalised) that
        depend on the sentences: :meth:`encode_images`, then :meth:`fuse`."""
        return self.fuse(
            self.encode_images(images),
            language,
            pairs,
            keep_visual=keep_visual,
            keep_attention=keep_attention)

    def _visual_maps(self, images: Tensor) -> list[Tensor]:
        """Maps of all stages, as if nothing were fused."""
        maps = list(self.encode_images(images).maps)
        for i in range(len(maps), len(self.fusions)):
            maps.append(self.run_stage(i, maps[-1]))
        return maps

    def _too_small(self, image: ImageFeatures, stage: int) -> ValueError:
        """The error of images whose map of a stage is a single pixel."""
        training, side, advice = self.training, max(image.size), ''
        self.eval()
        for least in range(side + 1, 2 * side + 2):
            black = image.maps[0].new_zeros(1, 3, least, least)
            try:
                with torch.no_grad():
                    pixels = self._visual_maps(black)[stage][0, 0].numel()
            except ValueError:  # a size that the backbone does not take
                continue
            if pixels > 1:
                advice = (f'; give it at least {least} x {least} (scale '
                          'of Resize in the pipelines)')
                break
        self.train(training)
        return ValueError(
            'Images of {} x {} pixels (height x width) are too small: they '
            'leave one pixel to stage {} (from 0), whose fusion norms over '
            'pixels{}.'.format(*image.size, stage, advice))


def image_size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
