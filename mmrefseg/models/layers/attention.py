# Licensed under the Apache License, Version 2.0.
"""Attention in several heads."""

import math

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


def check_heads(channels: int, num_heads: int, where: str) -> None:
    """Refuse a number of heads that does not divide the channels.

    Args:
        channels (int): Channels that the heads share.
        num_heads (int): Heads.
        where (str): Whose they are, for the message.

    Raises:
        ValueError: ``num_heads`` is not a positive divisor of ``channels``.
    """
    if num_heads < 1 or channels % num_heads:
        raise ValueError(
            f'num_heads={num_heads} of {where} does not divide its '
            f'{channels} channels: choose a divisor.')


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Groups of channels one after the other in the batch.

    Args:
        x (Tensor): ``B x N x C``.
        num_heads (int): Heads ``h``, which divide C.

    Returns:
        Tensor: ``(B * h) x N x C/h``; with one head, ``x`` itself.
    """
    if num_heads == 1:
        return x
    return x.unflatten(2, (num_heads, -1)).transpose(1, 2).flatten(0, 1)


def merge_heads(x: Tensor, num_heads: int) -> Tensor:
    """The opposite of :func:`split_heads`, ``B x N x C``."""
    if num_heads == 1:
        return x
    return x.unflatten(0, (-1, num_heads)).transpose(1, 2).flatten(2)


class MultiHeadAttention(BaseModule):
    """Multi-head attention through ``scaled_dot_product_attention``.

    ``MHA(X, M) = W_o [H_1 ; ... ; H_h] + b_o`` with
    ``H_j = softmax((W_q X + b_q)_j (W_k M)_j^T / sqrt(C/h)) (W_v M + b_v)_j``.
    The key has no bias: the softmax would cancel it.

    Args:
        channels (int): Width ``C`` of the heads together and of the output.
        num_heads (int): Heads ``h``, which divide C.
        query_channels (int, optional): Width of X. Defaults to C.
        memory_channels (int, optional): Width of M. Defaults to C.
        value_bias (bool): Whether ``b_v`` is built. The weights of a softmax
            sum to 1, so it adds one vector to every output. Defaults to True.
        out_bias (bool): Whether ``b_o`` is built. Defaults to True.
        init_std (float, optional): ``init_weights`` draws the weights from a
            normal distribution of this width and zeroes the biases. None
            leaves PyTorch's initialisation. Defaults to None.

    Raises:
        ValueError: ``num_heads`` does not divide ``channels``.

    Example:
        >>> import torch
        >>> from mmrefseg.models.layers import MultiHeadAttention
        >>> attention = MultiHeadAttention(channels=8, num_heads=2)
        >>> attention(torch.rand(1, 5, 8), torch.rand(1, 3, 8)).shape
        torch.Size([1, 5, 8])
    """

    def __init__(self,
                 *,
                 channels: int,
                 num_heads: int,
                 query_channels: int | None = None,
                 memory_channels: int | None = None,
                 value_bias: bool = True,
                 out_bias: bool = True,
                 init_std: float | None = None) -> None:
        super().__init__()
        check_heads(channels, num_heads, 'the attention')
        self.num_heads = num_heads
        self.init_std = init_std
        memory_channels = memory_channels or channels
        self.query = nn.Linear(query_channels or channels, channels)
        self.key = nn.Linear(memory_channels, channels, bias=False)
        self.value = nn.Linear(memory_channels, channels, bias=value_bias)
        self.out = nn.Linear(channels, channels, bias=out_bias)

    def init_weights(self) -> None:
        """Draw the weights, if ``init_std`` says how wide."""
        super().init_weights()
        if self.init_std is None:
            return
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.normal_(layer.weight, std=self.init_std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def attend(self,
               query: Tensor,
               memory: Tensor,
               mask: Tensor | None = None) -> Tensor:
        """``[H_1 ; ... ; H_h]``, what ``out`` takes.

        Args:
            query (Tensor): X, ``B x N x C_x``.
            memory (Tensor): M, ``B x M x C_m``.
            mask (Tensor, optional): ``B x M``, bool; what is False is not
                attended to. At least one of each row is True.

        Returns:
            Tensor: ``B x N x C``.
        """
        heads = F.scaled_dot_product_attention(
            self._heads(self.query(query)),
            self._heads(self.key(memory)),
            self._heads(self.value(memory)),
            attn_mask=None if mask is None else mask[:, None, None])
        return heads.transpose(1, 2).flatten(2)

    def forward(self,
                query: Tensor,
                memory: Tensor,
                mask: Tensor | None = None) -> Tensor:
        """Attend; arguments of :meth:`attend`, result ``B x N x C``."""
        return self.out(self.attend(query, memory, mask))

    def weights(self,
                query: Tensor,
                memory: Tensor,
                mask: Tensor | None = None) -> Tensor:
        """The softmax of :meth:`attend`, to be looked at: ``B x N x M``, the
        mean of the heads, in 0..1."""
        queries = self._heads(self.query(query))
        logits = queries @ self._heads(self.key(memory)).transpose(2, 3)
        logits = logits / math.sqrt(queries.shape[-1])
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None], -math.inf)
        return logits.softmax(dim=-1).mean(dim=1)
