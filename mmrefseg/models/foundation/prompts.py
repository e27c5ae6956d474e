# Licensed under the Apache License, Version 2.0.
"""Sentences in the form that a model was trained with, and as tokens."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmrefseg.structures import find_text_fault


def lower_phrase(text: str) -> str:
    """A sentence as one phrase of Grounding DINO: in lower case with one dot,
    at its end, since a dot ends a phrase there.

    Args:
        text (str): Such as 'The man in No. 5'.

    Returns:
        str: Such as 'the man in no 5.'.

    Example:
        >>> from mmrefseg.models.foundation.prompts import lower_phrase
        >>> lower_phrase('The man in No. 5')
        'the man in no 5.'
    """
    words = text.lower().replace('.', ' ').split()
    return f'{" ".join(words)}.'


def check_template(template: str) -> None:
    """Refuse a template without one place for the sentence.

    Raises:
        ValueError: It does not hold '{}' exactly once.
    """
    if template.count('{}') != 1:
        raise ValueError(
            f'template={template!r} needs {{}} once, where the sentence '
            "goes: 'a photo of {}'.")


class Sentences:
    """A tokenizer, bound to the longest sentence that its model can read.

    Args:
        tokenizer (Any): Of transformers.
        max_tokens (int): Tokens of the longest sentence, special ones
            included.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def tokens(self, text: str) -> list[str]:
        """Split a sentence, as it was given, into tokens.

        Raises:
            ValueError: It has no token.
        """
        tokens = self.tokenizer.tokenize(text)
        if find_text_fault(text) is not None or not tokens:
            raise ValueError(f'A sentence has no word: {text!r}.')
        return tokens

    def unknown_words(self, text: str) -> list[str]:
        """Words that were never learnt: none, since pieces spell any."""
        return []

    def __call__(self,
                 prompts: Sequence[str],
                 *,
                 fill: bool = False,
                 device: torch.device | str = 'cpu') -> dict[str, Tensor]:
        """Tokenize prompts; a longer one loses its end.

        Args:
            prompts (Sequence[str]): ``B`` prompts.
            fill (bool): Pad to ``max_tokens``, as models want it that were
                only trained so, instead of to the longest prompt.
            device (torch.device | str): Where the tokens go.

        Returns:
            dict[str, Tensor]: ``input_ids``, ``attention_mask`` and what else
            the tokenizer gives, each ``B x T``, int64.
        """
        tokens = self.tokenizer(
            list(prompts),
            padding='max_length' if fill else True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors='pt')
        return {key: value.to(device) for key, value in tokens.items()}
