# Licensed under the Apache License, Version 2.0.
import pytest

from mmrefseg.structures import find_text_fault


@pytest.mark.parametrize('text', [
    'the left cup', 'É', '红色的星星', 'النجمة', '\U0001f600',
    '\U0001f469\u200d\U0001f680', '1', '?', 'a\x00b', 'e\u0301', 'x' * 100_000
])
def test_sentences(text):
    assert find_text_fault(text) is None


@pytest.mark.parametrize('text, fault', [
    ('', 'is empty'),
    (' \t\n', 'is empty'),
    ('\x00\x07', 'cannot be seen'),
    ('\u200b\u200d', 'cannot be seen'),
    ('\u0301', 'cannot be seen'),
    ('\ufffd', 'cannot be seen'),
    ('red \ud800 star', 'lone surrogate'),
    ('\udfff', 'lone surrogate'),
])
def test_what_is_none(text, fault):
    assert fault in find_text_fault(text)
