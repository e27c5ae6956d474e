# Licensed under the Apache License, Version 2.0.
"""Swin's window attention through ``scaled_dot_product_attention``.

Parameters, their names and the results are those of mmseg's ``WindowMSA`` and
``ShiftWindowMSA``; what differs is that the shift mask is computed once for
each map size instead of at every call, and that attention is one fused call.
"""

import torch
import torch.nn.functional as F
from mmseg.models.backbones.swin import ShiftWindowMSA, WindowMSA
from torch import Tensor

from .tensor_cache import cached_tensor


@cached_tensor
def shifted_window_mask(height: int, width: int, window: int, shift: int,
                        dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive mask that keeps a shifted window's regions apart.

    Args:
        height (int): Height of the padded map, a multiple of ``window``.
        width (int): Width of the padded map, a multiple of ``window``.
        window (int): Side of a window.
        shift (int): Cyclic shift, above 0.
        dtype (torch.dtype): Type of the result.
        device (torch.device): Device of the result.

    Returns:
        Tensor: ``num_windows x window^2 x window^2``; 0 within a region, -100
        between regions (Swin's value).
    """

    def bands(size: int) -> Tensor:
        place = torch.arange(size, device=device)
        return (place >= size - window).long() + (place >= size - shift)

    region = bands(height)[:, None] * 3 + bands(width)[None, :]
    windows = region.view(height // window, window, width // window,
                          window).transpose(1, 2).flatten(0, 1).flatten(1)
    apart = windows.unsqueeze(1) != windows.unsqueeze(2)
    return apart.to(dtype) * -100.0


class WindowAttention(WindowMSA):
    """mmseg's ``WindowMSA`` computed by ``scaled_dot_product_attention``."""

    def _relative_bias(self) -> Tensor:
        """``heads x N x N``."""
        tokens = self.window_size[0] * self.window_size[1]
        index = self.relative_position_index.view(-1)
        return self.relative_position_bias_table[index].view(
            tokens, tokens, -1).permute(2, 0, 1)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor,
                bias: Tensor) -> Tensor:
        if query.is_cpu and torch.is_grad_enabled():
            # On the CPU a bias that wants a gradient sends the fused call
            # down a float32 path, 2 to 3 times slower in bfloat16.
            attention = query @ key.transpose(-2, -1) * self.scale + bias
            return self.attn_drop(attention.softmax(dim=-1)) @ value
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias,
            dropout_p=self.attn_drop.p if self.training else 0.0,
            scale=self.scale)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within each window.

        Args:
            x (Tensor): ``(B * num_windows) x N x C``.
            mask (Tensor, optional): ``num_windows x N x N``, added to the
                attention logits.

        Returns:
            Tensor: ``(B * num_windows) x N x C``.
        """
        batch, tokens, width = x.shape
        bias = self._relative_bias()
        windows = 1 if mask is None else mask.shape[0]
        if mask is not None:
            bias = bias.unsqueeze(0) + mask.unsqueeze(1).to(bias.dtype)
        # Windows stand beside heads, so that one mask serves the whole batch
        # without being copied for each image.
        heads = windows * self.num_heads
        bias = bias.reshape(1, heads, tokens, tokens)
        qkv = self.qkv(x).view(batch // windows, windows, tokens, 3,
                               self.num_heads, -1)
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).reshape(
            3, batch // windows, heads, tokens, -1)
        x = self._attend(query, key, value, bias.to(query.dtype))
        # Not a view: PyTorch 2.1 to 2.3 may give the heads in another order of
        # memory.
        x = x.reshape(batch, self.num_heads, tokens, -1).transpose(1, 2)
        return self.proj_drop(self.proj(x.reshape(batch, tokens, width)))


class ShiftedWindowAttention(ShiftWindowMSA):
    """mmseg's ``ShiftWindowMSA`` with cached masks and fused attention.

    Args:
        embed_dims (int): Channels.
        num_heads (int): Attention heads.
        window_size (int): Side of a window.
        shift_size (int): Cyclic shift; 0 for none.
        qkv_bias (bool): Whether the qkv projection has a bias.
        qk_scale (float, optional): Scale of the logits; None means
            ``head_width ** -0.5``.
        attn_drop_rate (float): Dropout of the attention weights.
        proj_drop_rate (float): Dropout of the output.
        drop_path_rate (float): Stochastic depth of this branch.
    """

    def __init__(self, *, embed_dims: int, num_heads: int, window_size: int,
                 shift_size: int, qkv_bias: bool, qk_scale: float | None,
                 attn_drop_rate: float, proj_drop_rate: float,
                 drop_path_rate: float) -> None:
        super().__init__(
            embed_dims=embed_dims,
            num_heads=num_heads,
            window_size=window_size,
            shift_size=shift_size,
            dropout_layer=dict(type='DropPath', drop_prob=drop_path_rate))
        self.w_msa = WindowAttention(
            embed_dims=embed_dims,
            num_heads=num_heads,
            window_size=(window_size, window_size),
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop_rate=attn_drop_rate,
            proj_drop_rate=proj_drop_rate)

    def forward(self, query: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Attend within (shifted) windows.

        Args:
            query (Tensor): ``B x (H * W) x C``.
            hw_shape (tuple[int, int]): ``(H, W)``.

        Returns:
            Tensor: ``B x (H * W) x C``.
        """
        batch, _, width = query.shape
        height, breadth = hw_shape
        window, shift = self.window_size, self.shift_size
        x = query.view(batch, height, breadth, width)
        below, right = -height % window, -breadth % window
        if below or right:
            x = F.pad(x, (0, 0, 0, right, 0, below))
        rows, columns = height + below, breadth + right

        mask = None
        if shift:
            x = torch.roll(x, shifts=(-shift, -shift), dims=(1, 2))
            mask = shifted_window_mask(rows, columns, window, shift,
                                       torch.float32, x.device)
        x = x.view(batch, rows // window, window, columns // window, window,
                   width).transpose(2, 3)
        x = self.w_msa(x.reshape(-1, window * window, width), mask)
        x = x.view(batch, rows // window, columns // window, window, window,
                   width).transpose(2, 3).reshape(batch, rows, columns, width)
        if shift:
            x = torch.roll(x, shifts=(shift, shift), dims=(1, 2))
        if below or right:
            x = x[:, :height, :breadth]
        return self.drop(x.reshape(batch, height * breadth, width))
