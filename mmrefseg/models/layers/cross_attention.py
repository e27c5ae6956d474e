# Licensed under the Apache License, Version 2.0.
from mmengine.model import BaseModule
from torch import Tensor, nn

from .attention import MultiHeadAttention


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
        ValueError: ``num_heads`` does not divide ``channels``.
    """

    def __init__(self, *, channels: int, num_heads: int,
                 ffn_channels: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(
            channels=channels, num_heads=num_heads)
        self.norm1 = nn.LayerNorm(channels)
        self.ffn = nn.Sequential(
            nn.Linear(channels, ffn_channels), nn.ReLU(inplace=True),
            nn.Linear(ffn_channels, channels))
        self.norm2 = nn.LayerNorm(channels)

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
        x = self.norm1(x + self.attention(_placed(x, place), source, mask))
        return self.norm2(x + self.ffn(x))

    def weights(self,
                x: Tensor,
                source: Tensor,
                *,
                place: Tensor | None = None,
                mask: Tensor | None = None) -> Tensor:
        """The attention of :meth:`forward`, to be looked at: ``B x N x M``,
        the mean of the heads, in 0..1."""
        return self.attention.weights(_placed(x, place), source, mask)


def _placed(x: Tensor, place: Tensor | None) -> Tensor:
    return x if place is None else x + place
