# Licensed under the Apache License, Version 2.0.
"""Which pixels of a mask file are the object: said, or plain, or refused."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mmrefseg.fileio.mask_images import check_choice, choose_pixels, read_mask

VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]


def _random_mask(seed, height, width):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 3)
    return (noise > 0).astype(np.uint8)


def _bytes(image, kind='PNG', **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, kind, **kwargs)
    return buffer.getvalue()


def _indexed(indices, palette):
    image = Image.frombytes('P', indices.shape[::-1], indices.tobytes())
    image.putpalette(palette)
    return image


@pytest.mark.parametrize('mode', ['L', '1', 'I;16', 'RGB', 'RGBA', 'LA', 'P'])
def test_mask_files_of_every_mode(mode):
    mask = _random_mask(0, 20, 30)
    if mode == 'I;16':
        image = Image.fromarray(mask.astype(np.uint16) * 256)
    elif mode == 'P':
        # Index 0 is white here: what counts is the colour.
        image = _indexed(1 - mask, [255, 255, 255, 0, 0, 0])
    else:
        image = Image.fromarray(mask * 255).convert(mode)
    read = read_mask(_bytes(image))
    assert read.dtype == np.uint8
    assert (read == mask).all()


@pytest.mark.parametrize('kind', ['PNG', 'BMP', 'GIF', 'TIFF'])
@pytest.mark.parametrize('fill', ['some', 'all', 'none'])
def test_palettes_count_by_colour(kind, fill):
    mask = _random_mask(2, 20, 30)
    if fill != 'some':
        mask[:] = fill == 'all'
    grey = Image.fromarray(mask * 255)
    for image in (grey.quantize(2),
                  grey.convert('P', palette=Image.ADAPTIVE, colors=2),
                  # as VOC has them: index 0 is black
                  _indexed(mask * 2, [0, 0, 0, 128, 0, 0, 0, 128, 0])):
        assert (read_mask(_bytes(image, kind)) == mask).all()


def test_an_index_without_a_colour_counts_itself():
    mask = _random_mask(3, 20, 30)
    assert (read_mask(_bytes(_indexed(mask, [0, 0, 0]))) == mask).all()
    assert (read_mask(_bytes(_indexed(mask * 255, [0, 0, 0, 9, 9, 9]))) ==
            mask).all()


def test_palettes_that_do_not_tell():
    mask = _random_mask(4, 20, 30)
    with pytest.raises(ValueError, match='^has a palette without black'):
        read_mask(_bytes(_indexed(mask, [68, 1, 84, 253, 231, 37])))
    with pytest.raises(ValueError, match='^has a palette of which all'):
        read_mask(_bytes(_indexed(mask, [0, 0, 0, 0, 0, 0])))
    # Two objects and no outside, in VOC's colours.
    voc = _bytes(_indexed(mask + 1, VOC))
    with pytest.raises(ValueError, match='has 2 values.*#008000, #800000'):
        read_mask(voc)
    assert (read_mask(voc, value=2) == mask).all()


def test_mask_value_1_counts():
    mask = _random_mask(1, 20, 30)
    assert (read_mask(_bytes(Image.fromarray(mask))) == mask).all()


def test_mask_files_that_cannot_be_used():
    image = Image.fromarray(_random_mask(0, 200, 300) * 255)
    with pytest.raises(ValueError, match='JPEG'):
        read_mask(_bytes(image, 'JPEG'))
    for content, reason in ((b'', 'is empty'), (b'no image', 'cannot be read'),
                            (_bytes(image)[:-60], 'cut off')):
        with pytest.raises(ValueError, match=reason):
            read_mask(content)


# Two objects side by side, in a mask of 20 x 30.
TWO = np.zeros((20, 30), np.uint8)
TWO[4:12, 2:12] = 1
TWO[4:12, 15:28] = 2
FIRST, SECOND = TWO == 1, TWO == 2
RGB = np.zeros((20, 30, 3), np.uint8)
RGB[FIRST], RGB[SECOND] = (128, 0, 0), (0, 128, 0)


def _opencv(pixels):
    return cv2.imencode('.png', pixels)[1].tobytes()


def _soft():
    image = Image.fromarray(FIRST.astype(np.uint8) * 255)
    return image.resize((60, 40), 2).resize((30, 20), 2)


SEVERAL = {
    'ids': (_bytes(Image.fromarray(TWO)), '2 values besides 0 .1, 2.'),
    'no background': (_bytes(Image.fromarray(TWO + 1)), '3 values.*1, 2, 3'),
    'ignore': (_bytes(Image.fromarray(FIRST + SECOND * np.uint8(255))),
               '1, 255'),
    'palette': (_bytes(_indexed(TWO, VOC)), '#008000, #800000'),
    'colours': (_bytes(Image.fromarray(RGB)), '#008000, #800000'),
    'opaque colours': (_bytes(Image.fromarray(RGB).convert('RGBA')),
                       '#008000, #800000'),
    'soft': (_bytes(_soft()), 'values besides 0.*mask_threshold'),
    'soft palette': (_bytes(_soft().quantize(16)), 'values besides 0'),
    '16 bits': (_bytes(Image.fromarray(TWO.astype(np.uint16) * 300)),
                '300, 600'),
    # Pillow reads 8 of the 16 bits, of which these have none
    '16-bit colours': (_opencv(RGB[..., ::-1].astype(np.uint16)),
                       '#000000800000, #008000000000'),
    'float': (_bytes(Image.fromarray(np.float32(TWO / 4)), 'TIFF'),
              '0.25, 0.5'),
    '32 bits': (_bytes(Image.fromarray(TWO.astype(np.int32) - 1), 'TIFF'),
                '-1, 1'),
}


@pytest.mark.parametrize('content, values', SEVERAL.values(), ids=SEVERAL)
def test_several_values_are_refused_and_named(content, values):
    with pytest.raises(ValueError, match=values) as error:
        read_mask(content)
    assert 'mask_value' in str(error.value)


@pytest.mark.parametrize('name, value, expected', [
    ('ids', 1, FIRST),
    ('ids', 2, SECOND),
    ('no background', 1, TWO == 0),
    ('ignore', 1, FIRST),
    ('palette', 1, FIRST),
    ('palette', 2, SECOND),
    ('palette', '#800000', FIRST),
    ('colours', '#008000', SECOND),
    ('opaque colours', '#008000', SECOND),
    ('16 bits', 600, SECOND),
    ('16-bit colours', '#000000800000', SECOND),
    ('32 bits', 1, SECOND),
])
def test_a_value_says_which(name, value, expected):
    got = read_mask(SEVERAL[name][0], value=value)
    assert got.dtype == np.uint8 and (got == expected).all()


def test_transparency_of_16_bits():
    deep = np.dstack([RGB * np.uint16(257), np.uint16(FIRST * 65535)])
    with pytest.raises(ValueError, match='transparent in places'):
        read_mask(_opencv(deep))
    deep[..., 3] = 65535
    with pytest.raises(ValueError, match='#000080800000|#808000000000'):
        read_mask(_opencv(deep))
    deep[SECOND] = 0, 0, 0, 65535
    assert (read_mask(_opencv(deep)) == FIRST).all()


def test_a_threshold_says_from_where_on():
    for image, threshold in ((_soft(), 127), (_soft().quantize(200), 127),
                             (_soft().convert('RGB'), 127)):
        got = read_mask(_bytes(image), threshold=threshold)
        assert (got == FIRST).all()
    got = read_mask(SEVERAL['float'][0], threshold=0.3)
    assert (got == SECOND).all()
    jpeg = _bytes(Image.fromarray(FIRST.astype(np.uint8) * 255), 'JPEG')
    assert (read_mask(jpeg, threshold=127) == FIRST).all()
    with pytest.raises(ValueError, match='up to 255.*but is 0.5.*127'):
        read_mask(_bytes(_soft()), threshold=0.5)
    with pytest.raises(ValueError, match='has colours.*mask_value="#rrggbb"'):
        read_mask(SEVERAL['colours'][0], threshold=127)


def test_a_value_of_another_kind_than_the_file():
    with pytest.raises(ValueError, match='has colours'):
        read_mask(SEVERAL['colours'][0], value=1)
    with pytest.raises(ValueError, match='is grey: .*number'):
        read_mask(SEVERAL['ids'][0], value='#ff0000')
    for value, threshold, reason in ((1, 1, 'not both'), (True, None, 'True'),
                                     (1.5, None, '1.5'), ('red', None, 'red'),
                                     (None, 'half', 'half'),
                                     (None, float('nan'), 'nan')):
        with pytest.raises(ValueError, match=reason):
            check_choice(value, threshold)


@pytest.mark.parametrize('value', [1, 7, 255])
def test_one_value_everywhere_is_the_whole_image(value):
    image = Image.fromarray(np.full((4, 5), value, np.uint8))
    assert read_mask(_bytes(image)).all()
    assert read_mask(_bytes(image.convert('RGB'))).all()


def test_unused_colours_of_a_palette_do_not_count():
    palette = VOC + [9, 9, 9] * 200
    assert (read_mask(_bytes(_indexed(TWO % 2, palette))) == FIRST).all()


def test_the_black_of_inks_is_outside():
    """In CMYK 0 is white: black is the value of all that is outside."""
    grey = Image.fromarray(FIRST.astype(np.uint8) * 255)
    image = grey.convert('RGB').convert('CMYK')
    assert (read_mask(_bytes(image, 'TIFF')) == FIRST).all()


def test_several_pictures_in_one_file():
    image = Image.fromarray(FIRST.astype(np.uint8) * 255)
    content = _bytes(image, 'TIFF', save_all=True, append_images=[image])
    with pytest.raises(ValueError, match='holds 2 pictures'):
        read_mask(content)


@pytest.mark.parametrize('array, reason', [
    (np.full((4, 5), np.nan), 'not finite'),
    (np.linspace(0, 1, 20).reshape(4, 5), 'has 19 values besides 0'),
    (np.full((4, 5), -3.), 'the value -3.0 beside 0'),
    (np.zeros((4, 5, 3)), 'shape .4, 5, 3.'),
    (np.zeros((4, 5), object), 'type object'),
])
def test_arrays_that_are_no_masks(array, reason):
    with pytest.raises(ValueError, match=reason):
        choose_pixels(array)


def test_arrays():
    for array in (FIRST, FIRST * 1, FIRST * 1., FIRST * 255):
        got = choose_pixels(array)
        assert got.dtype == np.uint8 and (got == FIRST).all()
    assert (choose_pixels(TWO / 2., threshold=0.5) == SECOND).all()
