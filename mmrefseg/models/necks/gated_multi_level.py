# Licensed under the Apache License, Version 2.0.
from dataclasses import replace

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures

_LEVELS = 3


@MODELS.register_module()
class GatedMultiLevelFusion(BaseModule):
    """Gated multi-level fusion of CMSA-Net (GMLF): three maps of one size to
    one.

    For each level i with the two others j (the coarser level) and k:

    - ``[X ; m ; r] = Conv3x3(x_i)``; memory gate ``m = sigmoid(m + 1)``,
      reset gate ``r = sigmoid(r + 1)``
    - ``G = (1 - m) X + m (a_i x_j + (1 - a_i) x_k)``
    - ``o_i = r tanh(G) + (1 - r) x_i``

    The fused map is ``o_1 + o_2 + o_3``. The weights ``a`` are learned and
    not bounded.

    Args:
        channels (int): Channels of each map and of the fused one. Defaults
            to 500.
        init_share (float): Where each ``a`` starts. Defaults to 0.5.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: (in forward) There are not three maps of one shape.

    Example:
        >>> import torch
        >>> from mmrefseg.models import GatedMultiLevelFusion
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> neck = GatedMultiLevelFusion(channels=4)
        >>> maps = tuple(torch.rand(3, 2, 4, 8, 8))
        >>> [tuple(x.shape) for x in neck(MultimodalFeatures(maps))]
        [(2, 4, 8, 8)]
    """

    def __init__(self,
                 *,
                 channels: int = 500,
                 init_share: float = 0.5,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.convs = ModuleList(
            nn.Conv2d(channels, 3 * channels, 3, padding=1)
            for _ in range(_LEVELS))
        self.shares = nn.Parameter(torch.full((_LEVELS, ), init_share))

    def _gated(self, level: int, maps: tuple[Tensor, ...]) -> Tensor:
        """``o_i`` of a level, ``B x C x H x W``."""
        x = maps[level]
        coarser, finer = (
            maps[i] for i in reversed(range(_LEVELS)) if i != level)
        new, memory, reset = self.convs[level](x).chunk(3, dim=1)
        memory, reset = (memory + 1).sigmoid(), (reset + 1).sigmoid()
        share = self.shares[level]
        others = share * coarser + (1 - share) * finer
        mixed = (1 - memory) * new + memory * others
        return reset * mixed.tanh() + (1 - reset) * x

    def forward(self, features: MultimodalFeatures) -> MultimodalFeatures:
        """Fuse the maps of three levels.

        Args:
            features (MultimodalFeatures): Three maps, ``B x C x H x W`` each,
                the finest level first.

        Returns:
            MultimodalFeatures: One map, ``B x C x H x W``; queries and
            language as they came.

        Raises:
            ValueError: There are not three maps of one shape.
        """
        maps = tuple(features)
        shapes = [tuple(map(int, x.shape[1:])) for x in maps]
        if len(maps) != _LEVELS or len(set(shapes)) > 1:
            raise ValueError(
                'GatedMultiLevelFusion takes three maps of one shape and got '
                f'{len(maps)} of {shapes} (channels, height, width): set '
                'strides and out_indices of the backbone, and out_channels '
                'of the fusions, so that three equal ones come out.')
        gated = [self._gated(i, maps) for i in range(_LEVELS)]
        return replace(features, maps=(gated[0] + gated[1] + gated[2], ))
