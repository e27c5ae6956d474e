# Licensed under the Apache License, Version 2.0.
import json

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmrefseg.datasets import RefCOCODataset, RRefCOCODataset

PIPELINE = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]


def _load(root, kind=RRefCOCODataset, split='train'):
    init_default_scope('mmrefseg')
    return kind(
        data_root=str(root),
        data_prefix=dict(img_path='images/'),
        split=split,
        split_by='unc',
        pipeline=PIPELINE)


@pytest.fixture
def refs(tiny_refer_parts):
    refs, _ = tiny_refer_parts
    refs[0]['sentences'][0]['exist'] = True
    refs[0]['sentences'][1]['exist'] = False
    refs[2]['sentences'][0]['exist'] = 0
    return refs


@pytest.mark.parametrize('suffix', ['p', 'json'])
def test_masks_of_what_does_not_exist_are_empty(tmp_path, write_refer_set,
                                                refs, suffix):
    root = write_refer_set(tmp_path / 'set', refs=refs)
    if suffix == 'json':
        (root / 'refs(unc).p').unlink()
        (root / 'refs(unc).json').write_text(json.dumps(refs))
    dataset, classic = _load(root), None
    if suffix == 'p':
        classic = _load(root, RefCOCODataset)
    expected = [True, False, True, True, False, True]
    for i, exists in enumerate(expected):
        sample = dataset[i]['data_samples']
        assert sample.no_target is not exists
        mask = sample.gt_sem_seg.data
        assert bool(mask.any()) == exists
        if classic is not None:
            # The classic dataset takes no notice.
            other = classic[i]['data_samples']
            assert 'exist' not in other and other.gt_sem_seg.data.any()
            if exists:
                assert np.array_equal(other.gt_sem_seg.data, mask)
    # What is said of one ref stays together, true or not.
    assert [len(x) for x in dataset.get_ref_groups()] == [3, 1, 2]
    assert dataset.get_data_info(1)['segmentation'] == []
    assert dataset.get_data_info(1)['ann_id'] == 11


@pytest.mark.parametrize('exist', ['yes', None, 2, [True]])
def test_exist_is_true_or_false(tmp_path, write_refer_set, refs, exist):
    refs[0]['sentences'][1]['exist'] = exist
    with pytest.raises(
            ValueError,
            match='Ref 1 of .*sentence 1 has exist=.*neither true nor false'):
        _load(write_refer_set(tmp_path / 'set', refs=refs))
