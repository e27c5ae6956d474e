# Licensed under the Apache License, Version 2.0.
"""Existence: whether the referent is in the image at all."""

from abc import ABCMeta, abstractmethod

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures


class BaseExistencePredictor(BaseModule, metaclass=ABCMeta):
    """What every predictor of existence has: loss, score and threshold.

    A subclass says what its logit is in :meth:`forward`. The score is its
    sigmoid, trained by ``loss_weight`` times the binary cross-entropy.

    Args:
        loss_weight (float): Of the loss. Defaults to 1.0.
        threshold (float): Score below which nothing is there, and the mask
            is emptied. Defaults to 0.5.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``threshold`` does not lie in 0..1, or ``loss_weight`` is
            not positive.
    """

    def __init__(self,
                 *,
                 loss_weight: float = 1.0,
                 threshold: float = 0.5,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        name = type(self).__name__
        if not 0 <= threshold <= 1:
            raise ValueError(f'threshold={threshold} of {name} must lie '
                             'between 0 and 1.')
        if not loss_weight > 0:
            raise ValueError(
                f'loss_weight={loss_weight} of {name} must be positive: '
                'without the loss, leave existence out of the head.')
        self.loss_weight = loss_weight
        self.threshold = threshold

    @abstractmethod
    def forward(self, features: MultimodalFeatures) -> Tensor:
        """Compute the logit of existence.

        Args:
            features (MultimodalFeatures): As the head takes them.

        Returns:
            Tensor: ``B`` logits; above 0, the thing is likelier there than
            not.
        """

    def loss(self, features: MultimodalFeatures,
             batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Loss of existence.

        Args:
            features (MultimodalFeatures): See ``forward``.
            batch_data_samples (list[SegDataSample]): With ``no_target``
                (bool) in the metainfo, or else ``gt_sem_seg``: where it is
                empty there is no target.

        Returns:
            dict[str, Tensor]: ``loss_existence`` (weighted) and
            ``existence_bce``, the raw loss, for the log.
        """
        logits = self(features)
        # Half precision is too coarse for the logarithm of a sure answer.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        exists = logits.new_tensor(
            [float(has_target(sample)) for sample in batch_data_samples])
        raw = F.binary_cross_entropy_with_logits(logits, exists)
        return dict(
            loss_existence=self.loss_weight * raw, existence_bce=raw.detach())

    def predict(self, features: MultimodalFeatures) -> Tensor:
        """Scores of existence.

        Args:
            features (MultimodalFeatures): See ``forward``.

        Returns:
            Tensor: ``B``, float32, in 0..1.
        """
        return self(features).float().sigmoid()


@MODELS.register_module()
class ExistencePredictor(BaseExistencePredictor):
    """Predicts whether the referent is present in the image.

    ``e = w_2 ReLU(W_1 [mean F ; max F ; Q ; s] + b_1) + b_2``: mean and
    maximum over the pixels of the finest decoded map ``F``, the language
    queries ``Q`` one after the other, and the sentence as one vector ``s``
    (``language.sentence``). The maximum is what one pixel that fits can
    raise, however small the thing is. Queries and sentence are each used only
    where their width is given.

    It is an output beside the mask, as in RefSegformer (Wu et al., Towards
    robust referring image segmentation, 2024) and ReLA (Liu et al., GRES,
    2023); the form is our own. The score is ``sigmoid(e)``, trained by
    ``loss_weight`` times the binary cross-entropy.

    Args:
        in_channels (int): Channels of the finest map.
        channels (int): Hidden width. Defaults to 256.
        query_channels (int, optional): ``n * C_q``, width of all queries
            together. Defaults to None: queries are not used.
        language_channels (int | str, optional): Width of the word features,
            'auto' for that of the language encoder. Defaults to None: the
            sentence is not used.
        loss_weight (float): Of the loss. Defaults to 1.0.
        threshold (float): Score below which nothing is there, and the mask
            is emptied. Defaults to 0.5.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``threshold`` does not lie in 0..1, or ``loss_weight`` is
            not positive.

    Example:
        >>> import torch
        >>> from mmrefseg.models import ExistencePredictor
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> existence = ExistencePredictor(in_channels=8, channels=8)
        >>> features = MultimodalFeatures((torch.rand(3, 8, 16, 16), ))
        >>> existence.predict(features).shape
        torch.Size([3])
    """

    def __init__(self,
                 *,
                 in_channels: int,
                 channels: int = 256,
                 query_channels: int | None = None,
                 language_channels: int | None = None,
                 loss_weight: float = 1.0,
                 threshold: float = 0.5,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            loss_weight=loss_weight, threshold=threshold, init_cfg=init_cfg)
        self.with_queries = query_channels is not None
        self.with_sentence = language_channels is not None
        width = 2 * in_channels + (query_channels or 0) + (
            language_channels or 0)
        self.layers = nn.Sequential(
            nn.Linear(width, channels), nn.ReLU(), nn.Linear(channels, 1))

    def forward(self, features: MultimodalFeatures) -> Tensor:
        """Compute the logit of existence.

        Args:
            features (MultimodalFeatures): Decoded maps, finest first
                ``B x C x H_1 x W_1``; where they are asked for, queries
                ``B x n x C_q`` and the language.

        Returns:
            Tensor: ``B`` logits; above 0, the thing is likelier there than
            not.

        Raises:
            ValueError: Queries or the sentence are wanted and not there.
        """
        pixels = features[0].flatten(2)
        parts = [pixels.mean(dim=2), pixels.amax(dim=2)]
        if self.with_queries:
            if features.queries is None:
                raise ValueError(
                    'ExistencePredictor reads language queries, but the '
                    'backbone makes none: name query_stages there, or set '
                    'existence.query_channels=None.')
            parts.append(features.queries.flatten(1).to(pixels.dtype))
        if self.with_sentence:
            if features.language is None:
                raise ValueError('ExistencePredictor reads the sentence, but '
                                 'the features that it got have none.')
            parts.append(features.language.sentence.to(pixels.dtype))
        return self.layers(torch.cat(parts, dim=1))[:, 0]


def has_target(sample) -> bool:
    """Whether the referent of a training sample is in its image.

    The annotation goes first: a thing of a few pixels may be lost when its
    mask is resized.

    Args:
        sample (SegDataSample): With ``no_target`` (bool) in the metainfo, or
            else ``gt_sem_seg``.

    Returns:
        bool: False for a no-target sentence.
    """
    if 'no_target' in sample.metainfo:
        return not sample.metainfo['no_target']
    return bool((sample.gt_sem_seg.data == 1).any())
