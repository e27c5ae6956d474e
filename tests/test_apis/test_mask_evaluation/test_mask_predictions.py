# Licensed under the Apache License, Version 2.0.
"""Masks of other programs: what is understood, and what is refused."""

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmrefseg.apis.mask_evaluation.mask_predictions import open_predictions
from mmrefseg.fileio.mask_images import read_mask

MASK = np.zeros((6, 9), np.uint8)
MASK[2:5, 3:8] = 1
MASK[0, 0] = 1
ITEMS = [
    dict(ref_id=4, sent_id=7, image_id=2, img_path='pictures/two.jpg'),
    dict(ref_id=4, sent_id=8, image_id=2, img_path='pictures/two.jpg'),
    dict(ref_id=5, sent_id=9, image_id=3, img_path='pictures/three.jpg'),
]


def by_pillow(image, format='PNG', **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, format, **kwargs)
    return buffer.getvalue()


def by_opencv(array, ending='.png'):
    return cv2.imencode(ending, array)[1].tobytes()


def palette(mask, *colours):
    image = Image.fromarray(mask).convert('P')
    image.putpalette([x for colour in colours for x in colour])
    return image


BLACK, WHITE, MAROON = (0, 0, 0), (255, 255, 255), (128, 0, 0)


rgb = np.repeat(MASK[..., None], 3, axis=2)
WRITERS = {
    'Pillow, 8 bit': lambda: by_pillow(Image.fromarray(MASK * 255)),
    'Pillow, ones': lambda: by_pillow(Image.fromarray(MASK)),
    'Pillow, 1 bit': lambda: by_pillow(Image.fromarray(MASK * 255).convert(
        '1')),
    'Pillow, palette': lambda: by_pillow(palette(MASK, BLACK, (10, 20, 30))),
    'Pillow, VOC': lambda: by_pillow(
        palette(MASK * 2, BLACK, MAROON, (0, 128, 0), (128, 128, 0))),
    'Pillow, white first': lambda: by_pillow(palette(1 - MASK, WHITE, BLACK)),
    'Pillow, white twice': lambda: by_pillow(
        palette(MASK + MASK * (np.arange(9, dtype=np.uint8) % 2), BLACK, WHITE,
                WHITE)),
    'Pillow, palette too short': lambda: by_pillow(palette(MASK, BLACK)),
    'Pillow, quantized': lambda: by_pillow(
        Image.fromarray(MASK * 255).quantize(2)),
    'Pillow, quantized colours': lambda: by_pillow(
        Image.fromarray(rgb * 255).quantize(2)),
    'Pillow, adaptive': lambda: by_pillow(
        Image.fromarray(rgb * 255).convert('P', palette=Image.ADAPTIVE)),
    'Pillow, palette, all opaque': lambda: by_pillow(
        palette(MASK, BLACK, MAROON), transparency=bytes([255, 255])),
    'Pillow, palette, unused colour transparent': lambda: by_pillow(
        palette(MASK, BLACK, MAROON, WHITE), transparency=2),
    'Pillow, colour': lambda: by_pillow(
        Image.fromarray(rgb * np.uint8([255, 0, 30]))),
    'Pillow, opaque': lambda: by_pillow(
        Image.fromarray(rgb * 255).convert('RGBA')),
    'Pillow, TIFF': lambda: by_pillow(Image.fromarray(MASK * 9), 'TIFF'),
    'OpenCV, 8 bit': lambda: by_opencv(MASK * 255),
    'OpenCV, 16 bit': lambda: by_opencv(MASK.astype(np.uint16) * 65535),
    'OpenCV, colour': lambda: by_opencv(rgb * 255),
    'OpenCV, BMP': lambda: by_opencv(MASK * 255, '.bmp'),
}


@pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS)
def test_images_of_other_programs(write):
    got = read_mask(write())
    assert got.dtype == np.uint8 and (got == MASK).all()


