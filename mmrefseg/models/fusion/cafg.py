# Licensed under the Apache License, Version 2.0.

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrefseg.registry import MODELS

_COMBINE = ('sum', 'literal', 'single')


class ChannelAttention(nn.Sequential):
    """``CA(X) = BN(Conv1x1(ReLU(BN(Conv1x1(GAP(X))))))``, the path of AFF.

    Args:
        channels (int): Channels in and out.
        reduction (int): The hidden width is ``channels // reduction``.
        norm_cfg (dict): Norm after each convolution.
        pool (bool): False leaves the average pooling out: the path then
            weighs positions as well as channels.
    """

    def __init__(self, *, channels: int, reduction: int, norm_cfg: dict,
                 pool: bool) -> None:
        hidden = max(channels // reduction, 1)
        layers: list[nn.Module] = []
        if pool:
            layers.append(nn.AdaptiveAvgPool2d(1))
        # The norms cancel a bias of the convolutions, so none is built.
        layers += [
            nn.Conv2d(channels, hidden, 1, bias=False),
            build_norm_layer(norm_cfg, hidden)[1],
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
            build_norm_layer(norm_cfg, channels)[1],
        ]
        super().__init__(*layers)
        self.pool = pool


@MODELS.register_module()
class CAFG(BaseModule):
    """Channel attention fusion gate (MPG-LQGNet).

    On ``X = F + V``, with two channel attentions of their own weights:

    - ``combine='sum'``: ``F * sigmoid(CA_1(X) + CA_2(X))``, what the text of
      the paper and the cited AFF mean;
    - ``combine='literal'``: ``F * sigmoid(CA_1(X)) + CA_2(X)``, the equation
      as printed;
    - ``combine='single'``: ``F * sigmoid(CA_1(X))``, one path (Table 4).

    The result is the increment that the backbone adds to V.

    Args:
        channels (int): Channels of both maps.
        reduction (int): Hidden width is ``channels // reduction``.
            Defaults to 16.
        combine (str): One of 'sum', 'literal', 'single'. Defaults to 'sum'.
        pool (tuple[bool, bool]): Whether each path pools over space
            (Table 4's spatial variants do not). Defaults to (True, True).
        norm_cfg (dict): Norm of both paths. Batch norm over a pooled map sees
            one value a sample: give it a batch of 4 or more, SyncBN, or use
            ``dict(type='GN', num_groups=1)``. Defaults to BN.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``combine`` is unknown, or (in forward) a batch norm in
            training gets a single sample.

    Example:
        >>> import torch
        >>> from mmrefseg.models import CAFG
        >>> fused, visual = torch.rand(2, 2, 8, 6, 6)
        >>> CAFG(channels=8, reduction=4)(fused, visual).shape
        torch.Size([2, 8, 6, 6])
    """

    def __init__(self,
                 *,
                 channels: int,
                 reduction: int = 16,
                 combine: str = 'sum',
                 pool: tuple[bool, bool] = (True, True),
                 norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if combine not in _COMBINE:
            raise ValueError(
                f'CAFG knows combine={", ".join(map(repr, _COMBINE))}, '
                f'not {combine!r}.')
        self.combine = combine
        paths = 1 if combine == 'single' else 2
        self.attentions = nn.ModuleList(
            ChannelAttention(
                channels=channels,
                reduction=reduction,
                norm_cfg=norm_cfg,
                pool=pool[i]) for i in range(paths))

    def _check_batch(self, batch: int) -> None:
        if batch > 1 or not self.training:
            return
        for attention in self.attentions:
            assert isinstance(attention, ChannelAttention)
            norm = attention[-1]
            if (attention.pool and isinstance(norm, _BatchNorm)
                    and not isinstance(norm, nn.SyncBatchNorm)):
                raise ValueError(
                    'CAFG got a training batch of 1, over which a batch norm '
                    'of pooled features is not defined: use a batch size of '
                    "at least 2 (4 or more learns better), sync_bn='torch' "
                    'on several GPUs, or gate=dict(type=\'CAFG\', norm_cfg='
                    "dict(type='GN', num_groups=1)) in the backbone.")

    def forward(self, fused: Tensor, visual: Tensor) -> Tensor:
        """Weigh the channels of a fused map.

        Args:
            fused (Tensor): F, ``B x C x H x W``.
            visual (Tensor): V, ``B x C x H x W``.

        Returns:
            Tensor: The increment of V, ``B x C x H x W``.
        """
        self._check_batch(fused.shape[0])
        both = fused + visual
        weights = [attention(both) for attention in self.attentions]
        if self.combine == 'literal':
            return fused * weights[0].sigmoid() + weights[1]
        return fused * sum(weights).sigmoid()
