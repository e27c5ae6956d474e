# Licensed under the Apache License, Version 2.0.
"""Sentences, their form and the vocabulary that covers them."""

from collections import Counter
from importlib import resources

import numpy as np
import pytest
from transformers import BertTokenizerFast

from mmrefseg.synthetic import (KINDS, Located, Noun, Related, build_scene,
                                vocabulary)
from mmrefseg.synthetic.words import MAX_WORDS, word_form

VOCABULARY = resources.files('mmrefseg').joinpath(
    'models/language_encoders/vocabularies/synthetic.txt')


@pytest.fixture(scope='module')
def sentences():
    """About two thousand sentences, grouped by scene."""
    return [
        sum(build_scene('train', i, size=96, seed=11)[1], [])
        for i in range(250)
    ]


def test_the_packaged_vocabulary_is_the_one_of_the_templates():
    words = VOCABULARY.read_text(encoding='utf-8').split('\n')
    assert words.pop() == ''
    assert words == vocabulary()
    assert len(set(words)) == len(words)
    assert words[:5] == ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']


def test_sentences_have_no_unknown_words_and_strangers_are_unknown(sentences):
    # By position: as a keyword, transformers 5 ignores the file in silence.
    tokenizer = BertTokenizerFast(str(VOCABULARY), do_lower_case=True)
    for sentence in sum(sentences, []):
        tokens = tokenizer.tokenize(sentence.text)
        assert tokens == sentence.text.split()
        assert '[UNK]' not in tokens
    assert tokenizer.tokenize('the Red elephant') == ['the', 'red', '[UNK]']


def test_the_vocabulary_has_nothing_to_spare(sentences):
    """A word that training never shows would be understood at random."""
    said = {w for s in sum(sentences, []) for w in s.text.split()}
    assert set(vocabulary()[5:]) == said


def test_sentences_are_short_and_plain(sentences):
    lengths = []
    for sentence in sum(sentences, []):
        words = sentence.text.split(' ')
        assert ' '.join(words) == sentence.text and '' not in words
        assert sentence.text == sentence.text.lower()
        lengths.append(len(words))
    assert 1 <= min(lengths) <= 2 and 9 <= max(lengths) <= MAX_WORDS


def test_sentences_vary(sentences):
    texts = [s.text for s in sum(sentences, [])]
    # Short ones recur ("leftmost circle"), most are said once.
    assert len(set(texts)) > 0.7 * len(texts)


def test_each_kind_has_its_share_in_every_scene(sentences):
    total = Counter(s.kind for s in sum(sentences, []))
    for kind in KINDS:
        assert total[kind] > 0.28 * sum(total.values())
    for found in sentences:
        counts = [sum(s.kind == kind for s in found) for kind in KINDS]
        assert max(counts) <= max(1, min(counts) + 1)


def test_an_object_has_at_most_one_sentence_of_a_kind():
    for i in range(50):
        for found in build_scene('val', i, size=96, seed=2)[1]:
            kinds = [s.kind for s in found]
            assert len(set(kinds)) == len(kinds)


def wordings(form, count=400):
    rng = np.random.default_rng(0)
    return {word_form(rng, form) for _ in range(count)}


def test_wordings_named_in_the_documentation():
    noun = Noun(colour='red', shape='circle')
    assert {'left red circle', 'the red circle that is on the left'
            } <= wordings(Located(noun, 'left'))
    assert 'leftmost black object' in wordings(
        Located(Noun(colour='black'), 'most left'))
    assert 'square on the right' in wordings(
        Located(Noun(shape='square'), 'right'))
    assert {'small striped star', 'the small star that is striped',
            'small star with stripes'} <= wordings(
                Noun(size='small', pattern='striped', shape='star'))
    assert 'the circle to the left of the blue square' in wordings(
        Related(
            Noun(shape='circle'), 'left',
            Noun(colour='blue', shape='square')))


def test_articles():
    texts = wordings(Noun(colour='orange'))
    assert 'an orange thing' in texts
    assert not any(t.startswith(('a o', 'one', 'a one')) for t in texts)
