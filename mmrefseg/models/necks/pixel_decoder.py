# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleDict, ModuleList, Sequential

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures


@MODELS.register_module()
class ReferringPixelDecoder(BaseModule):
    """Top-down decoder of MPG-LQGNet, of LAVT's shape.

    ``x_4 = F_4``; for i = 3, 2, 1: ``x_i = convs_i([up(x_(i+1)) ; F_i])`` with
    two 3x3 convolutions, BN and ReLU. Then ``F_Di = GN(W_i x_i)``, 1x1.

    Args:
        in_channels (Sequence[int]): Channels of the maps, finest first.
        channels (int): Width of the 3x3 convolutions. Defaults to 512.
        out_channels (int, optional): Channels ``C_q`` of the maps given out.
            None gives ``x_i`` as they are. Defaults to 256.
        out_indices (Sequence[int]): Which maps are given out, from 0 the
            finest. Defaults to all four.
        norm_cfg (dict): Norm after the 3x3 convolutions. Defaults to BN.
        out_norm_cfg (dict, optional): Norm after the 1x1 convolutions.
            Defaults to GN of 32 groups.
        align_corners (bool): Of the bilinear resizing. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Example:
        >>> import torch
        >>> from mmrefseg.models import ReferringPixelDecoder
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> neck = ReferringPixelDecoder(
        ...     in_channels=[4, 8], channels=8, out_channels=32,
        ...     out_indices=(0, 1))
        >>> maps = (torch.rand(1, 4, 8, 8), torch.rand(1, 8, 4, 4))
        >>> [tuple(x.shape) for x in neck(MultimodalFeatures(maps))]
        [(1, 32, 8, 8), (1, 32, 4, 4)]
    """

    def __init__(self,
                 *,
                 in_channels: Sequence[int],
                 channels: int = 512,
                 out_channels: int | None = 256,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 norm_cfg: dict = dict(type='BN'),
                 out_norm_cfg: dict | None = dict(type='GN', num_groups=32),
                 align_corners: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.out_indices = tuple(out_indices)
        self.align_corners = align_corners
        top = len(in_channels) - 1
        widths = [channels] * top + [in_channels[top]]
        self.blocks = ModuleList(
            Sequential(
                ConvModule(
                    widths[i + 1] + in_channels[i],
                    channels,
                    3,
                    padding=1,
                    norm_cfg=norm_cfg),
                ConvModule(channels, channels, 3, padding=1,
                           norm_cfg=norm_cfg)) for i in range(top))
        self.projections = None
        if out_channels is not None:
            self.projections = ModuleDict({
                str(i): ConvModule(
                    widths[i],
                    out_channels,
                    1,
                    norm_cfg=out_norm_cfg,
                    act_cfg=None)
                for i in self.out_indices
            })

    def forward(self, features: MultimodalFeatures) -> MultimodalFeatures:
        """Decode the maps of a backbone.

        Args:
            features (MultimodalFeatures): Maps ``B x C_i x H_i x W_i``.

        Returns:
            MultimodalFeatures: The maps of ``out_indices``, finest first,
            ``B x C_q x H_i x W_i``; queries and language as they came.
        """
        x = features[-1]
        decoded = [x]
        for i in range(len(self.blocks) - 1, -1, -1):
            skip = features[i]
            x = F.interpolate(
                x,
                size=skip.shape[2:],
                mode='bilinear',
                align_corners=self.align_corners)
            x = self.blocks[i](torch.cat([x, skip], dim=1))
            decoded.insert(0, x)
        if self.projections is None:
            maps = tuple(decoded[i] for i in self.out_indices)
        else:
            maps = tuple(self.projections[str(i)](decoded[i])
                         for i in self.out_indices)
        return replace(features, maps=maps)
