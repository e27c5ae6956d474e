# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of ``B x C x H x W``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class SimpleFeaturePyramid(BaseModule):
    """Maps of strides 4, 8, 16 and 32 from the one map of a plain
    transformer.

    Li, Mao, Girshick, He: Exploring Plain Vision Transformer Backbones for
    Object Detection, ECCV 2022, section 3: from the map of stride 16, two
    deconvolutions of stride 2 (with LayerNorm and GELU in between), one,
    none, and max pooling; then a 1x1 and a 3x3 convolution, each with a
    LayerNorm. A map of another stride (patches of 14) is first resized to
    stride 16, bilinearly.

    Args:
        in_channels (int): Channels of the one map.
        out_channels (int): Channels of each map given out. Defaults to 256.
        out_indices (Sequence[int]): Which maps, 0 for stride 4 to 3 for
            stride 32. Defaults to all.
    """

    def __init__(self,
                 *,
                 in_channels: int,
                 out_channels: int = 256,
                 out_indices: Sequence[int] = (0, 1, 2, 3)) -> None:
        super().__init__()
        width = in_channels
        before: dict[int, list[nn.Module]] = {
            0: [
                nn.ConvTranspose2d(width, width // 2, 2, stride=2),
                ChannelNorm(width // 2),
                nn.GELU(),
                nn.ConvTranspose2d(width // 2, width // 4, 2, stride=2)
            ],
            1: [nn.ConvTranspose2d(width, width // 2, 2, stride=2)],
            2: [],
            3: [nn.MaxPool2d(2, ceil_mode=True)],
        }
        inside = {0: width // 4, 1: width // 2, 2: width, 3: width}
        self.levels = nn.ModuleList(
            nn.Sequential(
                *before[i],
                nn.Conv2d(inside[i], out_channels, 1, bias=False),
                ChannelNorm(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1,
                          bias=False), ChannelNorm(out_channels))
            for i in out_indices)

    def forward(self, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Maps of images of ``size`` (height, width) from ``B x C x h x w``.
        """
        wanted = tuple(-(-side // 16) for side in size)
        if tuple(x.shape[2:]) != wanted:
            x = F.interpolate(
                x, size=wanted, mode='bilinear', align_corners=False)
        return tuple(level(x) for level in self.levels)
