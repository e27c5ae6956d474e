# Licensed under the Apache License, Version 2.0.
"""Alignment of the sentence with pixels and with the regions of a batch."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures


@dataclass(frozen=True)
class Alignment:
    """Pixels and sentences of ``B`` pairs in one space.

    Attributes:
        logits (Tensor): The alignment map S, ``B x 1 x H x W``; above 0 the
            pixel is rather like the sentence.
        pixels (Tensor): Unit vectors z, ``B x E x H x W``.
        sentence (Tensor): Unit vectors t, ``B x E``.
    """
    logits: Tensor
    pixels: Tensor
    sentence: Tensor

    def prior(self, out_channels: int) -> Tensor:
        """S as logits of a mask prior, ``B x out_channels x H x W``."""
        if out_channels == 1:
            return self.logits
        return F.pad(self.logits, (0, 0, 0, 0, 1, 0))  # background: 0


@MODELS.register_module()
class GlobalAlignment(BaseModule):
    """Global alignment of sentence and image: stage two of the two-stage
    multi-modal interaction model, after its abstract; the form is our own.

    With D the finest decoded map and ``l_n`` the words that the features hold
    (a neck's, where it updates them):

    - sentence: ``g = sum_n softmax_n(u . l_n) l_n`` over the real words
    - ``z_p = unit(W D_p + b)``, ``t = unit(W' g + b')``
    - alignment map: ``S_p = z_p . t / tau``, tau learned

    Two losses:

    - pixels: binary cross-entropy between S and the mask, whose value at a
      pixel of S is the share of it that the mask covers
    - sentence to region: with ``r_j`` the unit vector of the mean of z over
      mask j, cross-entropy of ``softmax_j(t_i . r_j / tau)`` with ``j = i``.
      Left out of it are pairs with an empty mask, and in row i every other
      pair of the same image and mask, which is no wrong answer; a row without
      any wrong answer does not count. With a single pair there is no loss.
      The batch is that of one process: nothing is gathered over processes.

    It is used in two ways. ``CoordMaskHead(alignment=dict(type=
    'GlobalAlignment', ...))`` computes S once, sees it beside the finest map,
    and adds both losses to its own. As an entry of ``auxiliary_losses`` it
    adds the losses to any head, which then does not see S.

    Args:
        in_channels (int): Channels of the finest map.
        language_channels (int | str): Width of the words, 'auto' for that of
            the language encoder, or of the neck where it changes them.
        channels (int): Width ``E`` of the common space. Defaults to 256.
        temperature (float): tau at the start. Defaults to 0.07.
        pixel_weight (float): Of the loss of pixels. Defaults to 0.1.
        region_weight (float): Of the loss of regions. Defaults to 0.1.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``temperature`` or ``pixel_weight`` is not positive, or
            ``region_weight`` is negative; (in forward) the features have no
            language.

    Example:
        >>> import torch
        >>> from mmrefseg.models import GlobalAlignment
        >>> from mmrefseg.structures import (LanguageFeatures,
        ...                                  MultimodalFeatures)
        >>> alignment = GlobalAlignment(
        ...     in_channels=8, language_channels=6, channels=4)
        >>> features = MultimodalFeatures(
        ...     maps=(torch.rand(2, 8, 16, 16), ),
        ...     language=LanguageFeatures(
        ...         words=torch.rand(2, 5, 6), mask=torch.ones(2, 5).bool()))
        >>> alignment.align(features).logits.shape
        torch.Size([2, 1, 16, 16])
    """

    def __init__(self,
                 *,
                 in_channels: int,
                 language_channels: int,
                 channels: int = 256,
                 temperature: float = 0.07,
                 pixel_weight: float = 0.1,
                 region_weight: float = 0.1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        for name, value in (('temperature', temperature), ('pixel_weight',
                                                           pixel_weight)):
            if not value > 0:
                raise ValueError(f'{name}={value} of GlobalAlignment must be '
                                 'positive.')
        if region_weight < 0:
            raise ValueError(f'region_weight={region_weight} of '
                             'GlobalAlignment must be 0 or more.')
        self.pixel_weight = pixel_weight
        self.region_weight = region_weight
        # No bias: the softmax over words would cancel it.
        self.pool = nn.Linear(language_channels, 1, bias=False)
        self.sentence = nn.Linear(language_channels, channels)
        self.pixels = nn.Conv2d(in_channels, channels, 1)
        # A logarithm: tau stays positive whatever the optimizer does.
        self.log_temperature = nn.Parameter(
            torch.tensor([math.log(temperature)]))

    def align(self, features: MultimodalFeatures) -> Alignment:
        """Compute the alignment map.

        Args:
            features (MultimodalFeatures): Decoded maps, finest first
                ``B x C x H_1 x W_1``, and the language.

        Returns:
            Alignment: Of ``B`` pairs.
        """
        language = features.language
        if language is None:
            raise ValueError('GlobalAlignment reads the words, but the '
                             'features that it got have none.')
        scores = self.pool(language.words)[..., 0]
        weights = scores.masked_fill(
            ~language.mask,
            torch.finfo(scores.dtype).min).softmax(dim=1)
        pooled = (weights[:, None] @ language.words)[:, 0]
        sentence = F.normalize(self.sentence(pooled), dim=1)
        pixels = F.normalize(self.pixels(features[0]), dim=1)
        cosine = torch.einsum('bchw,bc->bhw', pixels, sentence)[:, None]
        return Alignment(cosine * self._sharpness(), pixels, sentence)

    def _sharpness(self) -> Tensor:
        return torch.exp(-self.log_temperature)

    def forward(self, features: MultimodalFeatures,
                batch_data_samples: SampleList) -> dict[str, Tensor]:
        """:meth:`align`, then :meth:`loss`: what ``auxiliary_losses`` of the
        segmentor call."""
        return self.loss(self.align(features), batch_data_samples)

    def loss(self, aligned: Alignment,
             batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of an alignment.

        Args:
            aligned (Alignment): Of ``B`` pairs.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``, 1
                on the referent, and ``img_path``, by which the pairs of one
                image are known.

        Returns:
            dict[str, Tensor]: ``loss_alignment`` and ``loss_region``
            (weighted), and ``alignment_bce`` and ``region_nce``, the raw
            losses, for the log; those of regions only where
            ``region_weight`` is not 0.
        """
        # Half precision is too coarse for the logarithm of a sure answer.
        logits = aligned.logits
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        masks = torch.stack([x.gt_sem_seg.data == 1
                             for x in batch_data_samples]).to(logits)
        size = (logits.shape[2], logits.shape[3])
        shares = F.adaptive_avg_pool2d(masks, size)
        raw = F.binary_cross_entropy_with_logits(logits, shares)
        losses = dict(
            loss_alignment=self.pixel_weight * raw, alignment_bce=raw.detach())
        if self.region_weight:
            raw = self._region_loss(aligned, shares[:, 0],
                                    _same_image(batch_data_samples, shares))
            losses.update(
                loss_region=self.region_weight * raw, region_nce=raw.detach())
        return losses

    def _region_loss(self, aligned: Alignment, shares: Tensor,
                     same_image: Tensor) -> Tensor:
        """Sentence to region, of masks ``B x H x W`` (shares of pixels) and
        ``B x B``, whether two pairs have one image."""
        there = shares.flatten(1).any(dim=1)
        sums = torch.einsum('bchw,bhw->bc', aligned.pixels.to(shares), shares)
        regions = F.normalize(sums, dim=1)
        logits = (aligned.sentence.to(shares) @ regions.t()).to(shares)
        logits = logits * self._sharpness()
        same_mask = (shares[:, None] == shares[None]).flatten(2).all(dim=2)
        itself = torch.eye(len(shares), dtype=torch.bool, device=shares.device)
        wrong = there[None] & ~(same_image & same_mask) & ~itself
        rows = there & wrong.any(dim=1)
        logits = logits.masked_fill(~(wrong | itself), -math.inf)[rows]
        losses = logits.logsumexp(dim=1) - logits[itself[rows]]
        return losses.sum() / rows.sum().clamp(min=1)


def _same_image(samples: SampleList, like: Tensor) -> Tensor:
    """``B x B``, bool: whether two samples have one image."""
    paths = [x.metainfo.get('img_path', i) for i, x in enumerate(samples)]
    numbers = torch.tensor([paths.index(x) for x in paths], device=like.device)
    return numbers[:, None] == numbers[None]
