# Licensed under the Apache License, Version 2.0.
"""Masks from logits of one channel and of two, and options of a call."""

import pytest
import torch

from mmrefseg.structures import PredictOptions, binarize, referent_probability

# Background and referent of four pixels; the last is a tie.
TWO = torch.tensor([[[0., 2., -1., 1.]], [[1., 0., -3., 1.]]])
PROBABILITY = torch.tensor([[0.7311, 0.1192, 0.1192, 0.5]])


def test_probability():
    one = (TWO[1] - TWO[0])[None]
    for logits in (TWO, one, TWO.double(), one.bfloat16()):
        torch.testing.assert_close(
            referent_probability(logits).float(),
            PROBABILITY,
            atol=1e-4,
            rtol=0)
    batch = torch.stack([TWO, TWO.flip(0)])
    torch.testing.assert_close(
        referent_probability(batch)[1], 1 - PROBABILITY, atol=1e-4, rtol=0)


@pytest.mark.parametrize('threshold, mask', [
    (None, [1, 0, 0, 0]),
    (0.1, [1, 1, 1, 1]),
    (0.6, [1, 0, 0, 0]),
    (0.9, [0, 0, 0, 0]),
])
def test_masks(threshold, mask):
    one = (TWO[1] - TWO[0])[None]
    for logits in (TWO, one):
        found = binarize(logits, threshold)
        assert found.dtype == torch.bool and found[0].int().tolist() == mask


def test_options_of_a_config():
    assert PredictOptions.from_cfg(None) == PredictOptions()
    options = PredictOptions.from_cfg(
        dict(mode='whole', output_size='input', return_prior=True))
    assert options == PredictOptions(output_size='input', return_prior=True)
    with pytest.raises(ValueError, match="'original' or 'input', not 'half'"):
        PredictOptions(output_size='half')
