# Licensed under the Apache License, Version 2.0.
import io

import cv2
import mmcv
import numpy as np
import pytest
from mmseg.datasets.transforms import Resize
from PIL import Image

from mmrefseg.datasets.transforms import LoadRefImage, LoadRefMask
from mmrefseg.fileio.images import find_truncation

POLYGON = [[2, 2, 20, 2, 20, 12, 2, 12]]


def _picture(height=48, width=64):
    return np.random.default_rng(0).integers(
        0, 256, (height, width, 3), dtype=np.uint8)


def _encode(kind, **kwargs):
    buffer = io.BytesIO()
    Image.fromarray(_picture()).save(buffer, kind, **kwargs)
    return buffer.getvalue()


def _item(path, **kwargs):
    return dict(
        img_path=str(path),
        ref_id=12,
        sent_id=345,
        segmentation=POLYGON,
        **kwargs)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.bmp', 'a.webp'])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_image_is_read_as_mmcv_reads_it(tmp_path, name, backend):
    path = tmp_path / name
    cv2.imwrite(str(path), _picture())
    results = LoadRefImage(imdecode_backend=backend)(_item(path))
    expected = mmcv.imread(str(path), backend=backend)
    assert (results['img'] == expected).all()
    assert results['img_shape'] == results['ori_shape'] == (48, 64)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', 'CMYK'])
def test_other_modes_become_three_channels(tmp_path, mode):
    kind = 'JPEG' if mode == 'CMYK' else 'PNG'
    path = tmp_path / 'image'
    Image.fromarray(_picture()).convert(mode).save(path, kind)
    results = LoadRefImage()(_item(path))
    assert results['img'].shape == (48, 64, 3)
    assert results['img'].dtype == np.uint8


def test_exif_orientation_is_not_applied(tmp_path):
    """Annotations are in the frame of the stored pixels."""
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_picture()).save(path, exif=exif)
    assert LoadRefImage()(_item(path))['ori_shape'] == (48, 64)
    upright = LoadRefImage(color_type='color')(_item(path))
    assert upright['ori_shape'] == (64, 48)
    with pytest.raises(ValueError, match='EXIF'):
        LoadRefMask()(dict(upright, height=48, width=64))


def test_an_image_that_is_there_is_taken():
    picture = _picture()
    results = LoadRefImage()(dict(img=picture))
    assert results['img'] is picture
    assert results['ori_shape'] == (48, 64)


@pytest.mark.parametrize('kind, kwargs', [
    ('JPEG', {}),
    ('JPEG', dict(progressive=True)),
    ('PNG', {}),
    ('WEBP', {}),
])
def test_truncation_is_seen_at_every_length(kind, kwargs):
    content = _encode(kind, **kwargs)
    assert find_truncation(content) is None
    assert find_truncation(content + b'padding after the end') is None
    for length in range(20, len(content) - 8, 7):
        assert 'cut off' in find_truncation(content[:length]), length


def test_truncation_sees_past_a_thumbnail():
    """A thumbnail in the header has an end marker of its own."""
    small = _encode('JPEG')
    exif = b'\xff\xe1' + (len(small) + 2).to_bytes(2, 'big') + small
    content = _encode('JPEG', quality=95)
    content = content[:2] + exif + content[2:]
    assert find_truncation(content) is None
    assert cv2.imdecode(np.frombuffer(content, np.uint8), 1) is not None
    assert find_truncation(content[:-2000]) is not None


@pytest.mark.parametrize('content, pieces', [
    (None, ('does not exist', 'data_prefix.img_path', 'docs/data.md')),
    (b'', ('is empty', )),
    (b'<html>404</html>', ('not an image', )),
    (_encode('JPEG')[:-500], ('cut off', )),
    (_encode('PNG')[:-500], ('cut off', )),
    (_encode('JPEG')[:2] + b'\xff\xda' + b'x' * 50 + b'\xff\xd9',
     ('not an image', )),
])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_bad_images(tmp_path, content, pieces, backend):
    path = tmp_path / 'bad.jpg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        LoadRefImage(imdecode_backend=backend)(_item(path))
    for piece in (str(path), 'ref 12', 'sentence 345', *pieces):
        assert piece in str(info.value)
    assert '\n' not in str(info.value)


def test_mask_goes_through_resize():
    results = dict(
        img=_picture(), ori_shape=(48, 64), segmentation=POLYGON)
    results = LoadRefMask()(results)
    mask = results['gt_seg_map']
    assert mask.dtype == np.uint8 and mask.shape == (48, 64)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.sum() == 18 * 10
    results = Resize(scale=(128, 96), keep_ratio=False)(results)
    assert results['gt_seg_map'].shape == (96, 128)
    assert results['gt_seg_map'].sum() == 4 * 18 * 10


def test_mask_after_resize_has_the_original_size():
    results = dict(img=_picture(), ori_shape=(48, 64), segmentation=POLYGON)
    results = Resize(scale=(128, 96), keep_ratio=False)(results)
    assert LoadRefMask()(results)['gt_seg_map'].shape == (48, 64)


def test_mask_file(tmp_path):
    mask = np.zeros((48, 64), np.uint8)
    mask[3:9, 5:8] = 7
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), mask)
    results = LoadRefMask()(
        dict(ori_shape=(48, 64), segmentation=str(path)))
    assert (results['gt_seg_map'] == (mask > 0)).all()


def _png(height, width, value):
    mask = np.full((height, width), value, np.uint8)
    return cv2.imencode('.png', mask)[1].tobytes()


@pytest.mark.parametrize('content, pieces', [
    (None, ('does not exist', 'data_prefix.mask_path')),
    (b'', ('is empty', )),
    (b'no image', ('cannot be read', )),
    (_png(48, 64, 3)[:-20], ('cut off', )),
    (_png(48, 60, 3), ('48 x 60', '48 x 64', 'same size')),
    (_png(48, 64, 0), ('empty', )),
    (_encode('JPEG'), ('JPEG', 'PNG')),
])
def test_bad_mask_files(tmp_path, content, pieces):
    path = tmp_path / 'mask.png'
    if content is not None:
        path.write_bytes(content)
    item = dict(_item('photo.jpg'), segmentation=str(path))
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        LoadRefMask()(dict(item, ori_shape=(48, 64)))
    for piece in ('ref 12', 'sentence 345', *pieces):
        assert piece in str(info.value)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('change, pieces', [
    (dict(segmentation=[[70, 2, 90, 2, 90, 12]]),
     ('empty', 'nothing', '48 x 64')),
    (dict(segmentation=[[1, 1, 9, 9]]), ('empty', )),
    (dict(segmentation=dict(size=[48, 64], counts=[48 * 64])), ('empty', )),
    (dict(segmentation=dict(size=[64, 48], counts=[48 * 64])),
     ('cannot be drawn', '64 x 48', '48 x 64')),
    (dict(segmentation=[]), ('cannot be drawn', 'empty')),
    (dict(height=64, width=48), ('64 x 48', '48 x 64', 'annotated')),
])
def test_bad_masks(change, pieces):
    item = dict(_item('photo.jpg'), ori_shape=(48, 64))
    with pytest.raises(ValueError) as info:
        LoadRefMask()({**item, **change})
    for piece in ('photo.jpg', 'ref 12', 'sentence 345', *pieces):
        assert piece in str(info.value)
    assert '\n' not in str(info.value)
