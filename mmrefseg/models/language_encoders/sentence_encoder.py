# Licensed under the Apache License, Version 2.0.
"""What encoders of sentences have in common: the checks of what they are
given, padding, pooling, and the cache of a frozen one."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmrefseg.structures import LanguageFeatures, masked_mean
from .sentence_tokenizer import SentenceTokenizer
from .token_replacement import ReplacementIds


def _at_last(words: Tensor, mask: Tensor) -> Tensor:
    last = mask.sum(dim=1) - 1
    return words[torch.arange(len(words), device=words.device), last]


# From words (B x T x C) and mask (B x T, real tokens first) to B x C.
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'mean': masked_mean,
    'cls': lambda words, mask: words[:, 0],
    'last': _at_last,
}


class SentenceEncoder(BaseModule, metaclass=ABCMeta):
    """Sentences in, one feature for each of their tokens out.

    A subclass sets ``tokenizer``, says what :attr:`weight` and
    ``out_channels`` are and encodes tokens in :meth:`_encode`.

    Args:
        frozen (bool): No gradients, no dropout.
        cache (bool): Keep the features of every sentence, for a frozen
            encoder.
        pooling (str): How a sentence becomes one vector.
        pad_to_max (bool): Pad every batch to ``max_tokens``.
        poolings (Sequence[str]): The ways of pooling that there are.
        init_cfg (dict, optional): As in BaseModule.

    Raises:
        ValueError: An encoder that learns cannot have a cache, or there is no
            such pooling.
    """

    tokenizer: SentenceTokenizer

    def __init__(self,
                 *,
                 frozen: bool,
                 cache: bool,
                 pooling: str,
                 pad_to_max: bool,
                 poolings: Sequence[str] = tuple(POOLINGS),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if cache and not frozen:
            raise ValueError('cache=True needs frozen=True: the features of '
                             'an encoder that learns change at every step.')
        if pooling not in poolings:
            raise ValueError(f"pooling='{pooling}' is none of "
                             f'{", ".join(poolings)}.')
        self.pooling = pooling
        self.frozen = frozen
        self.pad_to_max = pad_to_max
        # Not a buffer: it belongs to this process, not to the checkpoint.
        self._cache: dict[tuple, tuple[Tensor, Tensor | None]] | None = (
            {} if cache else None)
        self.register_load_state_dict_post_hook(_forget_features)

    @property
    @abstractmethod
    def weight(self) -> Tensor:
        """Tensor: A weight, for the device and dtype of the encoder."""

    @abstractmethod
    def _encode(self, ids: Sequence[Sequence[int]]) -> LanguageFeatures:
        """Encode the tokens of sentences.

        Args:
            ids (Sequence[Sequence[int]]): Their numbers, without padding.

        Returns:
            LanguageFeatures: Real tokens first, zero at padding.
        """

    @property
    def max_tokens(self) -> int:
        """int: Most tokens of a sentence, special ones counted."""
        return self.tokenizer.max_tokens

    def tokens(self, text: str) -> list[str]:
        """Tokens of a sentence, special ones included, after cutting."""
        return self.tokenizer.tokens(text)

    def unknown_words(self, text: str) -> list[str]:
        """Words of a sentence that the vocabulary cannot express."""
        return self.tokenizer.unknown_words(text)

    @property
    def replacement_ids(self) -> ReplacementIds:
        """ReplacementIds: What the tokens are, for replacing some."""
        return self.tokenizer.replacement_ids

    def train(self, mode: bool = True) -> 'SentenceEncoder':
        """Switch the mode; a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forget_features(self) -> None:
        """Empty the cache, if there is one."""
        if self._cache is not None:
            self._cache.clear()

    def pad(self,
            ids: Sequence[Sequence[int]],
            longest: int | None = None) -> tuple[Tensor, Tensor]:
        """Pad tokens at their end.

        Args:
            ids (Sequence[Sequence[int]]): ``B`` sentences.
            longest (int, optional): To how many. None means the longest
                sentence, or ``max_tokens`` with ``pad_to_max``.

        Returns:
            tuple[Tensor, Tensor]: Numbers ``B x T``, int64, and mask
            ``B x T``, bool.
        """
        device = self.weight.device
        lengths = torch.tensor([len(row) for row in ids], device=device)
        if longest is None:
            longest = max(len(row) for row in ids)
            if self.pad_to_max:
                longest = self.max_tokens
        padded = torch.tensor(
            [[*row, *[self.tokenizer.pad_id] * (longest - len(row))]
             for row in ids],
            device=device)
        return padded, torch.arange(
            longest, device=device) < lengths[:, None]

    def forward(
            self,
            texts: Sequence[str],
            *,
            replace: Callable[[Sequence[int]], Sequence[int]] | None = None
    ) -> LanguageFeatures:
        """Encode sentences.

        Args:
            texts (Sequence[str]): ``B`` sentences.
            replace (Callable, optional): Called with the numbers of the
                tokens of each sentence, special ones included; what it
                returns is encoded instead, such as by
                :class:`TokenReplacement`. Such features are computed anew
                each time: a cache neither gives nor keeps them.

        Returns:
            LanguageFeatures: ``words`` ``B x T x C_l``, zero at padding,
            ``mask`` ``B x T``, bool, and ``sentence`` ``B x C_l``; ``T`` is
            the longest sentence of the batch (``max_tokens`` with
            ``pad_to_max``). Special tokens count as words.

        Raises:
            TypeError: ``texts`` is not a sequence of strings.
            ValueError: There is no sentence, or one without a word.
        """
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise TypeError('texts must be a list of sentences, not '
                            f'{type(texts).__name__}: {texts!r}.')
        if len(texts) == 0:
            raise ValueError('There is no sentence to encode: texts is empty.')
        with torch.set_grad_enabled(
                torch.is_grad_enabled() and not self.frozen):
            if self._cache is not None and replace is None:
                return self._forward_cached(texts, self._cache)
            ids = [
                self.tokenizer.encode(text, i) for i, text in enumerate(texts)
            ]
            if replace is not None:
                ids = [list(replace(row)) for row in ids]
            return self._encode(ids)

    def _forward_cached(
            self, texts: Sequence[str],
            cache: dict[tuple, tuple[Tensor, Tensor | None]]
    ) -> LanguageFeatures:
        weight = self.weight
        keys = [(text, weight.device, weight.dtype) for text in texts]
        # Sentences of one length together, and never in autocast: a feature
        # must not depend on the sentences that happened to come with it (no
        # padding), nor on whether training or testing asked first.
        missing: dict[int, dict[tuple, Sequence[int]]] = {}
        for i, (text, key) in enumerate(zip(texts, keys)):
            if key not in cache:
                ids = self.tokenizer.encode(text, i)
                missing.setdefault(len(ids), {})[key] = ids
        for some in missing.values():
            with torch.autocast(weight.device.type, enabled=False):
                encoded = self._encode(list(some.values()))
            for i, key in enumerate(some):
                # A copy: a row of the batch would keep all of it.
                cache[key] = (encoded.words[i][encoded.mask[i]],
                              encoded.sentence[i].clone())
        rows = [cache[key][0] for key in keys]
        words = pad_sequence(rows, batch_first=True)
        if self.pad_to_max:
            words = torch.nn.functional.pad(
                words, (0, 0, 0, self.max_tokens - words.shape[1]))
        lengths = torch.tensor([len(row) for row in rows],
                               device=weight.device)
        mask = torch.arange(
            words.shape[1], device=weight.device) < lengths[:, None]
        kept = [cache[key][1] for key in keys]
        given = [x for x in kept if x is not None]
        sentence = (
            torch.stack(given) if given else
            POOLINGS[self.pooling](words, mask))
        return LanguageFeatures(words, mask, sentence)


def _forget_features(encoder: SentenceEncoder, _=None) -> None:
    encoder.forget_features()
