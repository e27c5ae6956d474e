# Licensed under the Apache License, Version 2.0.
"""Random replacement of tokens, as BERT is trained by it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch


class ReplacementIds(NamedTuple):
    """What the tokens of a vocabulary are, for :class:`TokenReplacement`.

    Attributes:
        mask (int, optional): Number of the token that says 'hidden'. None
            where the vocabulary has none.
        words (Sequence[int]): Numbers of the tokens that a random one is
            drawn from: those that may stand for a word.
        special (frozenset[int]): Numbers of tokens that stay as they are.
    """
    mask: int | None
    words: Sequence[int]
    special: frozenset[int]


class TokenReplacement:
    """Replaces a share of the tokens of a sentence at random.

    Each token that is not special is chosen with probability ``ratio``, on
    its own. A chosen one becomes the mask token, a random token or, kept, it
    stays (Devlin et al., BERT, 2019, section 3.1). Numbers are drawn from
    PyTorch's default generator of the CPU, equally many for sentences of the
    same length.

    Args:
        ids (ReplacementIds): What the tokens are.
        ratio (float): Share of the tokens that are chosen, 0 to 1.
        shares (Sequence[float]): Of the chosen ones, how many become the mask
            token, how many a random one, and how many are kept; together 1.
            Defaults to (0.8, 0.1, 0.1).

    Raises:
        ValueError: A share is wanted of the mask token, or of random ones,
            and the vocabulary has none.

    Example:
        >>> from mmrefseg.models import BertLanguageEncoder
        >>> from mmrefseg.models.language_encoders import TokenReplacement
        >>> tiny = dict(hidden_size=8, num_hidden_layers=1,
        ...             num_attention_heads=2, intermediate_size=8)
        >>> encoder = BertLanguageEncoder(vocab='synthetic', arch=tiny)
        >>> hide = TokenReplacement(
        ...     encoder.replacement_ids, ratio=1., shares=(1., 0., 0.))
        >>> hide([2, 17, 18, 3])  # [CLS] and [SEP] stay
        [2, 4, 4, 3]
    """

    def __init__(self,
                 ids: ReplacementIds,
                 *,
                 ratio: float,
                 shares: Sequence[float] = (0.8, 0.1, 0.1)) -> None:
        hidden, random, _ = shares
        if ratio and hidden and ids.mask is None:
            raise ValueError(
                'The vocabulary of the language encoder has no mask token: '
                'set token_shares=(0., 0.9, 0.1) of MaskedTraining, which '
                'takes random tokens instead, or token_ratio=0.')
        if ratio and random and not ids.words:
            raise ValueError(
                'The vocabulary of the language encoder has no token but '
                'special ones: set token_ratio=0 of MaskedTraining.')
        self.ids = ids
        self.ratio = ratio
        self.shares = tuple(shares)

    def __call__(self, tokens: Sequence[int]) -> list[int]:
        """Replace tokens.

        Args:
            tokens (Sequence[int]): Of one sentence, special ones included.

        Returns:
            list[int]: As many.
        """
        hidden, random, _ = self.shares
        replaced = list(tokens)
        chances, kinds, places = torch.rand(3, len(replaced)).tolist()
        for i, token in enumerate(tokens):
            if token in self.ids.special or chances[i] >= self.ratio:
                continue
            if kinds[i] < hidden:
                assert self.ids.mask is not None
                replaced[i] = self.ids.mask
            elif kinds[i] < hidden + random:
                words = self.ids.words
                replaced[i] = words[int(places[i] * len(words))]
        return replaced
