# Licensed under the Apache License, Version 2.0.
"""Whole words as tokens, by a file with one word a line."""

import re
import unicodedata
from functools import cached_property
from pathlib import Path

from mmrefseg.structures import find_text_fault
from .sentence_tokenizer import SentenceTokenizer
from .token_replacement import ReplacementIds

# How vocabularies of words and of word pieces write the two special tokens.
_PADDING = ('<pad>', '[PAD]')
_UNKNOWN = ('<unk>', '[UNK]')
# The first lines of a vocabulary that is made here.
SPECIAL_WORDS = ('<pad>', '<go>', '<eos>', '<unk>')
_BORDERS = re.compile(r'(\W+)')
_BRACKETS = re.compile(r'<\w+>|\[\w+\]')


def split_words(text: str, lower_case: bool = True) -> list[str]:
    """Words and punctuation of a sentence, as CMSA-Net reads it.

    Args:
        text (str): The sentence.
        lower_case (bool): Whether words are lower-cased. Defaults to True.

    Returns:
        list[str]: Runs of letters, digits and '_', and what else stands
        between them, without white space; a final '.' is left out unless
        nothing else is there.

    Example:
        >>> from mmrefseg.models.language_encoders import split_words
        >>> split_words("The man's hat, on the left.")
        ['the', 'man', "'", 's', 'hat', ',', 'on', 'the', 'left']
    """
    # Else a letter and its accent could be two words.
    text = unicodedata.normalize('NFC', text)
    if lower_case:
        text = text.lower()
    words = [x.strip() for x in _BORDERS.split(text)]
    words = [x for x in words if x]
    return words[:-1] if len(words) > 1 and words[-1] == '.' else words


class WordTokenizer(SentenceTokenizer):
    """Sentences to numbers of whole words, without special tokens.

    Args:
        vocab (str | Path): A file with one word a line, '<pad>' and '<unk>'
            (or '[PAD]' and '[UNK]') among them; the number of a word is its
            line, from 0. Of equal lines the first counts.
        lower_case (bool): Whether words are lower-cased first. Must be what
            the vocabulary was made with.
        max_tokens (int): Most words of a sentence. Longer ones lose their
            end, with a warning.

    Raises:
        ValueError: ``max_tokens`` is not positive, or the vocabulary lacks a
            special token.
    """

    def __init__(self,
                 *,
                 vocab: str | Path,
                 lower_case: bool = True,
                 max_tokens: int = 20) -> None:
        if max_tokens < 1:
            raise ValueError(f'max_tokens={max_tokens} leaves no room for a '
                             'word: use 1 or more.')
        self.max_tokens = max_tokens
        self.lower_case = lower_case
        lines = Path(vocab).read_text(encoding='utf-8').splitlines()
        self._words = [line.strip() for line in lines]
        self._numbers: dict[str, int] = {}
        for number, word in enumerate(self._words):
            self._numbers.setdefault(word, number)
        self.vocab_size = len(self._words)
        self.pad_id = self._special(_PADDING, vocab)
        self._unknown_id = self._special(_UNKNOWN, vocab)
        self._warned = set()

    @cached_property
    def replacement_ids(self) -> ReplacementIds:
        """ReplacementIds: '[MASK]', or the unknown word where there is none
        of that name; all lines in angle or square brackets are special."""
        special = frozenset(
            number for word, number in self._numbers.items()
            if _BRACKETS.fullmatch(word))
        words = sorted(set(self._numbers.values()) - special)
        mask = self._numbers.get('[MASK]', self._unknown_id)
        return ReplacementIds(mask, words, special - {self._unknown_id})

    def _special(self, names: tuple[str, ...], vocab: str | Path) -> int:
        for name in names:
            if name in self._numbers:
                return self._numbers[name]
        raise ValueError(
            f'The vocabulary {vocab} lacks {" or ".join(names)}: a vocabulary '
            f'has one word per line, {_PADDING[0]} and {_UNKNOWN[0]} among '
            'them.')

    def _number(self, word: str) -> int:
        return self._numbers.get(word, self._unknown_id)

    def encode(self, text: str, index: int = 0) -> list[int]:
        """Turn a sentence into the numbers of its words.

        Args:
            text (str): The sentence.
            index (int): Its place in the batch, for messages.

        Returns:
            list[int]: 1 to ``max_tokens`` numbers.

        Raises:
            TypeError: ``text`` is not a string.
            ValueError: The sentence has no word.
        """
        self._check(text, index)
        words = split_words(text, self.lower_case)
        if not words or find_text_fault(text) is not None:
            raise ValueError(
                f'Sentence {index} of the batch has no word ({text!r}): give '
                'it one, or remove the object that it belongs to.')
        if len(words) > self.max_tokens:
            self._warn_long(text, len(words))
        return [self._number(x) for x in words[:self.max_tokens]]

    def tokens(self, text: str) -> list[str]:
        """As :meth:`SentenceTokenizer.tokens`."""
        return [self._words[number] for number in self.encode(text)]

    def unknown_words(self, text: str) -> list[str]:
        """Words that the vocabulary does not have.

        Args:
            text (str): The sentence. Words beyond ``max_tokens`` count too.

        Returns:
            list[str]: Words as written, each once, in order.
        """
        self._check(text, 0)
        words = split_words(text, lower_case=False)
        return list(
            dict.fromkeys(
                word for word in words
                if self._number(word.lower() if self.lower_case else word) ==
                self._unknown_id))
