# Licensed under the Apache License, Version 2.0.
"""Parts of a split: their names, and what counts where."""

import numpy as np
import pytest

from mmrefseg.evaluation.breakdowns import Breakdown, bin_name, size_bin


def test_bins_of_words():
    assert [bin_name(n, (1, 3, 6)) for n in (0, 1, 2, 3, 5, 6, 40)
            ] == ['0', '1-2', '1-2', '3-5', '3-5', '6-up', '6-up']
    assert bin_name(3, (1, 3, 4)) == '3'


def test_bins_of_sizes():
    """Borders belong to the upper bin, and are exact."""
    starts = (0, 1, 5, 20)
    assert [size_bin(n, 1000, starts) for n in (0, 1, 9, 10, 49, 50, 199, 200)
            ] == [
                'none', '0-1', '0-1', '1-5', '1-5', '5-20', '5-20', '20-up'
            ]
    # 7 % of 300 is 21; 0.07 * 300 is more in floats
    assert 0.07 * 300 > 21 and size_bin(21, 300, (0, 7)) == '7-up'
    assert size_bin(5, 5, (0, )) == '0-up'


@pytest.mark.parametrize('bins, message', [
    (dict(length_bins=(3, 1)), 'length_bins.*must ascend'),
    (dict(size_bins=(0, 5, 5)), 'size_bins.*must ascend'),
    (dict(size_bins=(1, 5)), 'size_bins.*must begin with 0'),
])
def test_bins_that_are_refused(bins, message):
    with pytest.raises(ValueError, match=message):
        Breakdown((), **bins)


def test_metric_by_size_length_and_field(make_sample, evaluate):
    samples = []
    for number, (truth, hit) in enumerate(
            ((1, 1), (3, 0), (10, 10), (60, 30))):
        gt, pred = np.zeros((2, 100), int)
        gt[:truth], pred[:hit] = 1, 1
        samples.append(
            make_sample(
                pred.reshape(10, 10),
                gt.reshape(10, 10),
                text='a word ' * (number + 1),
                split='test' + 'AB' [number % 2]))
    metrics = evaluate(
        samples, breakdown=('size', 'length', 'split'), length_bins=(1, 5))
    got = {key: metrics[key] for key in metrics if key.endswith('mIoU')}
    assert got == {
        'mIoU': 62.5,
        'size/1-5/mIoU': 50.,
        'size/5-20/mIoU': 100.,
        'size/20-up/mIoU': 50.,
        'length/1-4/mIoU': 50.,
        'length/5-up/mIoU': 75.,
        'split/testA/mIoU': 100.,
        'split/testB/mIoU': 25.,
    }
    assert 'size/1-5/P0.5' in metrics and 'size/1-5/P0.6' not in metrics


def test_size_is_the_share_where_masks_are_compared(make_sample, evaluate):
    """Half of an image is half of it at any size."""
    gt = np.zeros((20, 40), int)
    gt[:, :20] = 1
    sample = make_sample(
        np.ones((8, 8)), gt, ori_shape=(20, 40), img_shape=(8, 8))
    metrics = evaluate([sample], convention='lavt', breakdown=('size', ),
                       size_bins=(0, 50, 51))
    assert 'size/50-51/oIoU' in metrics


def test_length_needs_the_sentence(make_sample, evaluate):
    sample = make_sample([[1]], [[1]])
    del sample.text
    with pytest.raises(KeyError, match='no text: add it to meta_keys'):
        evaluate([sample], breakdown='length')
