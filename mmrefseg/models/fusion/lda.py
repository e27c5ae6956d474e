# Licensed under the Apache License, Version 2.0.
import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import (FusionOutput, LanguageFeatures,
                                 SentenceAttention)
from .no_query import refuse_query

_INTEGRATE = ('product', 'mean', 'max')


@MODELS.register_module()
class LDA(BaseModule):
    """Language-driven attention, after the abstract of Chen et al., ICRA
    2021.

    The abstract fixes that the correlation of the map and the whole sentence
    is decoupled into channel attention and spatial attention, which are then
    integrated; every layer below is our own. With ``s`` the sentence as one
    vector (``language.sentence``), ``v_p`` the unit vector of ``W_v V_p`` and
    ``t`` that of ``W_s s``:

    - correlation: ``M[c, p] = sqrt(C) v_p[c] t[c]``; its sum over channels
      is ``sqrt(C)`` times the cosine of pixel and sentence
    - channels: ``a = sigmoid(mlp(mean_p M) + mlp(max_p M))``, one ``mlp`` of
      hidden width ``C / reduction`` with ReLU
    - pixels: ``b = sigmoid(w [cosine ; max_c M] + w_0)``. The mean over
      channels is ``cosine / sqrt(C)``, the same input again: not built.
    - ``A = a b``, ``(a + b) / 2`` or ``max(a, b)``
    - ``F = ReLU(W_o [A V ; V])``

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (None): This fusion makes no language query.
        channel_attention (bool): Whether ``a`` is built; without it ``A`` is
            ``b``. Defaults to True.
        spatial_attention (bool): Whether ``b`` is built; without it ``A`` is
            ``a``. Defaults to True.
        integration (str): 'product', 'mean' or 'max', where both are built;
            'max' trains only the larger at each place. Defaults to 'product'.
        reduction (int): The hidden width of ``mlp`` is ``C / reduction``.
            Defaults to 4.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: A language query is asked for, ``integration`` is unknown,
            or neither attention is built.

    Example:
        >>> import torch
        >>> from mmrefseg.models import LDA
        >>> from mmrefseg.structures import LanguageFeatures
        >>> language = LanguageFeatures(
        ...     words=torch.rand(2, 5, 16), mask=torch.ones(2, 5).bool())
        >>> fusion = LDA(channels=8, language_channels=16)
        >>> found = fusion(
        ...     torch.rand(2, 8, 6, 6), language, return_attention=True)
        >>> found.fused.shape, found.attention.pixels.shape
        (torch.Size([2, 8, 6, 6]), torch.Size([2, 6, 6]))
    """

    gives_attention = True

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = None,
                 channel_attention: bool = True,
                 spatial_attention: bool = True,
                 integration: str = 'product',
                 reduction: int = 4,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        refuse_query(self, query_channels)
        if integration not in _INTEGRATE:
            raise ValueError("integration of LDA is 'product', 'mean' or "
                             f"'max', not {integration!r}.")
        if not channel_attention and not spatial_attention:
            raise ValueError('LDA needs channel_attention or '
                             'spatial_attention: set one of them to True.')
        self.integration = integration
        self.scale = math.sqrt(channels)
        self.visual = nn.Linear(channels, channels, bias=False)
        self.sentence = nn.Linear(language_channels, channels, bias=False)
        self.to_channels = self.to_pixels = None
        if channel_attention:
            hidden = max(channels // reduction, 1)
            self.to_channels = nn.Sequential(
                nn.Linear(channels, hidden), nn.ReLU(),
                nn.Linear(hidden, channels))
        if spatial_attention:
            self.to_pixels = nn.Linear(2, 1)
        self.out = nn.Linear(2 * channels, channels)

    def _attention(
            self, pixels: Tensor,
            sentence: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """``a``, ``B x 1 x C``, and ``b``, ``B x N x 1``, each where it is
        built, of pixels ``B x N x C`` and sentences ``B x C_l``."""
        unit = _unit(self.visual(pixels))
        correlation = self.scale * unit * _unit(self.sentence(sentence))[:,
                                                                         None]
        channels = places = None
        if self.to_channels is not None:
            pooled = self.to_channels(correlation.mean(dim=1))
            pooled = pooled + self.to_channels(correlation.amax(dim=1))
            channels = pooled.sigmoid()[:, None]
        if self.to_pixels is not None:
            said = torch.stack([
                correlation.sum(dim=2) / self.scale,
                correlation.amax(dim=2)
            ], dim=2)
            places = self.to_pixels(said).sigmoid()
        return channels, places

    def _integrate(self, channels: Tensor | None,
                   places: Tensor | None) -> Tensor:
        given = [x for x in (channels, places) if x is not None]
        if len(given) == 1:
            return given[0]
        channels, places = given
        if self.integration == 'product':
            return channels * places
        if self.integration == 'mean':
            return (channels + places) / 2
        return torch.maximum(channels, places)

    def forward(self,
                visual: Tensor,
                language: LanguageFeatures,
                return_attention: bool = False) -> FusionOutput:
        """Fuse a map with its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``.
            language (LanguageFeatures): ``B`` sentences.
            return_attention (bool): Whether ``a`` and ``b`` are given.

        Returns:
            FusionOutput: The fused map, ``B x C x H x W``, no language
            query, and on request a :class:`SentenceAttention` with ``b`` as
            its pixels and ``a`` as its channels.
        """
        size = visual.shape[2:]
        pixels = visual.flatten(2).transpose(1, 2)
        channels, places = self._attention(pixels, language.sentence)
        attended = self._integrate(channels, places) * pixels
        fused = F.relu(self.out(torch.cat([attended, pixels], dim=2)))
        attention = None
        if return_attention:
            attention = SentenceAttention(
                pixels=None if places is None else places[..., 0].unflatten(
                    1, size),
                channels=None if channels is None else channels[:, 0])
        return FusionOutput(
            fused.transpose(1, 2).unflatten(2, size), attention=attention)


def _unit(x: Tensor) -> Tensor:
    """Unit vectors of the last dimension. The bound keeps the gradient of a
    vector near 0 from growing without limit."""
    return F.normalize(x, dim=-1, eps=1e-4)
