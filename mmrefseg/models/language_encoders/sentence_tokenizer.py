# Licensed under the Apache License, Version 2.0.
"""From sentences to token numbers, with warnings for the user."""

import logging
import reprlib
from functools import cached_property
from pathlib import Path

from mmengine.logging import print_log
# transformers 5 makes this name only when it is asked for.
from transformers import BertTokenizerFast  # type: ignore[attr-defined]

from mmrefseg.structures import find_text_fault
from .token_replacement import ReplacementIds

_SPECIAL = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
# Long sentences that are named in the log; of later ones only the fact.
_NAMED_LONG_SENTENCES = 10
# Characters of a sentence that a message shows.
_SHOWN = 300


def _load(vocab: Path, lower_case: bool) -> BertTokenizerFast:
    if vocab.is_dir():
        return BertTokenizerFast.from_pretrained(
            str(vocab), do_lower_case=lower_case)
    words = vocab.read_text(encoding='utf-8').split('\n')
    absent = [token for token in _SPECIAL if token not in words]
    if absent:
        raise ValueError(
            f'The vocabulary {vocab} lacks {", ".join(absent)}: a vocabulary '
            'has one token per line, these five among them: '
            f'{" ".join(_SPECIAL)}.')
    # By position: transformers 5 ignores the keyword `vocab_file` and then
    # takes every word for unknown.
    return BertTokenizerFast(str(vocab), do_lower_case=lower_case)


class SentenceTokenizer:
    """WordPiece tokenizer of BERT for single sentences.

    Args:
        vocab (str | Path): A ``vocab.txt`` with one token per line, or a
            folder with a ``tokenizer.json``.
        lower_case (bool): Whether words are lower-cased and stripped of
            accents first. Must be what the vocabulary was made with.
        max_tokens (int): Most tokens of a sentence, [CLS] and [SEP] counted.
            Longer sentences lose their end, with a warning.

    Raises:
        ValueError: ``max_tokens`` is below 3, or the vocabulary lacks a
            special token.
        RuntimeError: transformers read the vocabulary wrongly.
    """

    def __init__(self,
                 *,
                 vocab: str | Path,
                 lower_case: bool = True,
                 max_tokens: int = 30) -> None:
        if max_tokens < 3:
            raise ValueError(
                f'max_tokens={max_tokens} leaves no room for a word between '
                '[CLS] and [SEP]: use 3 or more.')
        self.max_tokens = max_tokens
        self._tokenizer = _load(Path(vocab), lower_case)
        # The backend encodes one sentence at a time without threads, so data
        # loader workers can be forked afterwards without a warning.
        self._backend = self._tokenizer.backend_tokenizer
        self._backend.no_padding()
        self._backend.no_truncation()
        self.vocab_size: int = max(self._tokenizer.get_vocab().values()) + 1
        self.pad_id: int = self._tokenizer.pad_token_id
        self._unknown_id: int = self._tokenizer.unk_token_id
        self._end_id: int = self._tokenizer.sep_token_id
        self._warned: set[str] = set()
        self._check_reads(vocab, lower_case)

    @cached_property
    def replacement_ids(self) -> ReplacementIds:
        """ReplacementIds: Its mask token, its special ones, and all others.
        """
        mask = self._tokenizer.special_tokens_map.get('mask_token')
        if mask is not None:
            mask = self._tokenizer.convert_tokens_to_ids(mask)
        special = self._special_ids()
        words = set(self._tokenizer.get_vocab().values()) - special
        return ReplacementIds(mask, sorted(words), special)

    def _special_ids(self) -> frozenset[int]:
        return frozenset(self._tokenizer.all_special_ids)

    def _check_reads(self, vocab: str | Path, lower_case: bool) -> None:
        vocabulary = self._tokenizer.get_vocab()
        normalizer = self._backend.normalizer
        plain = (
            word for word in sorted(vocabulary, key=vocabulary.get)
            if word.isalnum() and normalizer.normalize_str(word) == word)
        word = next(plain, None)
        if word is None or self.unknown_words(word):
            import transformers
            raise RuntimeError(
                f'transformers {transformers.__version__} knows no word of '
                f'the vocabulary {vocab}: check that lower_case={lower_case} '
                'suits it, or install a release of transformers that '
                'mmrefseg is tested with (docs/compatibility.md).')

    def _check(self, text: str, index: int) -> None:
        if not isinstance(text, str):
            raise TypeError(f'Sentence {index} is of type '
                            f'{type(text).__name__}, not str: '
                            f'{reprlib.repr(text)}.')
        fault = find_text_fault(text)
        if fault is not None and 'empty' not in fault:
            raise ValueError(f'Sentence {index} of the batch {fault} '
                             f'({text[:_SHOWN]!r}): correct it.')

    def encode(self, text: str, index: int = 0) -> list[int]:
        """Turn a sentence into token numbers.

        Args:
            text (str): The sentence.
            index (int): Its place in the batch, for messages.

        Returns:
            list[int]: 3 to ``max_tokens`` numbers, [CLS] first and [SEP]
            last.

        Raises:
            TypeError: ``text`` is not a string.
            ValueError: The sentence has no word.
        """
        self._check(text, index)
        ids = self._backend.encode(text).ids
        if len(ids) < 3:
            raise ValueError(
                f'Sentence {index} of the batch has no word ({text!r}): give '
                'it one, or remove the object that it belongs to.')
        if len(ids) > self.max_tokens:
            self._warn_long(text, len(ids))
            ids = ids[:self.max_tokens - 1] + [self._end_id]
        return ids

    def _warn_long(self, text: str, length: int) -> None:
        if text in self._warned or len(self._warned) > _NAMED_LONG_SENTENCES:
            return
        self._warned.add(text)
        message = (f'A sentence of {length} tokens is cut to max_tokens='
                   f'{self.max_tokens} and loses its end: '
                   f'{text[:_SHOWN]!r}{"..." * (len(text) > _SHOWN)}.')
        if len(self._warned) > _NAMED_LONG_SENTENCES:
            message += ' Further sentences are cut without being named.'
        print_log(message, 'current', logging.WARNING)

    def tokens(self, text: str) -> list[str]:
        """Tokens of a sentence as the encoder sees them.

        Args:
            text (str): The sentence.

        Returns:
            list[str]: One string for each number of :meth:`encode`.
        """
        return self._tokenizer.convert_ids_to_tokens(self.encode(text))

    def unknown_words(self, text: str) -> list[str]:
        """Words that the vocabulary can neither hold nor compose.

        Args:
            text (str): The sentence. Words beyond ``max_tokens`` count too.

        Returns:
            list[str]: Words as written, each once, in order.
        """
        self._check(text, 0)
        encoding = self._backend.encode(text)
        words = [
            text[start:end]
            for number, (start, end) in zip(encoding.ids, encoding.offsets)
            if number == self._unknown_id
        ]
        return list(dict.fromkeys(words))
