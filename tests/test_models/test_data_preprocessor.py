# Licensed under the Apache License, Version 2.0.
"""Normalised pixels, and images of several sizes that are never padded."""

import pytest
import torch

from mmrefseg.models.data_preprocessor import (RefSegDataPreProcessor,
                                               group_by_shape)

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def _expected(image):
    """BGR in 0..255 to normalised RGB."""
    channels = [(image[2 - i].float() - MEAN[i]) / STD[i] for i in range(3)]
    return torch.stack(channels)


@pytest.mark.parametrize('sizes', [[(64, 64)] * 2, [(64, 64), (65, 97)]])
def test_pixels(sizes, make_batch):
    batch = make_batch(sizes)
    data = RefSegDataPreProcessor(mean=MEAN, std=STD)(batch)
    assert isinstance(data['inputs'], list) == (sizes[0] != sizes[1])
    for got, image in zip(data['inputs'], batch['inputs'], strict=True):
        torch.testing.assert_close(got, _expected(image))
    assert [x.text for x in data['data_samples']
            ] == [x.text for x in batch['data_samples']]


def test_training_batch(make_batch):
    batch = make_batch([(65, 97)] * 2)
    data = RefSegDataPreProcessor(mean=MEAN, std=STD)(batch, training=True)
    assert tuple(data['inputs'].shape) == (2, 3, 65, 97)
    for sample, given in zip(data['data_samples'], batch['data_samples']):
        assert torch.equal(sample.gt_sem_seg.data, given.gt_sem_seg.data)


def test_rgb_and_plain_pixels(make_batch):
    batch = make_batch([(64, 64)])
    data = RefSegDataPreProcessor(bgr_to_rgb=False)(batch)
    assert torch.equal(data['inputs'][0], batch['inputs'][0].float())


def test_group_by_shape():
    images = [torch.full((3, h, w), float(i)) for i, (h, w) in enumerate(
        [(4, 4), (4, 6), (4, 4), (6, 4)])]
    groups = group_by_shape(images, [2, 1, 0, 2])
    found = [(numbers, batch[:, 0, 0, 0].tolist(),
              None if pairs is None else pairs.image.tolist())
             for numbers, batch, pairs in groups]
    # Sentences 0, 2 and 3 speak of images 2, 0 and 2; none of image 3.
    assert found == [([0, 2, 3], [2., 0.], [0, 1, 0]), ([1], [1.], None)]
    (numbers, batch, pairs), = group_by_shape(
        torch.stack([images[0], images[2]]), [1, 0])
    assert numbers == [0, 1] and pairs is None
    assert batch[:, 0, 0, 0].tolist() == [2., 0.]


@pytest.mark.parametrize('training', [False, True])
def test_clips_are_refused(training):
    """With 3 frames, a clip would pass for an image with odd channels."""
    clip = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r'shape \(3, 3, 8, 8\): give one im'):
        RefSegDataPreProcessor(mean=MEAN, std=STD)(
            dict(inputs=[clip], data_samples=[]), training)
