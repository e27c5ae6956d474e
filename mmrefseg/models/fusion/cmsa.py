# Licensed under the Apache License, Version 2.0.
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures, masked_mean
from ..layers import cell_coordinates
from .no_query import refuse_query
from .pair_pooling import in_pairs, pool_pairs

_PLACE = 8  # numbers of a place


class _Parts(NamedTuple):
    """What stands beside each other in ``f_pn``.

    Attributes:
        pixels (Tensor): ``v``, ``B x P x C_v``, unit vectors.
        words (Tensor): ``e``, ``B x T x C_l``, unit vectors; 0 at padding.
        places (Tensor): ``s``, ``P x 8``.
    """
    pixels: Tensor
    words: Tensor
    places: Tensor


@MODELS.register_module()
class CMSA(BaseModule):
    """Cross-modal self-attention of CMSA-Net (Ye et al., CVPR 2019): every
    pair of pixel and word attends to all pairs of pixel and word.

    With unit vectors ``v_p`` of pixels and ``e_n`` of words and the place
    ``s_p`` in eight numbers, for each pixel p and word n:

    - ``f_pn = [v_p ; e_n ; s_p]``, with ``reduce_to`` then
      ``f <- ReLU(W f + b)``
    - ``q = ReLU(W_q f)``, ``k = pool(ReLU(W_k f))``, ``u = pool(ReLU(W_u f))``
    - ``g_pn = ReLU(W_o sum(softmax(q_pn . k) u)) + f_pn``, the softmax over
      all pooled pairs
    - ``x_p = ReLU(W_x mean_n(g_pn))``, the mean over real words

    pool is the maximum over 2 x 2 x 2 of (word, y, x); odd sizes are rounded
    up. Padded words enter no maximum, no softmax and no mean. Pooling and the
    four ReLUs around the attention are in the public code; the equations of
    the paper are linear, which is ``pool=False, relu=False``.

    ``f`` is never made where it is wide: ``W f_pn`` is the sum of what pixel,
    word and place give (a maximum over words and pixels of such sums too is
    the sum of two maxima), and ``mean_n f_pn = [v_p ; mean_n e_n ; s_p]``.

    Args:
        channels (int): Channels of the feature map.
        language_channels (int): Width of the word features.
        query_channels (None): This fusion makes no language query.
        lateral_channels (int, optional): Width to which the map is projected
            first, without activation. None leaves it as it is.
        reduce_to (int, optional): Width of ``f`` in the attention. None
            leaves it as it is.
        dim (int): Width of ``q``, ``k`` and ``u``. Defaults to 512.
        out_channels (int): Channels of the fused map. Defaults to 500.
        scale (float | str): Factor on the logits; 'sqrt' is
            ``1 / sqrt(dim)``. Defaults to 1, as published.
        pool (bool): Whether keys and values are pooled. Defaults to True.
        relu (bool): Whether ReLUs stand around the attention. Without them
            the keys have no bias: the softmax would cancel it. Defaults to
            True.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: A language query is asked for, or ``scale`` is unknown.

    Example:
        >>> import torch
        >>> from mmrefseg.models import CMSA
        >>> from mmrefseg.structures import LanguageFeatures
        >>> language = LanguageFeatures(
        ...     words=torch.rand(2, 5, 16), mask=torch.ones(2, 5).bool())
        >>> fusion = CMSA(
        ...     channels=8, language_channels=16, dim=4, out_channels=6)
        >>> fusion(torch.rand(2, 8, 7, 6), language).fused.shape
        torch.Size([2, 6, 7, 6])
    """

    gives_attention = True

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = None,
                 lateral_channels: int | None = None,
                 reduce_to: int | None = None,
                 dim: int = 512,
                 out_channels: int = 500,
                 scale: float | str = 1.,
                 pool: bool = True,
                 relu: bool = True,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        refuse_query(self, query_channels)
        if isinstance(scale, str) and scale != 'sqrt':
            raise ValueError(f"scale of CMSA is a number or 'sqrt', not "
                             f'{scale!r}.')
        self.scale = 1 / math.sqrt(dim) if scale == 'sqrt' else float(scale)
        self.pool = pool
        self.relu = relu
        self.lateral = None
        if lateral_channels is not None:
            self.lateral = nn.Linear(channels, lateral_channels)
            channels = lateral_channels
        self.widths = [channels, language_channels, _PLACE]
        inner = sum(self.widths)
        self.reduce = None
        if reduce_to is not None:
            self.reduce = nn.Linear(inner, reduce_to)
            inner = reduce_to
        self.query = nn.Linear(inner, dim)
        self.key = nn.Linear(inner, dim, bias=relu)
        self.value = nn.Linear(inner, dim)
        self.attention_out = nn.Linear(dim, inner)
        self.out = nn.Linear(inner, out_channels)

    def _act(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.relu else x

    def _parts(self, visual: Tensor, language: LanguageFeatures) -> _Parts:
        pixels = visual.flatten(2).transpose(1, 2)
        if self.lateral is not None:
            pixels = self.lateral(pixels)
        words = language.words.masked_fill(~language.mask[..., None], 0)
        places = cell_coordinates(*visual.shape[2:], visual.dtype,
                                  visual.device)
        return _Parts(
            F.normalize(pixels, dim=-1), F.normalize(words, dim=-1), places)

    def _split(self, layer: nn.Linear, parts: _Parts) -> tuple[Tensor, Tensor]:
        """``W f_pn + b`` as two summands: of the pixel, ``B x P x d``, and of
        the word, ``B x T x d``."""
        of_pixel, of_word, of_place = layer.weight.split(self.widths, dim=1)
        pixels = F.linear(parts.pixels, of_pixel)
        pixels = pixels + F.linear(parts.places, of_place, layer.bias)
        return pixels, F.linear(parts.words, of_word)

    def _project(self, layer: nn.Linear, parts: _Parts) -> Tensor:
        """``W f_pn + b``, ``B x T x P x d``."""
        pixels, words = self._split(layer, parts)
        return pixels[:, None] + words[:, :, None]

    def _pooled(self, layer: nn.Linear, parts: _Parts, mask: Tensor,
                size: Sequence[int]) -> Tensor:
        """``pool(ReLU(W f_pn + b))``, ``B x T' x P' x d``, without what
        is pooled: the two summands reach their maxima apart."""
        pixels, words = self._split(layer, parts)
        lowest = torch.finfo(words.dtype).min
        words = words.masked_fill(~mask[..., None], lowest).transpose(1, 2)
        words = F.max_pool1d(words, 2, ceil_mode=True).transpose(1, 2)
        # A pair of padded words: any number that overflows nowhere.
        words = words.masked_fill(~in_pairs(mask)[..., None], 0)
        pixels = pixels.transpose(1, 2).unflatten(2, tuple(size))
        pixels = F.max_pool2d(pixels, 2, ceil_mode=True)
        pixels = pixels.flatten(2).transpose(1, 2)
        return self._act(pixels[:, None] + words[:, :, None])

    def _attend_from(self, parts: _Parts, mask: Tensor, size: Sequence[int]
                     ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``q``, ``B x T x P x d``; ``k`` and ``u``, ``B x T' x P' x d``; the
        mean of ``f`` over real words, ``B x P x C``."""
        if self.reduce is None:
            query = self._act(self._project(self.query, parts))
            if self.pool:
                key, value = (
                    self._pooled(layer, parts, mask, size)
                    for layer in (self.key, self.value))
            else:
                key, value = (
                    self._act(self._project(layer, parts))
                    for layer in (self.key, self.value))
            shape = (*parts.pixels.shape[:2], -1)
            mean = torch.cat([
                parts.pixels,
                masked_mean(parts.words, mask)[:, None].expand(shape),
                parts.places.expand(shape)
            ], -1)
            return query, key, value, mean
        features = F.relu(self._project(self.reduce, parts))
        query, key, value = (
            self._act(layer(features))
            for layer in (self.query, self.key, self.value))
        if self.pool:
            key, value = (pool_pairs(x, mask, size) for x in (key, value))
        mean = masked_mean(features.flatten(2), mask).unflatten(
            1, features.shape[2:])
        return query, key, value, mean

    def forward(self,
                visual: Tensor,
                language: LanguageFeatures,
                return_attention: bool = False) -> FusionOutput:
        """Fuse a map with the words of its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``.
            language (LanguageFeatures): ``B`` sentences.
            return_attention (bool): Whether word attention is given.

        Returns:
            FusionOutput: The fused map, ``B x out_channels x H x W``, no
            language query, and on request the word attention,
            ``B x T x H x W``, which sums to 1 over the real words of each
            pixel: how much, on average over the words, the pixel attends to
            each word anywhere in the image. Words that are pooled together
            have equal parts of what their pair is given.
        """
        size, mask = visual.shape[2:], language.mask
        query, key, value, mean = self._attend_from(
            self._parts(visual, language), mask, size)
        keys = in_pairs(mask) if self.pool else mask
        keep = keys[:, :, None].expand(key.shape[:3]).flatten(1)
        heard = F.scaled_dot_product_attention(
            query.flatten(1, 2)[:, None],
            key.flatten(1, 2)[:, None],
            value.flatten(1, 2)[:, None],
            attn_mask=keep[:, None, None],
            scale=self.scale)[:, 0].unflatten(1, query.shape[1:3])
        # Word by word: of all of them W_o makes the widest tensor here.
        weights = mask.to(mean.dtype) / mask.sum(1, keepdim=True)
        for n in range(mask.shape[1]):
            mean = mean + weights[:, n, None, None] * self._act(
                self.attention_out(heard[:, n]))
        fused = F.relu(self.out(mean))
        attention = None
        if return_attention:
            attention = self._word_attention(query, key, keep, mask)
            attention = attention.unflatten(2, size)
        return FusionOutput(
            fused.transpose(1, 2).unflatten(2, size), attention=attention)

    def _word_attention(self, query: Tensor, key: Tensor, keep: Tensor,
                        mask: Tensor) -> Tensor:
        """See :meth:`forward`; ``B x T x P``."""
        lowest = torch.finfo(query.dtype).min
        keys = key.flatten(1, 2).transpose(1, 2)
        given = torch.zeros_like(query[:, 0, :, :1])
        for n in range(mask.shape[1]):
            logits = query[:, n] @ keys * self.scale
            logits = logits.masked_fill(~keep[:, None], lowest)
            shares = logits.softmax(-1).unflatten(2, key.shape[1:3]).sum(-1)
            given = given + shares * mask[:, n, None, None]
        given = given.transpose(1, 2) / mask.sum(1)[:, None, None]
        if self.pool:
            words = mask.shape[1]
            pairs = F.pad(mask, (0, words % 2)).unflatten(1, (-1, 2))
            real = pairs.sum(2).clamp(min=1)[..., None]
            given = (given / real).repeat_interleave(2, dim=1)[:, :words]
        return given.masked_fill(~mask[..., None], 0)
