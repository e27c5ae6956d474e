# Licensed under the Apache License, Version 2.0.
"""Annotations of each form give the same layout."""

import numpy as np
import pytest

from mmrefseg.derived_refs import make_layout

BOX = (12, 5, 40, 35)


@pytest.mark.parametrize('form', ['polygon', 'compressed', 'uncompressed'])
def test_each_form_of_mask_gives_the_same(make, form):
    segmentation = make.polygon(*BOX)
    if form != 'polygon':
        segmentation = make.run_lengths(
            *BOX, height=60, width=80, compressed=form == 'compressed')
    annotation = dict(id=1, category_id=1, segmentation=segmentation)
    layout = make_layout(
        dict(id=1, width=80, height=60), [annotation], make.names)
    # pycocotools draws a polygon to within a pixel
    np.testing.assert_allclose(
        layout.box[0] * [80, 60, 80, 60], BOX, atol=1)
    assert layout.area[0] == pytest.approx(28 * 30 / 4800, rel=0.05)
    mask = layout.mask(0)
    assert mask.shape == (60, 80) and mask.dtype == np.uint8
    assert mask[6:34, 13:39].all() and not mask[:, 41:].any()


def test_boxes_and_areas_of_the_file_are_taken(make):
    layout = make.layout(('dog', 10, 20, 30, 60), width=200)
    assert layout.box[0].tolist() == [0.05, 0.2, 0.15, 0.6]
    assert layout.area[0] == 20 * 40 / 20000
    np.testing.assert_allclose(
        layout.square[0], np.array([10, 20, 30, 60]) / 20000**0.5)


def test_crowds_and_small_things_are_no_targets(make):
    layout = make.layout(('dog', 0, 0, 50, 50), ('dog', 60, 60, 65, 65),
                         ('dog', 0, 60, 50, 90, 'crowd'))
    assert layout.target.tolist() == [True, False, False]
    assert layout.crowd.tolist() == [False, False, True]


def test_specks_are_left_out_on_request(make):
    things = ('dog', 0, 0, 50, 50), ('dog', 60, 60, 62, 62)
    assert len(make.layout(*things)) == 2
    assert len(make.layout(*things, ignore_below=0.002)) == 1


def test_a_box_beyond_the_photo_is_cut(make):
    layout = make.layout(('dog', -10, 50, 60, 130))
    assert layout.box[0].tolist() == [0, 0.5, 0.6, 1]


def test_a_photo_without_things(make):
    layout = make.layout()
    assert len(layout) == 0 and layout.box.shape == (0, 4)
