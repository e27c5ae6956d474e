# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import ConfigType, SampleList
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures
from ..layers import coordinates


@MODELS.register_module()
class CoordMaskHead(BaseDecodeHead):
    """Mask head on the finest map and the coordinates of its pixels.

    ``Y = conv1x1(conv3x3([F_D1 ; x, y]))`` with BN and ReLU after the 3x3
    CoordConv. ``kernel_size=1`` gives the literal form of MPG-LQGNet's text,
    a single 1x1 convolution.

    Args:
        in_channels (int): Channels of the finest map.
        channels (int): Width after the 3x3 convolution. Defaults to 256.
        kernel_size (int): 3, or 1 for the literal form. Defaults to 3.
        with_coords (bool): Whether the head sees x and y in -1..1.
            Defaults to True.
        norm_cfg (dict): Norm after the 3x3 convolution. Defaults to BN.
        loss_decode (dict | Sequence[dict]): Loss of the mask, on logits
            upsampled to the mask's size. Defaults to cross-entropy.
        existence (dict, optional): Config of an :class:`ExistencePredictor`,
            by which the head can also say that nothing is there. Defaults to
            None: every sentence is taken to mean something.
        align_corners (bool): Of the bilinear resizing. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to normal
            weights of std 0.01 in the last convolution.

    Raises:
        ValueError: ``kernel_size`` is neither 3 nor 1.
    """

    # Channels that a subclass puts beside the finest map.
    extra_channels = 0

    def __init__(self,
                 *,
                 in_channels: int,
                 channels: int = 256,
                 kernel_size: int = 3,
                 with_coords: bool = True,
                 norm_cfg: dict = dict(type='BN'),
                 loss_decode: dict | Sequence[dict] = dict(
                     type='CrossEntropyLoss', avg_non_ignore=True),
                 existence: dict | None = None,
                 align_corners: bool = False,
                 init_cfg: dict | None = dict(
                     type='Normal', std=0.01,
                     override=dict(name='conv_seg'))) -> None:
        if kernel_size not in (1, 3):
            raise ValueError('The mask head knows kernel_size 3 and 1, '
                             f'not {kernel_size}.')
        seen = in_channels + self.extra_channels + 2 * with_coords
        super().__init__(
            in_channels,
            channels if kernel_size == 3 else seen,
            num_classes=2,
            out_channels=2,
            dropout_ratio=0,
            norm_cfg=norm_cfg,
            in_index=0,
            loss_decode=loss_decode,
            align_corners=align_corners,
            init_cfg=init_cfg)
        self.with_coords = with_coords
        self.coord_conv = None
        if kernel_size == 3:
            self.coord_conv = ConvModule(
                seen, channels, 3, padding=1, norm_cfg=norm_cfg)
        self.existence = None
        if existence is not None:
            self.existence = MODELS.build({
                'type': 'ExistencePredictor',
                'in_channels': in_channels,
                **existence
            })

    def _segment(self, finest: Tensor, *beside: Tensor) -> Tensor:
        """Mask logits from the finest map and what stands beside it."""
        parts = [finest, *beside]
        if self.with_coords:
            xy = coordinates(*finest.shape[2:], finest.dtype, finest.device)
            parts.append(xy.expand(finest.shape[0], -1, -1, -1))
        x = torch.cat(parts, dim=1) if len(parts) > 1 else finest
        if self.coord_conv is not None:
            x = self.coord_conv(x)
        return self.cls_seg(x)

    def forward(self, features: MultimodalFeatures) -> Tensor:
        """Compute mask logits.

        Args:
            features (MultimodalFeatures): Decoded maps, finest first.

        Returns:
            Tensor: ``B x 2 x H_1 x W_1``: background, referent.
        """
        return self._segment(features[0])

    def loss(self, inputs: MultimodalFeatures, batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Losses of the mask and, where it is predicted, of existence.

        Args:
            inputs (MultimodalFeatures): See ``forward``.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``.
            train_cfg (dict): Unused.

        Returns:
            dict[str, Tensor]: The mask's losses, and those of
            :meth:`ExistencePredictor.loss`.
        """
        losses = super().loss(inputs, batch_data_samples, train_cfg)
        losses.update(self.existence_loss(inputs, batch_data_samples))
        return losses

    def existence_loss(self, features: MultimodalFeatures,
                       batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Loss of existence; empty where the head does not predict it."""
        if self.existence is None:
            return {}
        return self.existence.loss(features, batch_data_samples)
