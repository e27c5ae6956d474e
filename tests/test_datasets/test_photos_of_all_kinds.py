# Licensed under the Apache License, Version 2.0.
"""Files as telephones, scanners and web pages make them."""

import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from mmrefseg.datasets.transforms import LoadRefImage


@pytest.fixture
def picture():
    """Smooth colours, 40 x 60: what any codec keeps well."""
    y, x = np.mgrid[:40, :60]
    return np.stack([x * 4, y * 6, 200 - x * 2], axis=2).astype(np.uint8)


def load(path):
    return LoadRefImage()(dict(img_path=str(path)))['img'][..., ::-1]


@pytest.mark.parametrize('name', [
    'a.jpg', 'a.png', 'a.webp', 'a.tiff', 'a.bmp', 'a.gif', 'a.avif'
])
def test_formats(name, picture, tmp_path):
    try:
        Image.fromarray(picture).save(tmp_path / name, quality=95)
    except (KeyError, ValueError, OSError):
        pytest.skip(f'this Pillow writes no {name}')
    if name == 'a.avif' and not cv2.haveImageReader(str(tmp_path / name)):
        pytest.skip('this OpenCV reads no AVIF')
    difference = np.abs(load(tmp_path / name).astype(int) - picture)
    assert difference.mean() < 12


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'LA', 'P', 'CMYK'])
def test_modes(mode, picture, tmp_path):
    image = Image.fromarray(picture).convert(mode)
    path = tmp_path / ('a.jpg' if mode == 'CMYK' else 'a.png')
    image.save(path)
    wanted = np.asarray(image.convert('RGB')).astype(int)
    assert np.abs(load(path) - wanted).mean() < 8


@pytest.mark.parametrize('grey', [True, False])
def test_16_bits(grey, picture, tmp_path):
    wanted = picture[..., :1].repeat(3, axis=2) if grey else picture
    deep = wanted.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / 'a.png'),
                deep[..., 0] if grey else deep[..., ::-1])
    assert np.abs(load(tmp_path / 'a.png').astype(int) - wanted).max() <= 1


def test_one_pixel(tmp_path):
    Image.new('RGB', (1, 1), (1, 2, 3)).save(tmp_path / 'a.png')
    assert load(tmp_path / 'a.png').tolist() == [[[1, 2, 3]]]


HEAD_OF_HEIC = b'\x00\x00\x00\x18ftypheic' + bytes(100)


def test_heic_without_a_decoder(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    (tmp_path / 'a.heic').write_bytes(HEAD_OF_HEIC)
    with pytest.raises(ValueError, match='HEIC photo.*pip install pillow-heif'
                       '.*or save the photo as JPEG'):
        load(tmp_path / 'a.heic')


def test_heic_with_a_decoder(picture, tmp_path):
    pillow_heif = pytest.importorskip('pillow_heif')
    pillow_heif.from_pillow(Image.fromarray(picture)).save(tmp_path / 'a.heic')
    assert np.abs(load(tmp_path / 'a.heic').astype(int) - picture).mean() < 8
    (tmp_path / 'b.heic').write_bytes(HEAD_OF_HEIC)
    with pytest.raises(ValueError, match='not an image that can be read'):
        load(tmp_path / 'b.heic')
