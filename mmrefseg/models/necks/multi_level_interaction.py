# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from dataclasses import replace

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures, MultimodalFeatures
from ..layers import sine_position_2d
from ..layers.cross_attention import CrossAttentionLayer
from .run_neck import run_neck


class InteractionLayer(BaseModule):
    """Words attend to the pixels of all levels, then pixels to words.

    ``L = attend(L, X + e)``, then ``X = attend(X, L)`` with queries of
    ``X + e``, where ``e`` says place and level of a pixel: see
    :class:`CrossAttentionLayer`. All levels share the weights.

    Args:
        channels (int): Width of words and pixels.
        num_heads (int): Attention heads.
        ffn_channels (int): Hidden width of the feed-forward layers.
    """

    def __init__(self, *, channels: int, num_heads: int,
                 ffn_channels: int) -> None:
        super().__init__()
        self.words, self.pixels = (
            CrossAttentionLayer(
                channels=channels,
                num_heads=num_heads,
                ffn_channels=ffn_channels) for _ in range(2))

    def forward(self, pixels: Tensor, words: Tensor, place: Tensor,
                mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels ``B x N x C`` and words ``B x T x C``, updated.

        Args:
            pixels (Tensor): ``B x N x C``, of all levels.
            words (Tensor): ``B x T x C``.
            place (Tensor): ``e``, ``N x C``.
            mask (Tensor): ``B x T``, bool; True marks a real word.
        """
        words = self.words(words, pixels + place)
        return self.pixels(pixels, words, place=place, mask=mask), words

    def attention(self, pixels: Tensor, words: Tensor, place: Tensor,
                  mask: Tensor) -> Tensor:
        """How the pixels of :meth:`forward` attend to words, before they are
        updated: ``B x N x T``; ``words`` are those it gave out."""
        return self.pixels.weights(pixels, words, place=place, mask=mask)


@MODELS.register_module()
class MultiLevelInteraction(BaseModule):
    """Words and the maps of several levels, updated by each other: stage one
    of the two-stage multi-modal interaction model.

    Of that model only the abstract is known: intermediate features of both
    modalities interact on several levels, for detail; then both are aligned
    globally (:class:`GlobalAlignment`). The form is our own.

    ``X_i = LN(W_i F_i)``, ``L = LN(W_l words)``; ``num_layers`` times words
    attend to the pixels of all levels and these to the updated words. A pixel
    is known by a sinusoidal position and a learned vector of its level.
    Padded words are never attended to. The maps keep their sizes, the
    finest passes by as it is, and the words that go on are the updated ones.

    Args:
        in_channels (Sequence[int]): Channels of all maps, finest first.
        language_channels (int): Width of the word features.
        channels (int): Width of words and pixels, a multiple of 4. Defaults
            to 256.
        start_level (int): Maps before this one, from 0, pass by. Defaults
            to 1.
        num_layers (int): Defaults to 2.
        num_heads (int): Attention heads. Defaults to 8.
        ffn_channels (int): Hidden width of the feed-forward layers. Defaults
            to 1024.
        decoder (dict, optional): The neck that comes next, with
            ``in_channels`` as :attr:`widths`. None gives out the maps.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Attributes:
        widths (list[int]): Channels of the maps that the decoder gets.

    Raises:
        ValueError: No map is left at ``start_level``; (in forward) the
            features have no language.

    Example:
        >>> import torch
        >>> from mmrefseg.models import MultiLevelInteraction
        >>> from mmrefseg.structures import (LanguageFeatures,
        ...                                  MultimodalFeatures)
        >>> neck = MultiLevelInteraction(
        ...     in_channels=[4, 8, 16], language_channels=6, channels=16)
        >>> features = neck(MultimodalFeatures(
        ...     maps=tuple(torch.rand(2, 4 * n, 8 // n, 8 // n)
        ...                for n in (1, 2, 4)),
        ...     language=LanguageFeatures(
        ...         words=torch.rand(2, 5, 6), mask=torch.ones(2, 5).bool())))
        >>> [x.shape[1] for x in features], features.language.words.shape
        ([4, 16, 16], torch.Size([2, 5, 16]))
    """

    # Which argument is the width of the words that go on.
    words_width = 'channels'

    def __init__(self,
                 *,
                 in_channels: Sequence[int],
                 language_channels: int,
                 channels: int = 256,
                 start_level: int = 1,
                 num_layers: int = 2,
                 num_heads: int = 8,
                 ffn_channels: int = 1024,
                 decoder: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if not 0 <= start_level < len(in_channels):
            raise ValueError(
                f'start_level={start_level} of MultiLevelInteraction leaves '
                f'no map of the {len(in_channels)}: take 0 to '
                f'{len(in_channels) - 1}.')
        self.start_level = start_level
        given = in_channels[start_level:]
        self.widths = [*in_channels[:start_level], *[channels] * len(given)]
        self.to_pixels = ModuleList(
            nn.Sequential(nn.Linear(width, channels), nn.LayerNorm(channels))
            for width in given)
        self.to_words = nn.Sequential(
            nn.Linear(language_channels, channels), nn.LayerNorm(channels))
        self.level = nn.Parameter(torch.randn(len(given), channels) * 0.02)
        self.layers = ModuleList(
            InteractionLayer(
                channels=channels,
                num_heads=num_heads,
                ffn_channels=ffn_channels) for _ in range(num_layers))
        self.decoder = None if decoder is None else MODELS.build(decoder)

    def _places(self, maps: Sequence[Tensor]) -> Tensor:
        """Position and level of each pixel of all maps, ``N x C``."""
        return torch.cat([
            sine_position_2d(*x.shape[2:], level.shape[0], level.dtype,
                             level.device) + level
            for x, level in zip(maps, self.level)
        ])

    def forward(self, features: MultimodalFeatures) -> MultimodalFeatures:
        """Let words and maps interact, then decode.

        Args:
            features (MultimodalFeatures): Maps ``B x C_i x H_i x W_i`` and
                the language.

        Returns:
            MultimodalFeatures: Maps of the same sizes, from ``start_level``
            on of ``channels``, or what the decoder makes of them; the
            updated words, 0 on padding, with their mean as the sentence;
            and, if attention is asked for, the words that each pixel
            attends to in the last layer.
        """
        if features.language is None:
            raise ValueError('MultiLevelInteraction reads the words, but the '
                             'features that it got have none.')
        mask = features.language.mask
        maps = features.maps[self.start_level:]
        sizes = [x.shape[2:] for x in maps]
        pixels = torch.cat([
            project(x.flatten(2).transpose(1, 2))
            for project, x in zip(self.to_pixels, maps, strict=True)
        ], dim=1)
        words = self.to_words(features.language.words)
        place = self._places(maps).to(pixels.dtype)
        before = pixels
        for layer in self.layers:
            before = pixels
            pixels, words = layer(pixels, words, place, mask)
        attention = features.attention
        if attention is not None:
            seen = self.layers[-1].attention(before, words, place, mask)
            attention = (*attention[:self.start_level],
                         *_as_maps(seen, sizes))
        words = words.masked_fill(~mask[..., None], 0)
        features = replace(
            features,
            maps=(*features.maps[:self.start_level],
                  *_as_maps(pixels, sizes)),
            language=LanguageFeatures(words, mask),
            attention=attention)
        if self.decoder is None:
            return features
        return run_neck(self.decoder, features)


def _as_maps(pixels: Tensor, sizes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Cut ``B x N x C`` into maps ``B x C x H_i x W_i``."""
    pieces = pixels.transpose(1, 2).split([h * w for h, w in sizes], dim=2)
    return [x.unflatten(2, tuple(size)) for x, size in zip(pieces, sizes)]
