# Licensed under the Apache License, Version 2.0.
import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmrefseg.fileio.masks import mask_iou, rasterize


def _random_mask(seed, height, width):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 3)
    return (noise > 0).astype(np.uint8)


def _counts(mask):
    flat = mask.T.reshape(-1)
    counts, value, run = [], 0, 0
    for pixel in flat:
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return [*counts, run]


def _check_inside_and_outside(mask, polygons, margin=1.0):
    """Every pixel further than ``margin`` from all edges is right."""
    height, width = mask.shape
    checked = 0
    for y in range(height):
        for x in range(width):
            distances = [
                cv2.pointPolygonTest(
                    np.float32(p).reshape(-1, 1, 2), (x + 0.5, y + 0.5), True)
                for p in polygons
            ]
            if min(abs(d) for d in distances) > margin:
                assert mask[y, x] == any(d > 0 for d in distances), (x, y)
                checked += 1
    assert checked > mask.size / 2


def test_overlapping_polygons_are_united():
    first = [10, 10, 40, 10, 40, 30, 10, 30]
    second = [30, 20, 60, 20, 60, 50, 30, 50]
    mask = rasterize([first, second], 64, 96)
    assert mask.dtype == np.uint8 and mask.shape == (64, 96)
    assert mask[25, 35] == 1  # in both
    assert mask.sum() == 30 * 20 + 30 * 30 - 10 * 10
    _check_inside_and_outside(mask, [first, second])


@pytest.mark.parametrize('seed', range(4))
def test_polygons_reaching_over_the_edges_are_clipped(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radii = rng.uniform(25, 60, 9)
    centre = rng.uniform(-5, 45, 2)
    points = centre + np.stack(
        [np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    mask = rasterize([points.reshape(-1).tolist()], 40, 48)
    _check_inside_and_outside(mask, [points])


def test_same_pixels_as_pycocotools():
    polygon = [3.3, 4.7, 30.2, 8.1, 25.5, 33.9, 7.6, 28.4]
    encoded = coco_mask.frPyObjects([polygon], 40, 40)
    expected = coco_mask.decode(encoded)[..., 0]
    assert (rasterize([polygon], 40, 40) == expected).all()
    assert (rasterize([np.array(polygon)], 40, 40) == expected).all()


def test_slivers_have_no_area_and_do_not_count_as_boxes():
    square = [5, 5, 15, 5, 15, 15, 5, 15]
    alone = rasterize([square], 30, 30)
    assert (rasterize([[0, 0, 29, 29], square], 30, 30) == alone).all()
    assert (rasterize([square, [0, 0, 29, 29]], 30, 30) == alone).all()
    assert not rasterize([[0, 0, 29, 29]], 30, 30).any()


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('size', [(1, 1), (7, 5), (60, 43)])
def test_run_lengths(seed, size):
    mask = _random_mask(seed, *size)
    encoded = coco_mask.encode(np.asfortranarray(mask))
    as_text = dict(encoded, counts=encoded['counts'].decode())
    plain = dict(size=list(size), counts=_counts(mask))
    for rle in (encoded, as_text, plain, [as_text]):
        drawn = rasterize(rle, *size)
        assert drawn.dtype == np.uint8
        assert (drawn == mask).all()


def test_run_lengths_longer_than_five_bits_and_full_masks():
    for fill in (0, 1):
        mask = np.full((300, 400), fill, np.uint8)
        mask[5:200, 7] ^= 1
        rle = coco_mask.encode(np.asfortranarray(mask))
        assert (rasterize(rle, 300, 400) == mask).all()


def test_parts_of_several_kinds_are_united():
    mask = np.zeros((20, 20), np.uint8)
    mask[:5, :5] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    both = rasterize([rle, rle, [3, 3, 13, 3, 13, 13, 3, 13]], 20, 20)
    assert both.sum() == 25 + 100 - 4


def test_iou_of_two_masks():
    one, other = np.zeros((2, 4, 5), bool)
    assert mask_iou(one, other) == 0
    one[1:3, 1:3] = other[1:3, 2:4] = True
    assert mask_iou(one, other) == mask_iou(other, one) == 2 / 6


GOOD = [0, 0, 5, 0, 5, 5]


@pytest.mark.parametrize('segmentation, reason', [
    ([], 'empty'),
    (None, 'empty'),
    ([GOOD[:-1]], 'flat list'),
    ([[[0, 0], [5, 0], [5, 5]]], 'flat list'),
    (GOOD, 'flat list'),
    ([['a'] * 6], 'flat list'),
    ([[0.1, 0.1, 0.5, 0.1, 0.5, 1]], 'between 0 and 1: give pixels'),
    ([[0, 1] * 5] * 10, 'table of 10 x 10 numbers'),
    ([[0, 0, 5, 0, float('nan'), 5]], 'not finite'),
    ([[0, 0, 5, 0, float('inf'), 5]], 'not finite'),
    ([[0, 0, 5, 0, 1e12, 5]], 'beyond 1000000'),
    (dict(counts=[100]), '"size" and "counts"'),
    (dict(size=[10, 10]), '"size" and "counts"'),
    (dict(size=10, counts=[100]), '"size" and "counts"'),
    (dict(size=[10, 11], counts=[110]), '10 x 11'),
    (dict(size=[10, 10], counts=[50, 49]), 'do not add up'),
    (dict(size=[10, 10], counts=[-50, 150]), 'do not add up'),
    (dict(size=[10, 10], counts=[]), 'do not add up'),
    (dict(size=[10, 10], counts=[10**30]), 'do not add up'),
    (dict(size=[10, 10], counts='garbage'), 'run length'),
    (dict(size=[10, 10], counts='\u1234'), 'run length'),
    (dict(size=[10, 10], counts=b'o'), 'damaged'),
])
def test_malformed(segmentation, reason):
    with pytest.raises(ValueError, match=reason):
        rasterize(segmentation, 10, 10)


def test_masks_of_a_size_that_cannot_be_meant():
    with pytest.raises(ValueError, match='2000000000 x 2000000000'):
        rasterize([[0, 0, 9, 0, 9, 9]], 2 * 10**9, 2 * 10**9)
