# Licensed under the Apache License, Version 2.0.
import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures
from ..layers import check_heads, merge_heads, split_heads
from .no_query import refuse_query

# Biases that LAVT has and that change nothing: they are kept, because its
# files of weights have them, and do not train.
UNTRAINED_PARAMETERS = {
    'visual_query.bias': 'cancelled by the instance norm',
    'word_key.bias': 'cancelled by the softmax over words',
    'word_value.bias': 'the same at each pixel, since the weights of the '
    'words sum to 1: cancelled by the instance norm',
    'heard_out.bias': 'cancelled by the instance norm',
}


@MODELS.register_module()
class PWAM(BaseModule):
    """Pixel-word attention module (LAVT).

    With ``V_q = IN(W_vq V)``, ``L_k = W_lk L``, ``L_v = W_lv L``,
    ``S = V_q^T L_k / sqrt(C)`` (pixels x words):

    - words of each pixel: ``H = IN(W_h (softmax_words(S) L_v))``
    - ``F = GELU(W_o (GELU(W_v V) * H))``, the product element by element

    IN is an instance norm over space without affine. Padded words are left
    out of ``softmax_words``, so padding changes nothing. All six projections
    have a bias.

    With ``num_heads`` above 1 each group of ``C / num_heads`` channels of
    ``V_q``, ``L_k`` and ``L_v`` has a similarity of its own, divided by the
    root of the group's width: fusion in several spaces of few channels, as in
    FSFI. This is not in the paper.

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (None): This fusion makes no language query.
        num_heads (int): Groups of channels, which divide C. Defaults to 1.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: A language query is asked for, or ``num_heads`` does not
            divide ``channels``.

    Example:
        >>> from mmrefseg.models import PWAM
        >>> fusion = PWAM(channels=8, language_channels=16)
    """

    gives_attention = True

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = None,
                 num_heads: int = 1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        refuse_query(self, query_channels)
        check_heads(channels, num_heads, 'PWAM')
        self.num_heads = num_heads
        self.scale = 1 / math.sqrt(channels // num_heads)
        self.visual_query = nn.Linear(channels, channels)
        self.word_key = nn.Linear(language_channels, channels)
        self.word_value = nn.Linear(language_channels, channels)
        self.heard_out = nn.Linear(channels, channels)
        self.visual_branch = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        for name in UNTRAINED_PARAMETERS:
            self.get_parameter(name).requires_grad_(False)

    @staticmethod
    def _instance_norm(pixels: Tensor) -> Tensor:
        """Normalise ``B x N x C`` over its N pixels."""
        return F.instance_norm(pixels.transpose(1, 2)).transpose(1, 2)

    def _attention(self, pixels: Tensor, language: LanguageFeatures) -> Tensor:
        """``softmax_words(S)``, ``(B * heads) x N x T``."""
        heads = self.num_heads
        query = split_heads(
            self._instance_norm(self.visual_query(pixels)), heads)
        key = split_heads(self.word_key(language.words), heads)
        similarity = query @ key.transpose(1, 2) * self.scale
        padding = ~language.mask.repeat_interleave(heads, dim=0).unsqueeze(1)
        return similarity.masked_fill(
            padding, torch.finfo(similarity.dtype).min).softmax(dim=-1)

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
            FusionOutput: The fused map, ``B x C x H x W``, no language query,
            and on request the word attention, ``B x T x H x W``, which sums
            to 1 over the real words of each pixel; with several heads their
            mean.
        """
        pixels = visual.flatten(2).transpose(1, 2)
        attention = self._attention(pixels, language)
        words = attention @ split_heads(
            self.word_value(language.words), self.num_heads)
        words = self._instance_norm(
            self.heard_out(merge_heads(words, self.num_heads)))
        fused = F.gelu(self.out(F.gelu(self.visual_branch(pixels)) * words))
        size = visual.shape[2:]
        mean = None
        if return_attention:
            mean = attention.unflatten(0, (-1, self.num_heads)).mean(dim=1)
            mean = mean.transpose(1, 2).unflatten(2, size)
        return FusionOutput(
            fused.transpose(1, 2).unflatten(2, size), attention=mean)
