# Licensed under the Apache License, Version 2.0.

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures
from .no_query import refuse_query


@MODELS.register_module()
class TileConcat(BaseModule):
    """Tile and concatenate: the plainest fusion, the baseline of Table 2 of
    MPG-LQGNet.

    ``F = ReLU(W [V ; s])``, where ``s`` is the sentence as one vector
    (``language.sentence``), the same at every pixel.

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (None): This fusion makes no language query.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: A language query is asked for.

    Example:
        >>> from mmrefseg.models import TileConcat
        >>> fusion = TileConcat(channels=8, language_channels=16)
    """

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        refuse_query(self, query_channels)
        self.out = nn.Linear(channels + language_channels, channels)

    def forward(self, visual: Tensor,
                language: LanguageFeatures) -> FusionOutput:
        """Fuse a map with its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``.
            language (LanguageFeatures): ``B`` sentences.

        Returns:
            FusionOutput: The fused map, ``B x C x H x W``, and no language
            query.
        """
        sentence = language.sentence
        # W [V ; s] = W_v V + W_s s: the second term once for all pixels.
        channels = visual.shape[1]
        from_visual, from_words = self.out.weight.split(
            [channels, sentence.shape[1]], dim=1)
        tiled = F.linear(sentence, from_words, self.out.bias)
        fused = F.conv2d(visual, from_visual[..., None, None])
        return FusionOutput(torch.relu(fused + tiled[..., None, None]))
