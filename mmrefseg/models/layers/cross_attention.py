# Licensed under the Apache License, Version 2.0.
import math

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


class CrossAttentionLayer(BaseModule):
    """One set of vectors attends to another, after each step a layer norm.

    ``x = LN(x + W_o softmax(W_q (x + e) (W_k s)^T / sqrt(d)) W_v s)`` for
    each head of width d, then ``x = LN(x + FFN(x))`` with ReLU. The key has
    no bias: the softmax cancels it.

    Args:
        channels (int): Width of both sets.
        num_heads (int): Attention heads.
        ffn_channels (int): Hidden width of the feed-forward layer.

    Raises:
        ValueError: ``channels`` is no multiple of ``num_heads``.
    """

    def __init__(self, *, channels: int, num_heads: int,
                 ffn_channels: int) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f'{channels} channels cannot be split among '
                             f'{num_heads} attention heads.')
        self.num_heads = num_heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.ffn = nn.Sequential(
            nn.Linear(channels, ffn_channels), nn.ReLU(inplace=True),
            nn.Linear(ffn_channels, channels))
        self.norm2 = nn.LayerNorm(channels)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def forward(self,
                x: Tensor,
                source: Tensor,
                *,
                place: Tensor | None = None,
                mask: Tensor | None = None) -> Tensor:
        """Attend, and refine.

        Args:
            x (Tensor): What attends, ``B x N x C``.
            source (Tensor): What is attended to, ``B x M x C``.
            place (Tensor, optional): ``e``, added to x for the query only;
                broadcast to ``B x N x C``.
            mask (Tensor, optional): ``B x M``, bool; False is left out of
                the softmax.

        Returns:
            Tensor: ``B x N x C``.
        """
        query, key = self._query(x, place), self._heads(self.key(source))
        seen = F.scaled_dot_product_attention(
            query,
            key,
            self._heads(self.value(source)),
            attn_mask=None if mask is None else mask[:, None, None])
        x = self.norm1(x + self.out(seen.transpose(1, 2).flatten(2)))
        return self.norm2(x + self.ffn(x))

    def weights(self,
                x: Tensor,
                source: Tensor,
                *,
                place: Tensor | None = None,
                mask: Tensor | None = None) -> Tensor:
        """The attention of :meth:`forward`, to be looked at: ``B x N x M``,
        the mean of the heads, in 0..1."""
        query, key = self._query(x, place), self._heads(self.key(source))
        logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None], -math.inf)
        return logits.softmax(dim=-1).mean(dim=1)

    def _query(self, x: Tensor, place: Tensor | None) -> Tensor:
        return self._heads(self.query(x if place is None else x + place))
