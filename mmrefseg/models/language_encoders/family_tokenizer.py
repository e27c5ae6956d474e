# Licensed under the Apache License, Version 2.0.
"""Sentences to token numbers as the tokenizer of any family does it."""

import re
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from mmrefseg.fileio import first_line
from .bert_files import find_vocabulary, packaged_vocabularies
from .sentence_tokenizer import SentenceTokenizer


class FamilyTokenizer(SentenceTokenizer):
    """Tokenizer of a folder or of the Hugging Face hub for single sentences.

    Special tokens, their places, the side of padding and the treatment of
    case are the tokenizer's own.

    Args:
        tokenizer (str): Folder or hub name with the files of a tokenizer, or
            what :class:`SentenceTokenizer` takes: a ``vocab.txt`` or the name
            of a packaged vocabulary ('synthetic').
        max_tokens (int): Most tokens of a sentence, special ones counted.
            Longer sentences lose their end, with a warning, and keep their
            special tokens.
        lower_case (bool): Lower-case sentences before the tokenizer sees
            them.
        local_files_only (bool): Never ask the hub.

    Raises:
        FileNotFoundError: There is no tokenizer.
        ValueError: ``max_tokens`` leaves no room for a word.
    """

    def __init__(self,
                 *,
                 tokenizer: str,
                 max_tokens: int,
                 lower_case: bool = False,
                 local_files_only: bool = False) -> None:
        self.lower_case = lower_case
        path = Path(tokenizer).expanduser()
        if path.is_file() or tokenizer in packaged_vocabularies():
            super().__init__(
                vocab=find_vocabulary(tokenizer, None), max_tokens=max_tokens)
        else:
            self._tokenizer = _read(tokenizer, local_files_only)
            self.max_tokens = max_tokens
            self._warned = set()
            self._backend = getattr(self._tokenizer, 'backend_tokenizer', None)
            if self._backend is not None:
                self._backend.no_padding()
                self._backend.no_truncation()
            self.vocab_size = max(self._tokenizer.get_vocab().values()) + 1
        own: Any = self._tokenizer
        self.padding_side: str = own.padding_side
        self._unknown_id = own.unk_token_id
        self.pad_id = own.pad_token_id
        if self.pad_id is None:  # masked wherever it stands
            self.pad_id = own.eos_token_id or 0
        bare, whole = self._ids('a', False), self._ids('a', True)
        start = next((i for i in range(len(whole) - len(bare) + 1)
                      if whole[i:i + len(bare)] == bare), 0)
        self._before = whole[:start]
        self._after = whole[start + len(bare):]
        if max_tokens <= len(self._before) + len(self._after):
            raise ValueError(
                f'max_tokens={max_tokens} leaves no room for a word beside '
                f'the {len(self._before) + len(self._after)} special tokens '
                f"of the tokenizer '{tokenizer}': raise it.")

    def _special_ids(self) -> frozenset[int]:
        # A file may put tokens around a sentence without calling them special.
        return super()._special_ids().union(
            (self.pad_id, *self._before, *self._after))

    @property
    def longest(self) -> int | None:
        """int: Most tokens that the tokenizer's files admit; None where they
        say nothing."""
        given = self._tokenizer.model_max_length
        return given if given < 1_000_000 else None

    def _ids(self, text: str, special: bool) -> list[int]:
        if self._backend is not None:
            # One sentence at a time, without threads: see SentenceTokenizer.
            return self._backend.encode(text, add_special_tokens=special).ids
        return self._tokenizer(text, add_special_tokens=special)['input_ids']

    def _cased(self, text: str) -> str:
        return text.lower() if self.lower_case else text

    def encode(self, text: str, index: int = 0) -> list[int]:
        """As :meth:`SentenceTokenizer.encode`, with the special tokens of
        this tokenizer."""
        self._check(text, index)
        ids = self._ids(self._cased(text), False)
        if not ids:
            raise ValueError(
                f'Sentence {index} of the batch has no word ({text!r}): give '
                'it one, or remove the object that it belongs to.')
        special = len(self._before) + len(self._after)
        if len(ids) + special > self.max_tokens:
            self._warn_long(text, len(ids) + special)
            ids = ids[:self.max_tokens - special]
        return [*self._before, *ids, *self._after]

    def unknown_words(self, text: str) -> list[str]:
        """As :meth:`SentenceTokenizer.unknown_words`; none where the
        vocabulary can spell every word."""
        self._check(text, 0)
        words = re.findall(r'\w+|[^\w\s]', text)
        return list(
            dict.fromkeys(
                word for word in words
                if self._unknown_id in self._ids(self._cased(word), False)))


def _read(name: str, local_files_only: bool) -> Any:
    try:
        return AutoTokenizer.from_pretrained(
            name, local_files_only=local_files_only, trust_remote_code=False)
    except Exception as error:  # of several libraries, by the kind of file
        raise FileNotFoundError(
            f"The tokenizer of '{name}' can be had neither from a folder of "
            'that name nor from the Hugging Face hub or its cache '
            f'({type(error).__name__}: {first_line(error)}): set '
            'language_encoder.tokenizer to a folder with its files '
            '(tokenizer.json, tokenizer_config.json), to the path of a '
            'vocab.txt, or to a packaged vocabulary '
            f'({", ".join(packaged_vocabularies())}).') from error
