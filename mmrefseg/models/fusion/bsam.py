# Licensed under the Apache License, Version 2.0.
import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures, masked_mean


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

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (int, optional): Width of the language query. None
            builds the vision side only.
        init_cfg (dict, optional): Initialization config. Defaults to None.
    """

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = 256,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.scale = 1 / math.sqrt(channels)
        with_query = query_channels is not None
        self.visual_query = nn.Linear(channels, channels, bias=False)
        # A key bias adds one number to all words of a pixel: softmax over
        # words cancels it, softmax over pixels does not.
        self.word_key = nn.Linear(language_channels, channels, bias=with_query)
        self.word_value = nn.Linear(language_channels, channels)
        self.visual_out = nn.Linear(2 * channels, channels)
        if with_query:
            self.visual_value = nn.Linear(channels, channels, bias=False)
            self.query_out = nn.Linear(language_channels + channels,
                                       query_channels)
        self.with_query = with_query

    @staticmethod
    def _instance_norm(pixels: Tensor) -> Tensor:
        """Normalise ``B x N x C`` over its N pixels."""
        return F.instance_norm(pixels.transpose(1, 2)).transpose(1, 2)

    def _similarity(self, pixels: Tensor, words: Tensor) -> Tensor:
        """``S``, ``B x N x T``."""
        query = self._instance_norm(self.visual_query(pixels))
        key = self.word_key(words)
        return query @ key.transpose(1, 2) * self.scale

    def forward(
        self, visual: Tensor, language: LanguageFeatures
    ) -> tuple[Tensor, Tensor | None]:
        """Fuse a map with the words of its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``; H * W is at least 2.
            language (LanguageFeatures): ``B`` sentences.

        Returns:
            tuple[Tensor, Tensor | None]: The fused map, ``B x C x H x W``,
            and the language query, ``B x C_q``, or None without the
            language side.
        """
        pixels = visual.flatten(2).transpose(1, 2)
        words = language.words
        similarity = self._similarity(pixels, words)

        padding = ~language.mask.unsqueeze(1)
        to_words = similarity.masked_fill(
            padding, torch.finfo(similarity.dtype).min).softmax(dim=-1)
        heard = to_words @ self.word_value(words)
        fused = F.relu(self.visual_out(torch.cat([pixels, heard], dim=-1)))
        fused = fused.transpose(1, 2).unflatten(2, visual.shape[2:])
        if not self.with_query:
            return fused, None

        to_pixels = similarity.transpose(1, 2).softmax(dim=-1)
        seen = to_pixels @ self._instance_norm(self.visual_value(pixels))
        query = F.relu(self.query_out(torch.cat([words, seen], dim=-1)))
        return fused, masked_mean(query, language.mask)

    def word_attention(self, visual: Tensor,
                       language: LanguageFeatures) -> Tensor:
        """How much each pixel listens to each word: ``softmax_words(S)``.

        Args:
            visual (Tensor): ``B x C x H x W``.
            language (LanguageFeatures): ``B`` sentences.

        Returns:
            Tensor: ``B x T x H x W``, in 0..1, summing to 1 over the real
            words of each pixel and 0 on padding.
        """
        pixels = visual.flatten(2).transpose(1, 2)
        similarity = self._similarity(pixels, language.words)
        similarity = similarity.masked_fill(~language.mask.unsqueeze(1),
                                            torch.finfo(similarity.dtype).min)
        attention = similarity.softmax(dim=-1).transpose(1, 2)
        return attention.unflatten(2, visual.shape[2:])
