# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from dataclasses import replace

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures, MultimodalFeatures
from ..fusion import build_fusions


@MODELS.register_module()
class LateFusionBackbone(BaseModule):
    """Any stock backbone, with language fused into the maps it gives out.

    The backbone runs once for an image whatever the sentence says; each of
    its maps is then fused with the words, so a decoder sees the same kind of
    features as from ``LanguageSwinTransformer``.

    Args:
        backbone (dict): Config of a backbone of mmseg or mmpretrain
            (``mmpretrain.X``) that gives a tuple of maps.
        in_channels (Sequence[int]): Channels of those maps.
        language_channels (int): Width of the word features. The segmentor
            sets it from its language encoder.
        fusion (dict): Fusion of map and words, one built for each map.
        query_channels (int): Width of the language queries. Defaults to 256.
        query_stages (Sequence[int]): Maps, from 0, that give a query.
            Defaults to all four.
        init_cfg (dict, optional): Initialization config. Defaults to None.
    """

    uses_language = True

    def __init__(self,
                 *,
                 backbone: dict,
                 in_channels: Sequence[int],
                 language_channels: int,
                 fusion: dict,
                 query_channels: int = 256,
                 query_stages: Sequence[int] = (0, 1, 2, 3),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.fusions = build_fusions(
            fusion,
            channels=in_channels,
            language_channels=language_channels,
            query_channels=query_channels,
            query_stages=query_stages)

    def forward(self, images: Tensor,
                language: LanguageFeatures) -> MultimodalFeatures:
        """Extract maps and fuse each with the sentences.

        Args:
            images (Tensor): ``N x 3 x H x W``, normalised.
            language (LanguageFeatures): ``B`` sentences.

        Returns:
            MultimodalFeatures: Maps ``B x C_i x H_i x W_i``, queries
            ``B x n x C_q``.
        """
        stock = self.backbone(images)
        if len(stock) != len(self.fusions):
            raise ValueError(
                f'The backbone gave {len(stock)} maps where in_channels names '
                f'{len(self.fusions)}: set its out_indices or in_channels.')
        if language.image_index is not None:
            stock = [x[language.image_index] for x in stock]
            language = replace(language, image_index=None)
        pairs = [f(x, language) for f, x in zip(self.fusions, stock)]
        queries = [query for _, query in pairs if query is not None]
        return MultimodalFeatures(
            maps=tuple(fused for fused, _ in pairs),
            queries=torch.stack(queries, dim=1) if queries else None,
            language=language)
