# Licensed under the Apache License, Version 2.0.
import numpy as np
from mmengine.registry import init_default_scope

from mmrefseg.datasets import PackRefInputs
from mmrefseg.registry import TRANSFORMS

ITEM = dict(
    img=np.arange(60, dtype=np.uint8).reshape(4, 5, 3),
    gt_seg_map=np.eye(4, 5, dtype=np.uint8),
    text='the cup',
    ref_id=3,
    no_target=False,
    mood='bright',
    mask_value=1)


def test_the_sentence_and_what_metrics_read_are_carried():
    packed = PackRefInputs()(dict(ITEM))
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 4, 5)
    assert (sample.gt_sem_seg.data[0].numpy() == ITEM['gt_seg_map']).all()
    assert sample.metainfo == dict(text='the cup', ref_id=3, no_target=False)


def test_more_and_other_keys():
    init_default_scope('mmrefseg')
    pack = TRANSFORMS.build(dict(type='PackRefInputs', extra_keys=['mood']))
    assert pack(dict(ITEM))['data_samples'].metainfo == dict(
        text='the cup', ref_id=3, no_target=False, mood='bright')
    pack = PackRefInputs(meta_keys=('text', ))
    assert pack(dict(ITEM))['data_samples'].metainfo == dict(text='the cup')
