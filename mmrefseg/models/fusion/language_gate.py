# Licensed under the Apache License, Version 2.0.

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS


@MODELS.register_module()
class LanguageGate(BaseModule):
    """Language gate (LAVT): ``F * tanh(W_2 ReLU(W_1 F))``.

    It weighs each element of the fused map by the map itself, pixel by pixel;
    the visual map is not looked at. Neither projection has a bias.

    Args:
        channels (int): Channels of the fused map.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Example:
        >>> import torch
        >>> from mmrefseg.models import LanguageGate
        >>> fused, visual = torch.rand(2, 2, 8, 6, 6)
        >>> LanguageGate(channels=8)(fused, visual).shape
        torch.Size([2, 8, 6, 6])
    """

    def __init__(self,
                 *,
                 channels: int,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.hidden = nn.Linear(channels, channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)

    def forward(self, fused: Tensor, visual: Tensor) -> Tensor:
        """Weigh a fused map.

        Args:
            fused (Tensor): F, ``B x C x H x W``.
            visual (Tensor): V, ``B x C x H x W``; not used.

        Returns:
            Tensor: The increment of V, ``B x C x H x W``.
        """
        pixels = fused.movedim(1, -1)
        weight = torch.tanh(self.out(F.relu(self.hidden(pixels))))
        return fused * weight.movedim(-1, 1)
