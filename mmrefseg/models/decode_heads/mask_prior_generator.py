# Licensed under the Apache License, Version 2.0.
"""LQPG: mask priors from the attention of language queries over the image."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ..layers import sine_position_2d


class AttentionToPrior(BaseModule):
    """A mask prior from one attention map.

    The map is split by scale and unfolded to ``queries x heads`` channels; a
    linear layer with ReLU for each scale, resizing to the finest of them,
    concatenation, a linear layer to ``out_channels``, resizing to ``size``.

    Args:
        channels (int): ``queries x heads``.
        num_scales (int): Number of scales in the attention map.
        out_channels (int): Channels of the prior.
        align_corners (bool): Of the bilinear resizing.
    """

    def __init__(self, *, channels: int, num_scales: int, out_channels: int,
                 align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.scales = ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(num_scales))
        self.out = nn.Conv2d(num_scales * channels, out_channels, 1)

    def _resize(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return F.interpolate(
            x,
            size=tuple(size),
            mode='bilinear',
            align_corners=self.align_corners)

    def forward(self, attention: Tensor, shapes: Sequence[Sequence[int]],
                size: Sequence[int]) -> Tensor:
        """Compute a mask prior.

        Args:
            attention (Tensor): ``B x heads x n x (sum of H_i * W_i)``.
            shapes (Sequence[Sequence[int]]): ``(H_i, W_i)`` of each scale,
                finest first.
            size (Sequence[int]): ``(H, W)`` of the prior.

        Returns:
            Tensor: Logits, ``B x out_channels x H x W``.
        """
        pieces = attention.flatten(1, 2).split([h * w for h, w in shapes], -1)
        maps = [
            self._resize(F.relu(scale(x.unflatten(2, tuple(shape)))),
                         shapes[0])
            for scale, x, shape in zip(self.scales, pieces, shapes)
        ]
        return self._resize(self.out(torch.cat(maps, dim=1)), size)


class PriorLayer(BaseModule):
    """One layer of LQPG: queries attend to the image and refine.

    ``A = (W_q Q)(W_k X)^T / sqrt(d)`` for each head, then
    ``Q = LN(Q + W_o softmax(A) W_v X)`` and ``Q = LN(Q + FFN(Q))``.

    Args:
        channels (int): Width of queries and image features.
        num_heads (int): Attention heads.
        ffn_channels (int): Hidden width of the feed-forward layer.
        refine (bool): Whether refined queries are wanted. The last layer's
            would feed nothing, so it builds no value, output nor FFN.
        key_bias (bool): Whether the key has a bias. Softmax cancels it, so it
            is of use only where the logits themselves are read.
    """

    def __init__(self, *, channels: int, num_heads: int, ffn_channels: int,
                 refine: bool, key_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=key_bias)
        self.refine = refine
        if refine:
            self.value = nn.Linear(channels, channels)
            self.out = nn.Linear(channels, channels)
            self.norm1 = nn.LayerNorm(channels)
            self.ffn = nn.Sequential(
                nn.Linear(channels, ffn_channels), nn.ReLU(inplace=True),
                nn.Linear(ffn_channels, channels))
            self.norm2 = nn.LayerNorm(channels)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, queries: Tensor,
                image: Tensor) -> tuple[Tensor | None, Tensor]:
        """Refine the queries.

        Args:
            queries (Tensor): ``B x n x C``.
            image (Tensor): ``B x N x C``.

        Returns:
            tuple[Tensor | None, Tensor]: Refined queries, ``B x n x C``, or
            None; scaled attention logits, ``B x heads x n x N``.
        """
        query, key = self._heads(self.query(queries)), self._heads(
            self.key(image))
        logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if not self.refine:
            return None, logits
        values = logits.softmax(dim=-1) @ self._heads(self.value(image))
        queries = self.norm1(queries +
                             self.out(values.transpose(1, 2).flatten(2)))
        return self.norm2(queries + self.ffn(queries)), logits


class LanguageQueryPriorGenerator(BaseModule):
    """Language query guided mask prior generator (MPG-LQGNet).

    Args:
        channels (int): Width ``C_q`` of queries and maps.
        num_queries (int): Language queries ``n``. Defaults to 4.
        num_layers (int): Layers. Defaults to 6.
        num_heads (int): Attention heads. Defaults to 8.
        ffn_channels (int): Hidden width of the feed-forward layers.
            Defaults to 2048.
        num_scales (int): Maps that the queries attend to. Defaults to 3.
        deep_supervision (bool): Whether every layer makes a prior; otherwise
            only the last does. Defaults to True.
        attention_map (str): 'before' reads the scaled logits, 'after' the
            softmax. Defaults to 'before'.
        out_channels (int): Channels of a prior. Defaults to 2.
        align_corners (bool): Of the bilinear resizing. Defaults to False.

    Raises:
        ValueError: ``attention_map`` is unknown.
    """

    def __init__(self,
                 *,
                 channels: int,
                 num_queries: int = 4,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 ffn_channels: int = 2048,
                 num_scales: int = 3,
                 deep_supervision: bool = True,
                 attention_map: str = 'before',
                 out_channels: int = 2,
                 align_corners: bool = False) -> None:
        super().__init__()
        if attention_map not in ('before', 'after'):
            raise ValueError("attention_map is 'before' or 'after' the "
                             f'softmax, not {attention_map!r}.')
        self.attention_map = attention_map
        self.num_queries = num_queries
        last = num_layers - 1
        with_prior = [deep_supervision or i == last for i in range(num_layers)]
        self.layers = ModuleList(
            PriorLayer(
                channels=channels,
                num_heads=num_heads,
                ffn_channels=ffn_channels,
                refine=i < last,
                key_bias=with_prior[i] and attention_map == 'before')
            for i in range(num_layers))
        self.priors = ModuleList(
            AttentionToPrior(
                channels=num_queries * num_heads,
                num_scales=num_scales,
                out_channels=out_channels,
                align_corners=align_corners) if make else nn.Identity()
            for make in with_prior)
        self.with_prior = with_prior

    def forward(self, queries: Tensor, maps: Sequence[Tensor],
                size: Sequence[int]) -> list[Tensor]:
        """Generate mask priors.

        Args:
            queries (Tensor): Language queries, ``B x n x C_q``.
            maps (Sequence[Tensor]): Decoded maps to attend to, finest first,
                ``B x C_q x H_i x W_i``.
            size (Sequence[int]): ``(H, W)`` of the priors.

        Returns:
            list[Tensor]: Logits ``B x out_channels x H x W``, one of each
            layer that makes a prior, the last layer's last.
        """
        if queries is None or queries.shape[1] != self.num_queries:
            got = 0 if queries is None else queries.shape[1]
            raise ValueError(
                f'The head expects {self.num_queries} language queries and '
                f'got {got}: set num_queries of the head to the number of '
                'query_stages of the backbone.')
        shapes = [x.shape[2:] for x in maps]
        image = torch.cat([
            x.flatten(2).transpose(1, 2) +
            sine_position_2d(*x.shape[2:], x.shape[1], x.dtype, x.device)
            for x in maps
        ], 1)
        priors = []
        for layer, make, prior in zip(self.layers, self.with_prior,
                                      self.priors):
            queries, attention = layer(queries, image)
            if make:
                if self.attention_map == 'after':
                    attention = attention.softmax(dim=-1)
                priors.append(prior(attention, shapes, size))
        return priors