@pytest.mark.parametrize('value', [0, 255])
def test_empty_and_full_images(value):
    got = read_mask(by_opencv(np.full((4, 5), value, np.uint8)))
    assert got.shape == (4, 5) and (got == bool(value)).all()


def test_one_bit_of_many_pixels():
    """NumPy compares Pillow's bits wrongly where they are many."""
    for side in range(30, 60):
        mask = np.zeros((side, 61), np.uint8)
        mask[3:, 5:] = 1
        image = Image.fromarray(mask * 255).convert('1')
        assert (read_mask(by_pillow(image)) == mask).all()


@pytest.mark.parametrize('white', [0, 1])
def test_palettes_of_empty_and_full_images(white):
    colours = (WHITE, BLACK) if white == 0 else (BLACK, WHITE)
    for value in (0, 1):
        image = palette(np.full((4, 5), value, np.uint8), *colours)
        got = read_mask(by_pillow(image))
        assert got.shape == (4, 5) and (got == (value == white)).all()


def half_transparent():
    image = Image.fromarray(rgb * 0).convert('RGBA')
    image.putalpha(Image.fromarray(MASK * 255))
    return by_pillow(image)


@pytest.mark.parametrize('content, message', [
    (lambda: b'', 'is empty'),
    (lambda: by_pillow(Image.fromarray(MASK))[:-20], 'is cut off'),
    (lambda: b'no image', 'cannot be read'),
    (lambda: by_pillow(Image.fromarray(MASK * 255), 'JPEG'), 'is a JPEG'),
    (half_transparent, 'transparent in places'),
    (lambda: by_pillow(palette(MASK, BLACK, WHITE), transparency=0),
     'transparent in places'),
    (lambda: by_pillow(
        palette(MASK, BLACK, WHITE), transparency=bytes([255, 90])),
     'transparent in places'),
    (lambda: by_pillow(Image.fromarray(MASK * 255), transparency=0),
     'transparent in places'),
    (lambda: by_pillow(palette(MASK, WHITE, MAROON)),
     'has a palette without black'),
    (lambda: by_pillow(palette(MASK, BLACK, BLACK)), 'which all is black'),
    (lambda: by_pillow(
        palette(np.arange(54, dtype=np.uint8).reshape(6, 9) % 3, BLACK, WHITE,
                MAROON)), 'has 2 values besides 0'),
    (lambda: by_opencv(np.arange(54, dtype=np.uint8).reshape(6, 9)),
     'has 53 values besides 0'),
    (lambda: by_opencv(MASK + 1), 'has 2 values besides 0'),
    (lambda: by_opencv(rgb * np.arange(9, dtype=np.uint8)[:, None]),
     'values besides 0'),
])
def test_images_that_are_no_masks(content, message):
    with pytest.raises(ValueError, match=message):
        read_mask(content())


@pytest.mark.parametrize('scheme, given', [
    ('{sent_id}.png', None),
    ('{ref_id}_{sent_id}.png', None),
    ('{image}/{sent_id:05d}.png', '{image}/{sent_id:05d}.png'),
])
def test_folders(tmp_path, scheme, given):
    for item, image in zip(ITEMS, ('two', 'two', 'three')):
        path = tmp_path / scheme.format(**item, image=image)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(by_opencv(MASK * 255))
    (tmp_path / 'README.txt').write_text('not a mask')
    found = open_predictions(str(tmp_path), ITEMS, given)
    assert not found.missing and not found.surplus
    assert (found.load(2, (6, 9)).mask == MASK).all()
    with pytest.raises(ValueError, match=r'6 x 9.*but must be 9 x 6'):
        found.load(0, (9, 6))
    path.rename(path.with_name('77.png'))
    found = open_predictions(str(tmp_path), ITEMS, given)
    assert found.missing == [2] and len(found.surplus) == 1
    assert found.surplus[0].endswith('77.png')


