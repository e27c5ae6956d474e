# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from mmseg.models.decode_heads.aspp_head import ASPPModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures
from .run_neck import run_neck


class ASPPLevel(BaseModule):
    """ASPP of one level: mmseg's dilated branches, side by side, then 1x1.

    Args:
        in_channels (int): Channels of the map.
        dilations (Sequence[int]): Of each branch; 1 is a 1x1 convolution. A
            single branch is the whole level.
        channels (int): Channels of each branch, and of the result.
        norm_cfg (dict): Norm after each convolution.
    """

    def __init__(self, *, in_channels: int, dilations: Sequence[int],
                 channels: int, norm_cfg: dict) -> None:
        super().__init__()
        self.branches = ASPPModule(
            tuple(dilations),
            in_channels,
            channels,
            conv_cfg=None,
            norm_cfg=norm_cfg,
            act_cfg=dict(type='ReLU'))
        self.project = None
        if len(dilations) > 1:
            self.project = ConvModule(
                len(dilations) * channels, channels, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """From ``B x C_i x H x W`` to ``B x channels x H x W``."""
        found = torch.cat(self.branches(x), dim=1)
        return found if self.project is None else self.project(found)


@MODELS.register_module()
class ASPPNeck(BaseModule):
    """Several receptive fields on several levels, after the abstract of
    language-driven attention (Chen et al., ICRA 2021).

    Multi-receptive-field: ``A_i = ASPP_i(F_i)``, mmseg's stock branches with
    the rates of the level, then 1x1 to ``channels``. Multi-level-semantic:
    ``y_i = A_i + up(y_(i+1))`` from the coarsest level down, then all ``y_i``
    resized to the finest and concatenated. With ``decoder`` that neck takes
    the ``A_i`` instead. The abstract names both aims and no layer.

    Args:
        in_channels (Sequence[int]): Channels of the maps, finest first.
        dilations (Sequence[Sequence[int] | None]): Rates of each level. (1, )
            is a 1x1 convolution: no ASPP. None, with a decoder only: the map
            passes by as it is.
        channels (int): Channels of each level. Defaults to 256.
        decoder (dict, optional): A neck that takes the levels, with
            ``in_channels`` as :attr:`widths`. None sums and concatenates.
        norm_cfg (dict): Norm after each convolution. Defaults to BN.
        align_corners (bool): Of the bilinear resizing. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Attributes:
        widths (list[int]): Channels of each level after its ASPP.

    Raises:
        ValueError: ``dilations`` has another length than ``in_channels``,
            or passes a map by without a decoder.

    Example:
        >>> import torch
        >>> from mmrefseg.models import ASPPNeck
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> neck = ASPPNeck(
        ...     in_channels=[4, 8], dilations=[(1, 6), (1, 3)], channels=16)
        >>> maps = (torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4))
        >>> neck(MultimodalFeatures(maps))[0].shape
        torch.Size([2, 32, 8, 8])
    """

    def __init__(self,
                 *,
                 in_channels: Sequence[int],
                 dilations: Sequence[Sequence[int] | None],
                 channels: int = 256,
                 decoder: dict | None = None,
                 norm_cfg: dict = dict(type='BN'),
                 align_corners: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if len(dilations) != len(in_channels):
            raise ValueError(
                f'dilations of ASPPNeck lists {len(dilations)} levels, '
                f'in_channels {len(in_channels)}: give the rates of each.')
        if decoder is None and None in dilations:
            raise ValueError(
                'ASPPNeck sums and concatenates levels of one width: None in '
                'dilations, which leaves a map as it is, needs a decoder. '
                'Take (1, ) for a 1x1 convolution.')
        self.align_corners = align_corners
        self.widths = [
            width if rates is None else channels
            for width, rates in zip(in_channels, dilations)
        ]
        self.levels = ModuleList(
            nn.Identity() if rates is None else ASPPLevel(
                in_channels=width,
                dilations=rates,
                channels=channels,
                norm_cfg=norm_cfg)
            for width, rates in zip(in_channels, dilations))
        self.decoder = None if decoder is None else MODELS.build(decoder)

    def _resize(self, x: Tensor, like: Tensor) -> Tensor:
        if x.shape[2:] == like.shape[2:]:
            return x
        return F.interpolate(
            x,
            size=like.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners)

    def forward(self, features: MultimodalFeatures) -> MultimodalFeatures:
        """Widen the view of each level, and bring the levels together.

        Args:
            features (MultimodalFeatures): Maps ``B x C_i x H_i x W_i``, as
                many as ``in_channels`` names.

        Returns:
            MultimodalFeatures: One map, ``B x (n * channels) x H_1 x W_1``
            of ``n`` levels, or what the decoder makes of them; all else as
            it came.
        """
        maps = [level(x) for level, x in zip(self.levels, features.maps,
                                             strict=True)]
        if self.decoder is not None:
            return run_neck(self.decoder, replace(features, maps=tuple(maps)))
        for i in range(len(maps) - 2, -1, -1):
            maps[i] = maps[i] + self._resize(maps[i + 1], maps[i])
        merged = torch.cat([self._resize(x, maps[0]) for x in maps], dim=1)
        return replace(features, maps=(merged, ))
