# Licensed under the Apache License, Version 2.0.
"""What flows between the parts of a referring segmentor.

One kind of thing passes from language encoder to backbone to neck to head, so
that any of them may use language or ignore it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real words of each sentence.

    Args:
        values (Tensor): ``B x T x C``; anything, NaN too, on padding.
        mask (Tensor): ``B x T``, bool; True marks a real word.

    Returns:
        Tensor: ``B x C``.
    """
    total = values.masked_fill(~mask.unsqueeze(-1), 0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Pairs:
    """Which images and sentences belong together: ``B`` pairs of them.

    Several sentences about one image, ``Pairs(image=[0, 0, 0])``, or several
    views of one sentence, as the frames of a video are,
    ``Pairs(sentence=[0, 0, 0])``; in general any map between the two.

    Attributes:
        image (Tensor, optional): ``B``, int64, row of each pair's image. None
            means that pair i is about image i.
        sentence (Tensor, optional): ``B``, int64, row of each pair's
            sentence. None means that pair i holds sentence i.
    """
    image: Tensor | None = None
    sentence: Tensor | None = None


@dataclass(frozen=True)
class LanguageFeatures:
    """Features of a batch of ``B`` sentences.

    Attributes:
        words (Tensor): Word features, ``B x T x C_l``, float.
        mask (Tensor): ``B x T``, bool; True marks a real token, False
            padding. Every row has at least one True.
        sentence (Tensor): ``B x C_l``, each sentence as one vector, pooled by
            the language encoder. Where none is given it is the mean of the
            real words. Whoever replaces ``words`` replaces it as well.
    """
    words: Tensor
    mask: Tensor
    sentence: Tensor = None  # type: ignore[assignment]  # see __post_init__

    def __post_init__(self) -> None:
        if self.sentence is None:
            object.__setattr__(self, 'sentence',
                               masked_mean(self.words, self.mask))

    def select(self, rows: Tensor | None) -> 'LanguageFeatures':
        """The sentences of some rows, in their order; None keeps all."""
        if rows is None:
            return self
        return LanguageFeatures(self.words[rows], self.mask[rows],
                                self.sentence[rows])


@dataclass(frozen=True)
class ImageFeatures:
    """What a backbone knows of ``N`` images before it hears a sentence.

    Attributes:
        maps (tuple[Tensor]): Feature maps, finest first, each
            ``N x C_i x H_i x W_i``: of an early-fusion backbone the stages up
            to the first that fuses, of any other all of them.
        size (tuple[int, int]): Height and width of the images, as the network
            saw them.
    """
    maps: tuple[Tensor, ...]
    size: tuple[int, int]

    def select(self, rows: Tensor | None) -> 'ImageFeatures':
        """The images of some rows, in their order; None keeps all."""
        if rows is None:
            return self
        return ImageFeatures(tuple(x[rows] for x in self.maps), self.size)


@dataclass(frozen=True)
class SentenceAttention:
    """What a fusion that hears the whole sentence, not its words, attends to.

    Attributes:
        pixels (Tensor, optional): How much it attends to each pixel,
            ``B x H x W``, in 0..1; None where it does not weigh pixels.
        channels (Tensor, optional): How much it attends to each channel,
            ``B x C``, in 0..1; None where it does not weigh channels.
    """
    pixels: Tensor | None = None
    channels: Tensor | None = None


class FusionOutput(NamedTuple):
    """What a fusion makes of a map and its sentences.

    Attributes:
        fused (Tensor): The fused map, ``B x C x H x W``; of a late fusion C
            may differ from that of the map before.
        query (Tensor, optional): A language query, ``B x C_q``, or several,
            ``B x n x C_q``.
        attention (Tensor | SentenceAttention, optional): How much each pixel
            attends to each word, ``B x T x H x W`` in 0..1, 0 on padding; or
            what is attended to because of the whole sentence. Given only
            when it is asked for.
    """
    fused: Tensor
    query: Tensor | None = None
    attention: Tensor | SentenceAttention | None = None


@dataclass(frozen=True)
class MultimodalFeatures:
    """Feature maps of a batch of pairs with what language left in them.

    It answers indexing, ``len`` and iteration with its maps, so that a stock
    neck or head that expects a tuple of maps takes it as it is.

    Attributes:
        maps (tuple[Tensor]): Feature maps, finest first, each
            ``B x C_i x H_i x W_i``.
        queries (Tensor, optional): Language queries, ``B x n x C_q``, those
            of each stage that makes some; None when no stage does.
        language (LanguageFeatures, optional): The sentence of each pair. A
            neck may replace it; what reads words afterwards reads the neck's.
        visual (tuple[Tensor], optional): The maps before fusion,
            ``B x C_i x H_i x W_i``; None unless somebody asked for them.
        attention (tuple[Tensor | SentenceAttention | None], optional): Word
            attention of each stage, ``B x T x H_i x W_i``, or that of the
            whole sentence (see :class:`FusionOutput`), None for a stage that
            has none; None unless somebody asked for it.
    """
    maps: tuple[Tensor, ...]
    queries: Tensor | None = None
    language: LanguageFeatures | None = None
    visual: tuple[Tensor, ...] | None = None
    attention: tuple[Tensor | SentenceAttention | None, ...] | None = None

    def __getitem__(self, index):
        return self.maps[index]

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.maps)
