# Licensed under the Apache License, Version 2.0.
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmrefseg.fileio.run_lengths import decode_run_lengths, encode_run_lengths


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (60, 43)])
@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int64])
def test_there_and_back(size, dtype):
    mask = np.random.default_rng(0).random(size) > 0.6
    rle = json.loads(json.dumps(encode_run_lengths(mask.astype(dtype))))
    assert rle['size'] == list(size)
    assert (coco_mask.decode(rle) == mask).all()
    assert (decode_run_lengths(rle, *size) == mask).all()


@pytest.mark.parametrize('mask', [
    np.uint8([[0, 1, 2]]), np.uint8([[0, 255]]), np.float32([[0, 1]]),
    np.int64([[-1, 0]])
])
def test_what_is_no_mask_is_refused(mask):
    """pycocotools would begin a new run where 1 becomes 2."""
    with pytest.raises(ValueError, match='bool, or integers 0 and 1'):
        encode_run_lengths(mask)
