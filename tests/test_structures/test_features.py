# Licensed under the Apache License, Version 2.0.
"""Sentence vectors, and rows of images and sentences."""

import math
from dataclasses import replace

import torch

from mmrefseg.structures import ImageFeatures, LanguageFeatures

WORDS = torch.tensor([[[1., 2.], [3., 4.], [math.nan, 9.]],
                      [[5., 6.], [7., 8.], [0., 1.]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


def test_sentence_is_the_mean_of_the_real_words():
    language = LanguageFeatures(words=WORDS, mask=MASK)
    assert language.sentence.tolist() == [[2., 3.], [4., 5.]]


def test_a_given_sentence_stays():
    given = torch.zeros(2, 2)
    language = LanguageFeatures(words=WORDS, mask=MASK, sentence=given)
    assert language.sentence is given
    assert replace(language, words=WORDS + 1).sentence is given


def test_rows():
    language = LanguageFeatures(words=WORDS, mask=MASK)
    assert language.select(None) is language
    chosen = language.select(torch.tensor([1, 1, 0]))
    assert torch.equal(chosen.words[:2], WORDS[[1, 1]])
    assert torch.equal(chosen.mask, MASK[[1, 1, 0]])
    assert torch.equal(chosen.sentence, language.sentence[[1, 1, 0]])
    image = ImageFeatures((torch.rand(3, 4, 2, 2), ), (8, 8))
    assert image.select(None) is image
    chosen = image.select(torch.tensor([2, 0]))
    assert torch.equal(chosen.maps[0], image.maps[0][[2, 0]])
    assert chosen.size == (8, 8)
