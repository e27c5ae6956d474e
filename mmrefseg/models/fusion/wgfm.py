# Licensed under the Apache License, Version 2.0.
import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures
from .no_query import refuse_query


@MODELS.register_module()
class WGFM(BaseModule):
    """Word-guided modulation of each pixel, and the context that the sentence
    finds in the image.

    After the abstract of the method with WGFM and SGCE, which fixes that the
    words modulate the features, that the sentence gathers context, and that
    the two complete each other; the form is our own:

    - words: ``a_p = softmax_words((W_q IN(V))_p . W_k L / sqrt(C))`` and
      ``M_p = (1 + a_p W_g L) * IN(V)_p + a_p W_b L``, scale and shift
    - sentence: ``c = sum_p softmax_p(V_p . W_s s / sqrt(C)) V_p``
    - ``F = ReLU(W_o [M ; c])``, ``c`` the same at every pixel

    IN is an instance norm over space without affine. Padded words are left
    out of ``softmax_words``, so padding changes nothing.

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (None): This fusion makes no language query.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: A language query is asked for.

    Example:
        >>> from mmrefseg.models import WGFM
        >>> fusion = WGFM(channels=8, language_channels=16)
    """

    gives_attention = True

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        refuse_query(self, query_channels)
        self.root = math.sqrt(channels)
        self.visual_query = nn.Linear(channels, channels)
        # The softmax over words cancels a bias of the key.
        self.word_key = nn.Linear(language_channels, channels, bias=False)
        self.word_scale = nn.Linear(language_channels, channels)
        self.word_shift = nn.Linear(language_channels, channels)
        self.sentence_query = nn.Linear(language_channels, channels)
        self.out = nn.Linear(2 * channels, channels)

    def forward(self,
                visual: Tensor,
                language: LanguageFeatures,
                return_attention: bool = False) -> FusionOutput:
        """Fuse a map with its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``; H * W is at least 2.
            language (LanguageFeatures): ``B`` sentences.
            return_attention (bool): Whether ``a`` is given.

        Returns:
            FusionOutput: The fused map, ``B x C x H x W``, no language query,
            and on request the word attention, ``B x T x H x W``, which sums
            to 1 over the real words of each pixel.
        """
        size, words = visual.shape[2:], language.words
        pixels = visual.flatten(2).transpose(1, 2)
        normed = F.instance_norm(pixels.transpose(1, 2)).transpose(1, 2)

        key = self.word_key(words).transpose(1, 2)
        similarity = self.visual_query(normed) @ key / self.root
        attention = similarity.masked_fill(
            ~language.mask.unsqueeze(1),
            torch.finfo(similarity.dtype).min).softmax(dim=-1)
        scale = attention @ self.word_scale(words)
        modulated = (1 + scale) * normed + attention @ self.word_shift(words)

        asked = self.sentence_query(language.sentence).unsqueeze(2)
        found = (pixels @ asked / self.root).softmax(dim=1)
        context = (found.transpose(1, 2) @ pixels).expand_as(pixels)
        fused = F.relu(self.out(torch.cat([modulated, context], dim=-1)))
        return FusionOutput(
            fused.transpose(1, 2).unflatten(2, size),
            attention=attention.transpose(1, 2).unflatten(2, size)
            if return_attention else None)
