# Licensed under the Apache License, Version 2.0.
"""Files of pictures are whole or not there."""

import errno
import os

import cv2
import numpy as np
import pytest

from mmrefseg.visualization import RefSegVisualizer
from mmrefseg.visualization.files import save_picture

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)


def test_colours_and_grey(tmp_path):
    save_picture(PICTURE, str(tmp_path / 'new' / 'a.png'))
    stored = cv2.imread(str(tmp_path / 'new' / 'a.png'))
    np.testing.assert_array_equal(stored[..., ::-1], PICTURE)
    save_picture(PICTURE[..., 0], str(tmp_path / 'b.png'))
    stored = cv2.imread(str(tmp_path / 'b.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, PICTURE[..., 0])


@pytest.fixture
def full_disk(monkeypatch):
    """Nothing reaches the disk: it is full."""

    def sync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', sync)


@pytest.mark.parametrize('write', [
    lambda path: save_picture(PICTURE, path),
    lambda path: RefSegVisualizer().add_datasample(
        'a', PICTURE, out_file=path),
])
def test_full_disk(write, tmp_path, full_disk):
    path = tmp_path / 'a.png'
    path.write_bytes(b'what was there')
    with pytest.raises(OSError, match=r'a\.png .*No space left') as caught:
        write(str(path))
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b'what was there'
    assert [x.name for x in tmp_path.iterdir()] == ['a.png']
