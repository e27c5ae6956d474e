# Licensed under the Apache License, Version 2.0.
"""A second pass on a masked image and a masked sentence."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures, Pairs
from ..language_encoders.token_replacement import TokenReplacement
from .loss_hooks import (answering, loss_parts, two_channels, weighted,
                         without_statistics)

if TYPE_CHECKING:
    from .referring_encoder_decoder import ReferringEncoderDecoder


@MODELS.register_module()
class MaskedTraining:
    """Training that also asks for the mask of what is half hidden (MaskRIS).

    A step has two passes. The first is plain training: its losses ``L_1``,
    its mask probabilities ``t``. The second sees the image with
    ``image_ratio`` of its patches at 0, the mean colour, and the sentence
    with ``token_ratio`` of its tokens replaced, and is to find the same mask:

        ``L_2 = - mean over pixels  sum_c  w_c  t_c  log softmax(Y_2)_c``

    with ``t`` as a constant. The step follows the gradient of
    ``loss_weights[0] * L_1 + loss_weights[1] * L_2``, in one backward pass
    and so with the memory of twice the batch. The model has no parameter
    more, its files are those of plain training, and inference is the same.
    Source: Lee et al., MaskRIS: Semantic distortion-aware data augmentation
    for referring image segmentation, 2024 (arXiv:2411.19067).

    The second pass has the losses that compare logits with a mask, and no
    others: of ``loss_decode`` (all its parts together are the one soft
    cross-entropy), and those that the head names in ``mask_losses``, with
    their weight, as the mask priors of :class:`LQPGHead`. Whether a thing
    exists cannot be seen where it is hidden, and losses from other parts have
    a truth of their own: those have their place in ``L_1``.

    With ``share_images`` all sentences of an image see it masked alike.
    Random numbers come from PyTorch's default generator of the CPU, so they
    follow from seed, iteration and process (:class:`IterationSeedHook`).

    It is named in ``train_cfg`` of any config:
    ``model = dict(train_cfg=dict(masked=dict(type='MaskedTraining')))``.

    Args:
        image_ratio (float): Share of the patches of an image that are
            hidden, 0 to 1; their number is rounded. Defaults to 0.75.
        patch_size (int): Side of a patch, in pixels of the network's input.
            Those at the right and the lower edge may be cut. Defaults to 32.
        token_ratio (float): Probability of each token to be replaced, 0 to
            1. Special tokens never are. Defaults to 0.15.
        token_shares (Sequence[float]): Of the replaced ones, how many become
            [MASK], how many a random token, how many stay. Defaults to
            (0.8, 0.1, 0.1).
        class_weight (Sequence[float]): ``w_c`` of background and referent.
            Defaults to (0.9, 1.1).
        loss_weights (Sequence[float]): Of the first pass and the second.
            Defaults to (0.5, 0.5).
        masked_statistics (bool): Whether the running means of batch norms,
            with which one predicts, see the second pass too, as in a model
            that is simply called twice. Defaults to True.

    Raises:
        ValueError: A ratio does not lie in 0..1, shares do not sum to 1, or
            sizes or weights are not positive.

    Example:
        >>> import torch
        >>> from mmrefseg.models import MaskedTraining
        >>> masked = MaskedTraining(image_ratio=0.5, patch_size=2)
        >>> hidden = masked.hide_patches(torch.ones(1, 3, 4, 4))
        >>> int(hidden[0, 0].sum())  # 2 of 4 patches of 4 pixels
        8
    """

    def __init__(self,
                 *,
                 image_ratio: float = 0.75,
                 patch_size: int = 32,
                 token_ratio: float = 0.15,
                 token_shares: Sequence[float] = (0.8, 0.1, 0.1),
                 class_weight: Sequence[float] = (0.9, 1.1),
                 loss_weights: Sequence[float] = (0.5, 0.5),
                 masked_statistics: bool = True) -> None:
        for name, ratio in (('image_ratio', image_ratio),
                            ('token_ratio', token_ratio)):
            if not 0 <= ratio <= 1:
                raise ValueError(f'{name}={ratio} of MaskedTraining must lie '
                                 'between 0 and 1.')
        if patch_size < 1:
            raise ValueError(f'patch_size={patch_size} of MaskedTraining must '
                             'be at least 1.')
        if len(token_shares) != 3 or min(token_shares) < 0 or not math.isclose(
                sum(token_shares), 1):
            raise ValueError(
                f'token_shares={tuple(token_shares)} of MaskedTraining are '
                'three shares, of [MASK], random and kept, and sum to 1.')
        for name, pair in (('class_weight', class_weight),
                           ('loss_weights', loss_weights)):
            if len(pair) != 2 or not min(pair) > 0:
                raise ValueError(f'{name}={tuple(pair)} of MaskedTraining are '
                                 'two positive numbers.')
        self.image_ratio = image_ratio
        self.patch_size = patch_size
        self.token_ratio = token_ratio
        self.token_shares = tuple(token_shares)
        self.class_weight = tuple(class_weight)
        self.loss_weights = tuple(loss_weights)
        self.masked_statistics = masked_statistics

    def check(self, segmentor: 'ReferringEncoderDecoder') -> None:
        """See whether a segmentor can be trained so.

        Args:
            segmentor (ReferringEncoderDecoder): The segmentor; one without
                language encoder, as for counting FLOPs, passes.

        Raises:
            ValueError: Its language encoder cannot replace tokens, or its
                backbone keeps the maps of all images that it sees.
        """
        encoder = getattr(segmentor, 'language_encoder', None)
        if self.token_ratio and encoder is not None:
            if not hasattr(encoder, 'replacement_ids'):
                raise ValueError(
                    f'{type(encoder).__name__} cannot replace tokens: it needs'
                    ' replacement_ids and forward(texts, replace=...) '
                    '(docs/own_parts.md); or set token_ratio=0 of '
                    'MaskedTraining.')
            self._replacement(encoder)
        if self.image_ratio and getattr(segmentor.backbone, 'keeps_maps',
                                        False):
            raise ValueError(
                'The backbone keeps the maps of every image that it sees, and '
                'each masked image is another: set cache=False of the '
                'backbone, or image_ratio=0 of MaskedTraining.')

    def _replacement(self, encoder: Any) -> TokenReplacement:
        return TokenReplacement(
            encoder.replacement_ids,
            ratio=self.token_ratio,
            shares=self.token_shares)

    def hide_patches(self, images: Tensor) -> Tensor:
        """Set a share of the patches of each image to 0.

        Args:
            images (Tensor): ``N x 3 x H x W``, normalised.

        Returns:
            Tensor: Of the same shape. Of ``ceil(H / patch_size) x
            ceil(W / patch_size)`` patches the share ``image_ratio``, rounded,
            is 0, drawn for each image without repetition.
        """
        size = self.patch_size
        height, width = images.shape[2:]
        rows, columns = math.ceil(height / size), math.ceil(width / size)
        count = round(self.image_ratio * rows * columns)
        # A random order: the places of the first numbers are a random choice.
        order = torch.rand(len(images), rows * columns).argsort(dim=1)
        hidden = (order < count).view(-1, 1, rows, columns).to(images.device)
        hidden = hidden.repeat_interleave(size, 2).repeat_interleave(size, 3)
        return images.masked_fill(hidden[..., :height, :width], 0)

    def soft_cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """``- mean over pixels  sum_c  w_c  t_c  log softmax(Y)_c``.

        Args:
            logits (Tensor): ``B x 2 x H x W``, or ``B x 1 x H x W`` of the
                referent alone, whose background has the logit 0.
            target (Tensor): Probabilities, ``B x 2 x H x W``.

        Returns:
            Tensor: A scalar, float32 at least.
        """
        logits = two_channels(logits)
        weight = logits.new_tensor(self.class_weight).view(1, 2, 1, 1)
        return -(weight * target *
                 F.log_softmax(logits, dim=1)).sum(dim=1).mean()

    def losses(self, segmentor: 'ReferringEncoderDecoder', inputs: Tensor,
               texts: Sequence[str], pairs: Pairs | None,
               data_samples: list) -> dict[str, Tensor]:
        """Losses of both passes.

        Args:
            segmentor (ReferringEncoderDecoder): What is trained.
            inputs (Tensor): ``N x 3 x H x W``, normalised.
            texts (Sequence[str]): ``B`` sentences.
            pairs (Pairs, optional): The image of each.
            data_samples (list[SegDataSample]): ``B``, with ``gt_sem_seg``.

        Returns:
            dict[str, Tensor]: Losses of the first pass by their names, of the
            second with 'masked.' before them; those named 'loss' are
            weighted by ``loss_weights``.

        Raises:
            ValueError: The head hands no logits to its ``loss_decode``.
        """
        head = segmentor.decode_head
        seen: list[Tensor] = []
        with answering(head, lambda logits, _: seen.append(logits.detach())):
            losses = segmentor.plain_losses(inputs, texts, pairs, data_samples)
        if not seen:
            raise ValueError(
                f'{type(head).__name__} hands no logits to its loss_decode, '
                'so MaskedTraining finds no mask to ask for again: use a head '
                "that is trained as mmseg's are.")
        first, second = self.loss_weights
        target = two_channels(seen[0]).softmax(dim=1)

        def answer(logits: Tensor, is_first: bool) -> Tensor:
            if is_first:
                return self.soft_cross_entropy(logits, target)
            return logits.new_zeros(())

        with ExitStack() as stack:
            if not self.masked_statistics:
                stack.enter_context(without_statistics(segmentor))
            features = self._extract_masked(segmentor, inputs, texts, pairs)
            stack.enter_context(answering(head, answer))
            masked = head.loss(features, data_samples, segmentor.train_cfg)
        wanted = (loss_parts(head)[0].loss_name,
                  *getattr(head, 'mask_losses', ()))
        masked = {f'masked.{x}': y for x, y in masked.items() if x in wanted}
        return {**weighted(losses, first), **weighted(masked, second)}

    def _extract_masked(self, segmentor: 'ReferringEncoderDecoder',
                        inputs: Tensor, texts: Sequence[str],
                        pairs: Pairs | None) -> MultimodalFeatures:
        encoder, replace = segmentor.language_encoder, {}
        if self.token_ratio:
            replace = dict(replace=self._replacement(encoder))
        language = encoder(list(texts), **replace)
        if self.image_ratio:
            inputs = self.hide_patches(inputs)
        return segmentor.fuse_images(inputs, language, pairs)
