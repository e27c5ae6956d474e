# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures, Prediction
from ..layers import coordinates
from .existence import BaseExistencePredictor
from .global_alignment import Alignment, GlobalAlignment
from .initial_share import set_initial_share
from .no_target_loss import check_no_target_weight, weigh_no_target


@MODELS.register_module()
class CoordMaskHead(BaseDecodeHead):
    """Mask head on the finest map and the coordinates of its pixels.

    ``Y = conv1x1(conv3x3([F_D1 ; x, y]))`` with BN and ReLU after the 3x3
    CoordConv. ``kernel_size=1`` gives the literal form of MPG-LQGNet's text,
    a single 1x1 convolution; ``kernel_size=1, with_coords=False,
    logit_kernel_size=3`` CMSA-Net's ``Y = conv3x3(F_D1)``.

    Args:
        in_channels (int): Channels of the finest map.
        channels (int): Width after the 3x3 convolution. Defaults to 256.
        kernel_size (int): 3, or 1 for the literal form. Defaults to 3.
        logit_kernel_size (int): Kernel of the last convolution, to the
            logits; odd. Defaults to 1.
        with_coords (bool): Whether the head sees x and y in -1..1.
            Defaults to True.
        norm_cfg (dict): Norm after the 3x3 convolution. Defaults to BN.
        loss_decode (dict | Sequence[dict]): Loss of the mask, on logits
            upsampled to the mask's size. Defaults to cross-entropy.
        out_channels (int): 2 (background and referent, softmax) or 1 (the
            referent, sigmoid; with ``use_sigmoid=True`` in the loss).
            Defaults to 2.
        threshold (float, optional): Probability above which a pixel belongs
            to the mask. None takes the likelier of background and referent.
        existence (dict, optional): Config of an :class:`ExistencePredictor`,
            or with ``type`` of another one, by which the head also recognises
            no-target sentences. Defaults to None: every sentence is taken to
            have a target.
        no_target_weight (float): Weight of the mask's losses of a no-target
            sentence, whose mask is empty, beside 1 for any other. Defaults to
            1.0.
        alignment (dict, optional): Config of a :class:`GlobalAlignment`,
            whose map stands beside the finest map and the coordinates, is
            given out as the mask prior, and brings losses of its own.
            Defaults to None.
        loss_stride (int): The losses compare at 1/loss_stride of the image's
            size, where a pixel belongs to the mask if half of its block does.
            On a CPU, losses at full size can take longer than the network.
            Defaults to 1.
        initial_share (float, optional): Share of the pixels, between 0 and 1,
            that an untrained head takes for the referent: the bias of the
            last convolution, as in focal loss (arXiv:1708.02002, section
            3.3). Without it the many pixels of the background make every
            channel vote for the background first, and the referent is known
            by the bias alone. Defaults to None: no bias.
        align_corners (bool): Of the bilinear resizing. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to normal
            weights of std 0.01 in the last convolution.

    Raises:
        ValueError: ``kernel_size`` is neither 3 nor 1, ``logit_kernel_size``
            not odd, ``loss_stride`` not positive, ``no_target_weight``
            negative, or ``initial_share`` not between 0 and 1.

    Example:
        >>> import torch
        >>> from mmrefseg.models import CoordMaskHead
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> head = CoordMaskHead(in_channels=8, channels=8).eval()
        >>> features = MultimodalFeatures((torch.rand(1, 8, 16, 16), ))
        >>> head(features).shape
        torch.Size([1, 2, 16, 16])
        >>> head.predict(features, [dict(img_shape=(64, 64))], {}).logits.shape
        torch.Size([1, 2, 64, 64])
    """

    existence: BaseExistencePredictor | None
    alignment: GlobalAlignment | None

    def __init__(self,
                 *,
                 in_channels: int,
                 channels: int = 256,
                 kernel_size: int = 3,
                 logit_kernel_size: int = 1,
                 with_coords: bool = True,
                 norm_cfg: dict = dict(type='BN'),
                 loss_decode: dict | Sequence[dict] = dict(
                     type='CrossEntropyLoss', avg_non_ignore=True),
                 out_channels: int = 2,
                 threshold: float | None = None,
                 existence: dict | None = None,
                 no_target_weight: float = 1.0,
                 alignment: dict | None = None,
                 loss_stride: int = 1,
                 initial_share: float | None = None,
                 align_corners: bool = False,
                 init_cfg: dict | None = dict(
                     type='Normal', std=0.01,
                     override=dict(name='conv_seg'))) -> None:
        if kernel_size not in (1, 3):
            raise ValueError('The mask head knows kernel_size 3 and 1, '
                             f'not {kernel_size}.')
        if logit_kernel_size % 2 != 1:
            raise ValueError(f'logit_kernel_size={logit_kernel_size} must be '
                             'odd, so that the logits lie on the pixels.')
        if loss_stride < 1:
            raise ValueError(f'loss_stride={loss_stride} must be at least 1.')
        if initial_share is not None and not 0 < initial_share < 1:
            raise ValueError(f'initial_share={initial_share} must lie between '
                             '0 and 1.')
        check_no_target_weight(no_target_weight)
        width = in_channels + self._extra_channels(out_channels)
        width += 2 * with_coords + (alignment is not None)
        super().__init__(
            in_channels,
            channels if kernel_size == 3 else width,
            num_classes=2,
            out_channels=out_channels,
            # mmseg's own default for one channel is 0.3
            threshold=0.5 if threshold is None else threshold,
            dropout_ratio=0,
            norm_cfg=norm_cfg,
            in_index=0,
            loss_decode=loss_decode,
            align_corners=align_corners,
            init_cfg=init_cfg)
        if logit_kernel_size > 1:  # in place of mmseg's, of 1x1
            self.conv_seg = nn.Conv2d(
                self.channels,
                self.out_channels,
                logit_kernel_size,
                padding=logit_kernel_size // 2)
        self.with_coords = with_coords
        self.coord_conv = None
        if kernel_size == 3:
            self.coord_conv = ConvModule(
                width, channels, 3, padding=1, norm_cfg=norm_cfg)
        self.threshold = threshold
        self.no_target_weight = no_target_weight
        self.loss_stride = loss_stride
        self.initial_share = initial_share
        self.existence = None
        if existence is not None:
            self.existence = MODELS.build({
                'type': 'ExistencePredictor',
                'in_channels': in_channels,
                **existence
            })
        self.alignment = None
        if alignment is not None:
            self.alignment = MODELS.build({
                'type': 'GlobalAlignment',
                'in_channels': in_channels,
                **alignment
            })

    def init_weights(self) -> None:
        """Initialise, and give the last convolution its bias."""
        super().init_weights()
        if self.initial_share is not None:
            set_initial_share(self.conv_seg, self.initial_share)

    @staticmethod
    def _extra_channels(out_channels: int) -> int:
        """Channels that a subclass concatenates to the finest map."""
        return 0

    def _segment(self, finest: Tensor, *extra: Tensor) -> Tensor:
        """Mask logits from the finest map and what is concatenated to it."""
        parts = [finest, *extra]
        if self.with_coords:
            xy = coordinates(*finest.shape[2:], finest.dtype, finest.device)
            parts.append(xy.expand(finest.shape[0], -1, -1, -1))
        x = torch.cat(parts, dim=1) if len(parts) > 1 else finest
        if self.coord_conv is not None:
            x = self.coord_conv(x)
        return self.cls_seg(x)

    def forward_with_alignment(
            self,
            features: MultimodalFeatures) -> tuple[Tensor, Alignment | None]:
        """Compute mask logits, and the alignment that they rest on.

        Args:
            features (MultimodalFeatures): See ``forward``.

        Returns:
            tuple[Tensor, Alignment | None]: Mask logits
            ``B x C x H_1 x W_1``; the alignment, where the head has one.
        """
        finest = features[0]
        if self.alignment is None:
            return self._segment(finest), None
        aligned = self.alignment.align(features)
        return self._segment(finest, aligned.logits.to(finest.dtype)), aligned

    def forward(self, features: MultimodalFeatures) -> Tensor:
        """Compute mask logits.

        Args:
            features (MultimodalFeatures): Decoded maps, finest first, and
                the language where alignment or existence read it.

        Returns:
            Tensor: ``B x C x H_1 x W_1``, C = ``out_channels``.
        """
        return self.forward_with_alignment(features)[0]

    def predict(self, inputs: MultimodalFeatures, batch_img_metas: list[dict],
                test_cfg: ConfigType) -> Prediction:
        """Predict masks and, where the head does, existence.

        Args:
            inputs (MultimodalFeatures): See ``forward``.
            batch_img_metas (list[dict]): The first's ``img_shape`` is the
                size of the logits.
            test_cfg (dict): Unused.

        Returns:
            Prediction: Of ``B`` pairs.
        """
        logits, aligned = self.forward_with_alignment(inputs)
        prior = None if aligned is None else aligned.prior(self.out_channels)
        return self._prediction(logits, inputs, batch_img_metas, prior)

    def _prediction(self, logits: Tensor, features: MultimodalFeatures,
                    metas: list[dict],
                    prior: Tensor | None = None) -> Prediction:
        prediction = Prediction(
            self.predict_by_feat(logits, metas),
            prior=prior,
            threshold=self.threshold)
        if self.existence is None:
            return prediction
        return replace(
            prediction,
            existence=self.existence.predict(features),
            existence_threshold=self.existence.threshold)

    def _stack_batch_gt(self, batch_data_samples: SampleList) -> Tensor:
        """Masks as the losses compare with them, ``B x 1 x h x w``."""
        masks = super()._stack_batch_gt(batch_data_samples)
        if self.loss_stride == 1:
            return masks
        shares = F.avg_pool2d(
            masks.float(), self.loss_stride, ceil_mode=True)
        return (shares >= 0.5).to(masks.dtype)

    def loss_by_feat(self, seg_logits: Tensor,
                     batch_data_samples: SampleList) -> dict:
        """Losses of the mask, those of no-target sentences weighted."""
        return weigh_no_target(super().loss_by_feat, seg_logits,
                               batch_data_samples, self.no_target_weight)

    def loss(self, inputs: MultimodalFeatures, batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Losses of the mask and, where the head has them, of existence and
        of the alignment.

        Args:
            inputs (MultimodalFeatures): See ``forward``.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``.
            train_cfg (dict): Unused.

        Returns:
            dict[str, Tensor]: The mask's losses, and those of
            :meth:`BaseExistencePredictor.loss` and
            :meth:`GlobalAlignment.loss`.
        """
        logits, aligned = self.forward_with_alignment(inputs)
        losses = self.loss_by_feat(logits, batch_data_samples)
        if self.alignment is not None and aligned is not None:
            losses.update(self.alignment.loss(aligned, batch_data_samples))
        losses.update(self.existence_loss(inputs, batch_data_samples))
        return losses

    def existence_loss(self, features: MultimodalFeatures,
                       batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Loss of existence; empty where the head does not predict it."""
        if self.existence is None:
            return {}
        return self.existence.loss(features, batch_data_samples)
