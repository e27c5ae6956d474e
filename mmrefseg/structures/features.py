# Licensed under the Apache License, Version 2.0.
"""What flows between the parts of a referring segmentor.

One kind of thing passes from language encoder to backbone to neck to head, so
that any of them may use language or ignore it.
"""

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

from torch import Tensor


@dataclass(frozen=True)
class LanguageFeatures:
    """Word features of a batch of ``B`` sentences.

    Attributes:
        words (Tensor): Word features, ``B x T x C_l``, float.
        mask (Tensor): ``B x T``, bool; True marks a real token, False
            padding. Every row has at least one True.
        image_index (Tensor, optional): ``B``, int64. Row of the image batch
            that each sentence speaks of. None means one sentence per image in
            the same order. With it several sentences share the features of
            one image up to the first fusion.
    """
    words: Tensor
    mask: Tensor
    image_index: Optional[Tensor] = None


@dataclass(frozen=True)
class MultimodalFeatures:
    """Feature maps of a batch with what language left in them.

    It answers indexing, ``len`` and iteration with its maps, so that a stock
    neck or head that expects a tuple of maps takes it as it is.

    Attributes:
        maps (tuple[Tensor]): Feature maps, finest first, each
            ``B x C_i x H_i x W_i``.
        queries (Tensor, optional): Language queries, ``B x n x C_q``, one for
            each stage that makes one; None when no stage does.
        language (LanguageFeatures, optional): The sentences.
    """
    maps: Tuple[Tensor, ...]
    queries: Optional[Tensor] = None
    language: Optional[LanguageFeatures] = None

    def __getitem__(self, index):
        return self.maps[index]

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.maps)
