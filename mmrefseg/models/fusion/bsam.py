# Licensed under the Apache License, Version 2.0.
import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures, masked_mean
from ..layers import check_heads, merge_heads, split_heads


@MODELS.register_module()
class BSAM(BaseModule):
    """Bidirectional spatial alignment of pixels and words (MPG-LQGNet).

    With ``V_q = IN(W_vq V)``, ``V_v = IN(W_vv V)``, ``L_k = W_lk L``,
    ``L_v = W_lv L`` and ``S = V_q^T L_k / sqrt(C)`` (pixels x words):

    - vision: ``F = ReLU(W_ov [V ; softmax_words(S) L_v])``
    - language: ``Q = mean_words(ReLU(W_ol [L ; softmax_pixels(S^T) V_v]))``

    IN is an instance norm over space without affine. Padded words are left
    out of ``softmax_words`` and of the mean, so padding changes nothing.
    Biases that IN or a softmax would cancel are not built.

    With ``product`` the vision side also sees how well pixel and words agree:
    ``F = ReLU(W_ov [V ; A ; V_q * A])``, ``A = softmax_words(S) L_v``. This is
    not in the paper. From few images it is learned sooner, as sums alone must
    first build such products out of ReLUs.

    With ``num_heads`` above 1 each group of ``C / num_heads`` channels of
    ``V_q``, ``V_v``, ``L_k`` and ``L_v`` has a similarity of its own, divided
    by the root of the group's width: fusion in several spaces of few
    channels, as in FSFI. This is not in the paper.

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (int, optional): Width of the language query. None
            builds the vision side only.
        product (bool): Whether the product is seen. Defaults to False.
        num_heads (int): Groups of channels, which divide C. Defaults to 1.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``num_heads`` does not divide ``channels``.

    Example:
        >>> import torch
        >>> from mmrefseg.models import BSAM
        >>> from mmrefseg.structures import LanguageFeatures
        >>> language = LanguageFeatures(
        ...     words=torch.rand(2, 5, 16), mask=torch.ones(2, 5).bool())
        >>> fusion = BSAM(channels=8, language_channels=16, query_channels=4)
        >>> fused, query, _ = fusion(torch.rand(2, 8, 6, 6), language)
        >>> fused.shape, query.shape
        (torch.Size([2, 8, 6, 6]), torch.Size([2, 4]))
    """

    gives_attention = True

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = 256,
                 product: bool = False,
                 num_heads: int = 1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        check_heads(channels, num_heads, 'BSAM')
        self.num_heads = num_heads
        self.scale = 1 / math.sqrt(channels // num_heads)
        self.visual_query = nn.Linear(channels, channels, bias=False)
        # A key bias adds one number to all words of a pixel: softmax over
        # words cancels it, softmax over pixels does not.
        self.with_query = query_channels is not None
        self.word_key = nn.Linear(
            language_channels, channels, bias=self.with_query)
        self.word_value = nn.Linear(language_channels, channels)
        self.product = product
        self.visual_out = nn.Linear((2 + product) * channels, channels)
        if query_channels is not None:
            self.visual_value = nn.Linear(channels, channels, bias=False)
            self.query_out = nn.Linear(language_channels + channels,
                                       query_channels)

    @staticmethod
    def _instance_norm(pixels: Tensor) -> Tensor:
        """Normalise ``B x N x C`` over its N pixels."""
        return F.instance_norm(pixels.transpose(1, 2)).transpose(1, 2)

    def _similarity(self, pixels: Tensor,
                    words: Tensor) -> tuple[Tensor, Tensor]:
        """``V_q``, ``B x N x C``, and ``S``, ``(B * heads) x N x T``."""
        query = self._instance_norm(self.visual_query(pixels))
        key = self._split(self.word_key(words))
        similarity = self._split(query) @ key.transpose(1, 2) * self.scale
        return query, similarity

    def _split(self, x: Tensor) -> Tensor:
        return split_heads(x, self.num_heads)

    def _merge(self, x: Tensor) -> Tensor:
        return merge_heads(x, self.num_heads)

    def forward(self,
                visual: Tensor,
                language: LanguageFeatures,
                return_attention: bool = False) -> FusionOutput:
        """Fuse a map with the words of its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``; H * W is at least 2.
            language (LanguageFeatures): ``B`` sentences.
            return_attention (bool): Whether ``softmax_words(S)`` is given.

        Returns:
            FusionOutput: The fused map, ``B x C x H x W``, the language
            query, ``B x C_q``, or None without the language side, and on
            request the word attention, ``B x T x H x W``, which sums to 1
            over the real words of each pixel; with several heads their mean.
        """
        pixels = visual.flatten(2).transpose(1, 2)
        words = language.words
        visual_query, similarity = self._similarity(pixels, words)

        padding = ~language.mask.repeat_interleave(
            self.num_heads, dim=0).unsqueeze(1)
        to_words = similarity.masked_fill(
            padding, torch.finfo(similarity.dtype).min).softmax(dim=-1)
        from_words = self._merge(to_words @ self._split(
            self.word_value(words)))
        parts = [pixels, from_words]
        if self.product:
            parts.append(visual_query * from_words)
        fused = F.relu(self.visual_out(torch.cat(parts, dim=-1)))
        size = visual.shape[2:]
        fused = fused.transpose(1, 2).unflatten(2, size)
        attention = None
        if return_attention:
            mean = to_words.unflatten(0, (-1, self.num_heads)).mean(dim=1)
            attention = mean.transpose(1, 2).unflatten(2, size)
        if not self.with_query:
            return FusionOutput(fused, None, attention)

        to_pixels = similarity.transpose(1, 2).softmax(dim=-1)
        from_pixels = self._merge(to_pixels @ self._split(
            self._instance_norm(self.visual_value(pixels))))
        query = F.relu(self.query_out(torch.cat([words, from_pixels], dim=-1)))
        return FusionOutput(fused, masked_mean(query, language.mask),
                            attention)