def test_folders_that_do_not_fit(tmp_path):
    (tmp_path / 'a.png').write_bytes(by_opencv(MASK))
    with pytest.raises(ValueError, match=r'there is a\.png, looked for was'
                       r'.* 7\.png or 4_7\.png'):
        open_predictions(str(tmp_path), ITEMS)
    with pytest.raises(ValueError, match='does not fit.*they have image_id'):
        open_predictions(str(tmp_path), ITEMS, '{sentence}.png')
    for scheme in ('{text.foo}.png', '{sent_id[0]}.png', '{}.png', '{0}.png',
                   '{sent_id', '{image:d}.png'):
        with pytest.raises(ValueError, match='does not fit.*they have '
                           'image_id.*such as.*ref_id}_{sent_id'):
            open_predictions(
                str(tmp_path), [dict(x, text='a cup') for x in ITEMS], scheme)
    (tmp_path / '2.png').write_bytes(by_opencv(MASK))
    with pytest.raises(ValueError, match='2.png to more than one sentence'):
        open_predictions(str(tmp_path), ITEMS, '{image_id}.png')


def test_a_field_called_image(tmp_path):
    """JSON lines have one; in a name, image is the picture's."""
    (tmp_path / 'two_7.png').write_bytes(by_opencv(MASK))
    found = open_predictions(
        str(tmp_path), [dict(ITEMS[0], image='pictures/two.jpg')],
        '{image}_{sent_id}.png')
    assert not found.missing


def test_a_name_is_for_folders(tmp_path):
    path = write_records(tmp_path, [dict(sent_id=7)], False)
    with pytest.raises(ValueError, match='--name.*masks.json is a file'):
        open_predictions(path, ITEMS, '{sent_id}.png')


def compressed(mask):
    rle = coco_mask.encode(np.asfortranarray(mask))
    return dict(size=rle['size'], counts=rle['counts'].decode())


def uncompressed(mask):
    flat, counts, value = mask.T.reshape(-1), [0], 0
    for pixel in flat.tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return dict(size=list(mask.shape), counts=counts)


def write_records(path, records, lines):
    path = path / ('masks.jsonl' if lines else 'masks.json')
    if lines:
        path.write_text(''.join(json.dumps(x) + '\n' for x in records))
    else:
        path.write_text(json.dumps(records))
    return str(path)


@pytest.mark.parametrize('lines', [False, True])
def test_records(tmp_path, lines):
    path = write_records(tmp_path, [
        dict(ref_id=5, segmentation=[]),
        dict(sent_id=8, segmentation=compressed(MASK), pred_no_target=True),
        dict(sent_id='7', ref_id=4, segmentation=uncompressed(MASK)),
    ], lines)
    found = open_predictions(path, ITEMS)
    assert not found.missing and not found.surplus
    assert (found.load(0, (6, 9)).mask == MASK).all()
    assert found.load(0, (6, 9)).no_target is None
    assert found.load(1, (6, 9)).no_target is True
    assert not found.load(2, (6, 9)).mask.any()


def test_polygons(tmp_path):
    square = [[2, 1, 6, 1, 6, 5, 2, 5]]
    path = write_records(tmp_path, [dict(sent_id=7, segmentation=square)],
                         False)
    mask = open_predictions(path, ITEMS).load(0, (6, 9)).mask
    assert mask.sum() == 16 and mask[1:5, 2:6].all()


def test_whole_numbers_may_be_floats(tmp_path):
    """As pandas and others write them."""
    rle = uncompressed(MASK)
    rle = dict(size=[6., 9.], counts=[float(x) for x in rle['counts']])
    path = write_records(tmp_path, [
        dict(sent_id=7., ref_id=4., segmentation=rle),
        dict(sent_id=8., segmentation=[rle]),
        dict(ref_id=5., segmentation=dict(compressed(MASK), size=[6., 9]))
    ], False)
    found = open_predictions(path, ITEMS)
    assert not found.missing and not found.surplus
    for index in range(3):
        assert (found.load(index, (6, 9)).mask == MASK).all()


