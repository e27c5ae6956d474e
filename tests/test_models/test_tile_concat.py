# Licensed under the Apache License, Version 2.0.
"""Tile-and-concat against its equation, pixel by pixel in float64."""

import pytest
import torch

from mmrefseg.models import TileConcat
from mmrefseg.structures import LanguageFeatures

C, C_L = 6, 5


@pytest.fixture
def case():
    """A module, a map of two images, and sentences of 2 and 4 words."""
    torch.manual_seed(0)
    module = TileConcat(channels=C, language_channels=C_L).double()
    visual = torch.randn(2, C, 3, 4, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    words = torch.randn(2, 4, C_L, dtype=torch.float64)
    return module, visual, LanguageFeatures(words=words, mask=mask)


def test_equation(case):
    module, visual, language = case
    fused, query, _ = module(visual, language)
    assert query is None
    for b in range(2):
        real = [w for w, m in zip(language.words[b], language.mask[b]) if m]
        sentence = sum(real) / len(real)
        for r in range(3):
            for c in range(4):
                both = torch.cat([visual[b, :, r, c], sentence])
                expected = module.out.weight @ both + module.out.bias
                torch.testing.assert_close(
                    fused[b, :, r, c], expected.clamp(min=0), atol=1e-10,
                    rtol=0)


def test_padding_and_order_change_nothing(case):
    module, visual, language = case
    expected = module(visual, language)[0]
    padded = LanguageFeatures(
        words=torch.cat([language.words, torch.full((2, 3, C_L), 50.)], 1),
        mask=torch.cat([language.mask, torch.zeros(2, 3).bool()], 1))
    padded.words[0, 2:] = -7.
    torch.testing.assert_close(module(visual, padded)[0], expected)
    swapped = LanguageFeatures(
        words=language.words.flip(0), mask=language.mask.flip(0))
    torch.testing.assert_close(
        module(visual.flip(0), swapped)[0].flip(0), expected)


def test_a_query_is_refused():
    with pytest.raises(ValueError, match='query_stages=\\(\\)'):
        TileConcat(channels=C, language_channels=C_L, query_channels=4)
