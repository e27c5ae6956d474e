# Licensed under the Apache License, Version 2.0.
"""Pasting on a canvas: what is seen of what, and the seam."""

import numpy as np
import pytest

from mmrefseg.derived_refs.composition.canvas import (Canvas, CanvasObject,
                                                      soften)


def box(x0, y0, x1, y1, side=60):
    mask = np.zeros((side, side), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def item(mask, number=1, crowd=False):
    return CanvasObject(number, mask, float(mask.sum()), crowd, number)


def paste(canvas, mask, colour, sigma=0., number=9):
    pixels = np.full((60, 60, 3), colour, np.uint8)
    canvas.paste(pixels, soften(mask, sigma), item(mask.copy(), number))


def canvas_of(*objects):
    return Canvas(np.full((60, 60, 3), 50, np.uint8), list(objects))


def test_what_is_pasted_hides_what_was_there():
    canvas = canvas_of(item(box(10, 10, 40, 40)))
    paste(canvas, box(25, 10, 55, 40), 200)
    below, above = canvas.objects
    assert not (below.mask & above.mask).any()
    assert below.mask.sum() == 15 * 30 and below.seen == 0.5
    assert (canvas.image[above.mask] == 200).all()
    assert (canvas.image[below.mask] == 50).all()


def test_what_would_be_hidden():
    canvas = canvas_of(item(box(10, 10, 40, 40)),
                       item(box(0, 0, 60, 60), crowd=True))
    assert canvas.would_hide(box(25, 10, 60, 40)) == 0.5
    assert canvas.would_hide(box(45, 0, 60, 60)) == 0


@pytest.mark.parametrize('cover, kept, crowd', [(25, True, False),
                                                (33, True, True),
                                                (39, False, None)])
def test_hardly_seen_is_no_target_and_then_gone(cover, kept, crowd):
    canvas = canvas_of(item(box(10, 10, 40, 40)))
    paste(canvas, box(10, 10, cover, 40), 200)
    settled = [x for x in canvas.settled() if x.category_id == 1]
    assert bool(settled) == kept
    if kept:
        assert settled[0].crowd == crowd


def test_edges_are_soft_and_the_mask_ends_in_their_middle():
    mask = box(20, 20, 40, 40)
    canvas = canvas_of()
    paste(canvas, mask, 250, sigma=1.5)
    row = canvas.image[30, :, 0].astype(int)
    assert row[30] == 250 and row[10] == 50
    edge = row[14:26]
    assert (np.diff(edge) >= 0).all() and len(set(edge)) > 4
    # half and half where the mask ends
    assert edge[5] < 150 < edge[6]
    hard = canvas_of()
    paste(hard, mask, 250)
    assert set(hard.image[30, :, 0]) == {50, 250}
