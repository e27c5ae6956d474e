# Licensed under the Apache License, Version 2.0.
"""Overlays: what is drawn where, and the edge cases of images and texts."""

import numpy as np
import pytest
from PIL import Image

from mmrefseg.visualization import (draw_heat_map, draw_panels,
                                    draw_referring_overlay)
from mmrefseg.visualization.overlay import (PREDICTION_COLOR, TRUTH_COLOR,
                                            drawing_size, resize_mask)
from mmrefseg.visualization.panels import draw_color_bar
from mmrefseg.visualization.text import (clean_text, draw_line, text_width,
                                         wrap_text)


def grey(height=460, width=600):
    return np.full((height, width, 3), 128, np.uint8)


def block(height=460, width=600):
    mask = np.zeros((height, width), bool)
    mask[100:300, 150:400] = True
    return mask


def share_of(picture, color):
    return (np.abs(picture.astype(int) - color).max(-1) < 40).mean()


def test_banner_hides_nothing():
    image = np.random.default_rng(0).integers(
        0, 255, (460, 600, 3)).astype(np.uint8)
    out = draw_referring_overlay(image, None, 'left man')
    assert out.dtype == np.uint8 and out.shape[1:] == (600, 3)
    assert out.shape[0] > 460
    assert (out[-460:] == image).all()
    assert (draw_referring_overlay(image) == image).all()


def test_mask_is_tinted_outlined_and_the_rest_dimmed():
    image, mask = grey(), block()
    out = draw_referring_overlay(image, mask)
    inside, outside = out[200, 270].astype(int), out[20, 20].astype(int)
    assert inside[0] > inside[1] + 30 and inside[0] > 128
    assert (outside == outside[0]).all() and outside[0] < 128
    assert np.abs(out[200, 150].astype(int) - PREDICTION_COLOR).max() < 30
    assert (image == 128).all()


def test_truth_is_an_outline_of_another_colour():
    image, mask = grey(), block()
    out = draw_referring_overlay(image, None, None, mask)
    assert (out[200, 270] == 128).all()
    assert share_of(out, TRUTH_COLOR) > 0.002
    assert share_of(out, PREDICTION_COLOR) == 0


@pytest.mark.parametrize('shape', [(1, 1), (8, 300), (64, 64), (160, 160),
                                   (2000, 3000)])
@pytest.mark.parametrize('kind', ['empty', 'one', 'full'])
def test_sizes_and_extreme_masks(shape, kind):
    image = np.full((*shape, 3), 90, np.uint8)
    mask = np.full(shape, kind == 'full')
    if kind == 'one':
        mask[shape[0] // 2, shape[1] // 2] = True
    out = draw_referring_overlay(image, mask, 'a sentence', mask)
    assert out.dtype == np.uint8 and out.ndim == 3
    assert max(out.shape) <= 1600 + 200
    if max(shape) <= 3 * min(shape):
        assert min(out.shape[:2]) >= 448


def test_one_pixel_survives_reduction():
    mask = np.zeros((3000, 3000), bool)
    mask[1500, 1500] = True
    assert resize_mask(mask, (300, 300)).any()
    assert not resize_mask(mask * 0, (300, 300)).any()


def test_drawing_size():
    assert drawing_size(160, 160) == (448, 448)
    assert drawing_size(480, 640) == (480, 640)
    assert drawing_size(3000, 4000) == (1200, 1600)
    assert drawing_size(3000, 4000, max_side=None) == (3000, 4000)
    assert drawing_size(10, 1000) == (16, 1600)


def test_masks_of_other_sizes_are_stretched():
    out = draw_referring_overlay(grey(), np.ones((1, 7, 9), int), 'x',
                                 np.ones((5, 5), bool))
    assert out.shape[1] == 600


def test_grey_image_and_wrong_input():
    assert draw_referring_overlay(np.zeros((450, 450), np.uint8),
                                  None).shape == (450, 450, 3)
    with pytest.raises(ValueError, match='uint8'):
        draw_referring_overlay(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match='HxW'):
        draw_referring_overlay(grey(), np.zeros((2, 4, 4)))


TEXTS = [
    '', ' ', 'left man', 'naïve café Ωμέγα Ёлка', '左边的红色圆圈',
    '👩‍🚀 the 😀 one', 'tab\tand\nnew line\x00', 'w' * 500,
    'many words ' * 60
]


@pytest.mark.parametrize('text', TEXTS)
def test_any_text_can_be_drawn(text):
    out = draw_referring_overlay(grey(), block(), text)
    assert out.shape[1] == 600 and out.shape[0] < 460 + 200


@pytest.mark.parametrize('text', TEXTS)
@pytest.mark.parametrize('width', [60, 300])
def test_wrapped_lines_fit(text, width):
    lines = wrap_text(text, width, 18, max_lines=3)
    assert 1 <= len(lines) <= 3
    assert all(text_width(line, 18) <= width for line in lines)


def test_wrapping_keeps_short_texts_and_marks_cut_ones():
    text = 'the man left of the woman'
    assert ' '.join(wrap_text(text, 120, 18, max_lines=9)) == text
    assert wrap_text(text, 120, 18, max_lines=1)[0].endswith('…')
    assert ''.join(wrap_text('w' * 50, 100, 18, max_lines=99)) == 'w' * 50


def test_clean_text():
    assert clean_text(' a\n b\t\u200dc\ufe0f ') == 'a b c'
    assert clean_text('e\u0301') == 'é'


def test_accents_are_drawn_not_replaced():
    def ink(text):
        canvas = Image.new('RGB', (60, 40))
        draw_line(canvas, (5, 20), text, 20, (255, 255, 255))
        return np.asarray(canvas)

    assert (ink('é') != ink('e')).any()
    assert (ink('é') != ink('?')).any()
    assert (ink('ж') != ink('я')).any()


def test_heat_map():
    image = grey(40, 60)
    heat = np.zeros((10, 15))
    heat[:, 10:] = 1.
    out = draw_heat_map(image, heat).astype(int)
    assert out.shape == (40, 60, 3)
    assert out[20, 55, 0] > out[20, 55, 2] + 60
    assert out[20, 5, 0] < out[20, 55, 0]
    # the scale is fixed: half of the range looks unlike the whole of it
    half = draw_heat_map(image, heat / 2).astype(int)
    assert np.abs(half - out)[20, 55].max() > 20
    own = draw_heat_map(image, heat / 2, vmax=None).astype(int)
    assert np.abs(own - out).max() <= 1
    # nothing breaks on nothing
    draw_heat_map(image, np.zeros((2, 2)), vmax=None)
    draw_heat_map(image, np.full((1, 2, 2), np.nan))


def test_panels():
    pictures = [(f'word {k}', grey(100 + 10 * k, 200)) for k in range(5)]
    out = draw_panels(pictures, columns=3, panel_width=100, gap=4)
    assert out.shape[1] == 3 * 100 + 2 * 4
    assert draw_panels(pictures[:1]).shape[1] == 320
    with pytest.raises(ValueError, match='at least one'):
        draw_panels([])


def test_color_bar():
    bar = draw_color_bar(300, 'mask prior', height=60)
    assert bar.shape == (60, 300, 3)
    assert len(np.unique(bar.reshape(-1, 3), axis=0)) > 50
