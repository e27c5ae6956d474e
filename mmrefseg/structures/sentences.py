# Licensed under the Apache License, Version 2.0.
"""Which texts are sentences at all, whatever vocabulary reads them."""

import unicodedata


def find_text_fault(text: str) -> str | None:
    """What is wrong with a sentence, if no tokenizer could read it.

    Args:
        text (str): The sentence.

    Returns:
        str or None: A phrase that follows the sentence's name: it is empty,
        nothing in it can be seen (control characters, accents without a
        letter), or it holds a lone surrogate, half of a character that no
        file and no tokenizer can hold. None where it is well.
    """
    if not text.strip():
        return 'is empty'
    if any('\ud800' <= char <= '\udfff' for char in text):
        return ('holds half of a character (a lone surrogate), as a wrong '
                'decoding leaves it')
    if not any(map(_is_seen, text)):
        return 'is empty but for characters that cannot be seen'
    return None


def _is_seen(char: str) -> bool:
    """Whether a tokenizer of BERT keeps a character as one of a word."""
    category = unicodedata.category(char)
    return not (category[0] in 'CZ' or category == 'Mn' or char == '\ufffd')
