# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures, Prediction
from .coord_mask_head import CoordMaskHead
from .initial_share import set_initial_share
from .mask_prior_generator import AttentionToPrior, LanguageQueryPriorGenerator


@MODELS.register_module()
class LQPGHead(CoordMaskHead):
    """Mask head of MPG-LQGNet, guided by a mask prior.

    The language queries attend to all maps but the finest and make a mask
    prior in every layer; the last one stands beside the finest map and the
    coordinates in ``Y = head([F_D1 ; m_p ; x, y])``. The loss is
    ``L(Y) + prior_loss_weight * mean over layers L(m_p)``.

    Args:
        in_channels (int): Channels ``C_q`` of all maps and queries.
        channels (int): Width after the 3x3 convolution. Defaults to 256.
        num_queries (int): Language queries of the backbone. Defaults to 4.
        num_layers (int): Layers of the prior generator. Defaults to 6.
        num_heads (int): Attention heads. Defaults to 8.
        ffn_channels (int): Hidden width of its feed-forward layers.
            Defaults to 2048.
        num_scales (int): Maps that the queries attend to. Defaults to 3.
        attention_map (str): 'before' or 'after' the softmax. Defaults to
            'before'.
        prior_loss_weight (float): Weight lambda of the prior losses. At 0
            only the last layer makes a prior. Defaults to 0.1.
        kernel_size (int): 3, or 1 for the literal form. Defaults to 3.
        with_coords (bool): Whether the head sees x and y. Defaults to True.
        norm_cfg (dict): Norm after the 3x3 convolution. Defaults to BN.
        loss_decode (dict | Sequence[dict]): Loss of mask and priors. Defaults
            to cross-entropy.
        out_channels (int): 2 (background and referent, softmax) or 1 (the
            referent, sigmoid), of mask and priors. Defaults to 2.
        threshold (float, optional): Probability above which a pixel belongs
            to the mask. None takes the likelier of background and referent.
        existence (dict, optional): Config of an :class:`ExistencePredictor`,
            which also sees the queries, or with ``type`` of another one.
            Defaults to None.
        loss_stride (int): See :class:`CoordMaskHead`. Defaults to 1.
        initial_share (float, optional): See :class:`CoordMaskHead`; of the
            priors too. Defaults to None.
        align_corners (bool): Of the bilinear resizing. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to normal
            weights of std 0.01 in the last convolution.

    Example:
        >>> import torch
        >>> from mmrefseg.models import LQPGHead
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> head = LQPGHead(in_channels=8, channels=8, num_layers=2).eval()
        >>> features = MultimodalFeatures(
        ...     maps=tuple(torch.rand(1, 8, n, n) for n in (16, 8, 4, 2)),
        ...     queries=torch.rand(1, 4, 8))
        >>> found = head.predict(features, [dict(img_shape=(64, 64))], {})
        >>> found.logits.shape, found.prior.shape
        (torch.Size([1, 2, 64, 64]), torch.Size([1, 2, 16, 16]))
    """

    # Losses beside loss_decode that compare logits with the mask.
    mask_losses = ('loss_prior', )

    def __init__(self,
                 *,
                 in_channels: int,
                 channels: int = 256,
                 num_queries: int = 4,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 ffn_channels: int = 2048,
                 num_scales: int = 3,
                 attention_map: str = 'before',
                 prior_loss_weight: float = 0.1,
                 kernel_size: int = 3,
                 with_coords: bool = True,
                 norm_cfg: dict = dict(type='BN'),
                 loss_decode: dict | Sequence[dict] = dict(
                     type='CrossEntropyLoss', avg_non_ignore=True),
                 out_channels: int = 2,
                 threshold: float | None = None,
                 existence: dict | None = None,
                 loss_stride: int = 1,
                 initial_share: float | None = None,
                 align_corners: bool = False,
                 init_cfg: dict | None = dict(
                     type='Normal', std=0.01,
                     override=dict(name='conv_seg'))) -> None:
        kind = 'ExistencePredictor'
        if existence is not None and existence.get('type', kind) == kind:
            existence = {
                'query_channels': num_queries * in_channels,
                **existence
            }
        super().__init__(
            in_channels=in_channels,
            channels=channels,
            kernel_size=kernel_size,
            with_coords=with_coords,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            out_channels=out_channels,
            threshold=threshold,
            existence=existence,
            loss_stride=loss_stride,
            initial_share=initial_share,
            align_corners=align_corners,
            init_cfg=init_cfg)
        self.prior_loss_weight = prior_loss_weight
        self.prior_generator = LanguageQueryPriorGenerator(
            channels=in_channels,
            num_queries=num_queries,
            num_layers=num_layers,
            num_heads=num_heads,
            ffn_channels=ffn_channels,
            num_scales=num_scales,
            deep_supervision=prior_loss_weight > 0,
            attention_map=attention_map,
            out_channels=out_channels,
            align_corners=align_corners)

    def init_weights(self) -> None:
        """Initialise; priors too start with the share of the masks."""
        super().init_weights()
        if self.initial_share is not None:
            for module in self.prior_generator.modules():
                if isinstance(module, AttentionToPrior):
                    set_initial_share(module.out, self.initial_share)

    @staticmethod
    def _extra_channels(out_channels: int) -> int:
        return out_channels  # of the mask prior

    def forward_with_priors(
            self, features: MultimodalFeatures) -> tuple[Tensor, list[Tensor]]:
        """Compute mask logits and the mask priors behind them.

        Args:
            features (MultimodalFeatures): Decoded maps, finest first, and
                queries ``B x n x C_q``.

        Returns:
            tuple[Tensor, list[Tensor]]: Mask logits ``B x C x H_1 x W_1``;
            the priors, of the same shape, the last layer's last.
        """
        finest = features[0]
        priors = self.prior_generator(features.queries, features[1:],
                                      finest.shape[2:])
        return self._segment(finest, priors[-1].to(finest.dtype)), priors

    def forward(self, features: MultimodalFeatures) -> Tensor:
        """Compute mask logits.

        Args:
            features (MultimodalFeatures): See ``forward_with_priors``.

        Returns:
            Tensor: ``B x C x H_1 x W_1``, C = ``out_channels``.
        """
        return self.forward_with_priors(features)[0]

    def predict(self, inputs: MultimodalFeatures, batch_img_metas: list[dict],
                test_cfg: ConfigType) -> Prediction:
        """Predict masks with the last prior behind them and, where the head
        does, existence.

        Args:
            inputs (MultimodalFeatures): See ``forward_with_priors``.
            batch_img_metas (list[dict]): The first's ``img_shape`` is the
                size of the logits.
            test_cfg (dict): Unused.

        Returns:
            Prediction: Of ``B`` pairs.
        """
        logits, priors = self.forward_with_priors(inputs)
        return self._prediction(
            logits, inputs, batch_img_metas, prior=priors[-1])

    def _prior_loss(self, prior: Tensor, mask: Tensor) -> Tensor:
        prior = F.interpolate(
            prior,
            size=mask.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners)
        parts = self.loss_decode
        parts = parts if isinstance(parts, nn.ModuleList) else [parts]
        return sum(
            part(prior, mask[:, 0], ignore_index=self.ignore_index)
            for part in parts)

    def loss(self, inputs: MultimodalFeatures, batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Losses of the mask, of the priors and, where it is predicted, of
        existence.

        Args:
            inputs (MultimodalFeatures): See ``forward_with_priors``.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``.
            train_cfg (dict): Unused.

        Returns:
            dict[str, Tensor]: The mask's losses, ``loss_prior`` (weighted)
            and ``prior_ce_i``, the raw loss of layer i, for the log; those of
            :meth:`BaseExistencePredictor.loss`.
        """
        logits, priors = self.forward_with_priors(inputs)
        losses = self.loss_by_feat(logits, batch_data_samples)
        losses.update(self.existence_loss(inputs, batch_data_samples))
        if not self.prior_loss_weight:
            return losses
        mask = self._stack_batch_gt(batch_data_samples)
        raw = [self._prior_loss(prior, mask) for prior in priors]
        for i, value in enumerate(raw, 1):
            losses[f'prior_ce_{i}'] = value.detach()
        losses['loss_prior'] = self.prior_loss_weight * sum(raw) / len(raw)
        return losses