@pytest.mark.parametrize('lines', [False, True])
def test_byte_order_marks(tmp_path, lines):
    path = write_records(tmp_path, [dict(sent_id=7, segmentation=[])], lines)
    with open(path, 'rb') as file:
        content = file.read()
    with open(path, 'wb') as file:
        file.write(b'\xef\xbb\xbf' + content)
    assert open_predictions(path, ITEMS).missing == [1, 2]
    for encoding in ('utf-16', 'latin1'):
        with open(path, 'wb') as file:
            file.write((content.decode() + 'ä').encode(encoding))
        with pytest.raises(ValueError, match=r'masks.json\w? is not UTF-8'):
            open_predictions(path, ITEMS)


@pytest.mark.parametrize('records, message', [
    ([dict(segmentation=[])], 'Record 0 of .*neither sent_id nor ref_id'),
    ([dict(ref_id=4, segmentation=[])], 'ref_id 4.*belongs to 2 sentences'),
    ([dict(sent_id=7), dict(sent_id=7)],
     'Record 1 .*same sentence as Record 0'),
    ([5], 'is no object'),
    ([], 'masks.json holds no predictions'),
])
def test_records_that_cannot_be_matched(tmp_path, records, message):
    with pytest.raises(ValueError, match=message):
        open_predictions(write_records(tmp_path, records, False), ITEMS)


def test_records_of_no_sentence(tmp_path):
    records = [dict(sent_id=70), dict(sent_id=7, ref_id=5), dict(ref_id='x')]
    found = open_predictions(write_records(tmp_path, records, True), ITEMS)
    assert found.missing == [0, 1, 2] and len(found.surplus) == 3
    assert 'jsonl:2 (ref_id 5, sent_id 7)' in found.surplus[1]


@pytest.mark.parametrize('fields, message', [
    (dict(), 'has no segmentation'),
    (dict(segmentation=None), 'has no segmentation'),
    (dict(segmentation=compressed(MASK.T)), 'its mask is 9 x 6'),
    (dict(segmentation=dict(size=[6, 9], counts=[3, 4])), 'do not add up'),
    (dict(segmentation=dict(size=[6, 9], counts=[3.5, 50.5])),
     'counts.*whole numbers.*3.5'),
    (dict(segmentation=dict(size=[6, 9], counts=['3', 51])),
     "counts.*whole numbers.*'3'"),
    (dict(segmentation=[dict(size=[6, 9], counts=[54, None])]),
     'counts.*whole numbers.*None'),
    (dict(segmentation=dict(size=['6', 9], counts=[54])),
     "size.*whole numbers.*'6'"),
    (dict(segmentation=dict(size=[6.5, 9], counts=[54])),
     'size.*whole numbers.*6.5'),
    (dict(segmentation=[], pred_no_target='no'), 'neither true nor false'),
])
def test_records_that_cannot_be_drawn(tmp_path, fields, message):
    path = write_records(tmp_path, [dict(sent_id=7, **fields)], False)
    with pytest.raises(ValueError, match='Record 0 .*' + message):
        open_predictions(path, ITEMS).load(0, (6, 9))


def test_paths_that_are_no_predictions(tmp_path):
    with pytest.raises(FileNotFoundError, match='no predictions at'):
        open_predictions(str(tmp_path / 'nowhere'), ITEMS)
    (tmp_path / 'masks.pkl').write_text('')
    with pytest.raises(ValueError, match='neither a folder'):
        open_predictions(str(tmp_path / 'masks.pkl'), ITEMS)
    for name, text, message in (('a.json', '[{', 'cannot be read'),
                                ('b.json', '{}', 'no list of records'),
                                ('d.json', '[' * 100_000, 'nested too deeply'),
                                ('e.jsonl', '', 'holds no predictions'),
                                ('c.jsonl', '{}\n{', 'c.jsonl:2 cannot')):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=message):
            open_predictions(str(tmp_path / name), ITEMS)
