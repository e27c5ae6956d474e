# Licensed under the Apache License, Version 2.0.
"""What no pipeline may do to an image whose sentence stays as it was."""

import pytest
from mmcv.transforms import BaseTransform, RandomFlip
from mmengine.registry import init_default_scope

from mmrefseg.datasets import RefCOCODataset
from mmrefseg.registry import TRANSFORMS

LOAD, MASK = dict(type='LoadRefImage'), dict(type='LoadRefMask')
RESIZE = dict(type='Resize', scale=(32, 32), keep_ratio=False)
PACK = dict(type='PackRefInputs')
FLIP = dict(type='RandomFlip', prob=0.5)


@TRANSFORMS.register_module()
class FlipWithWords(BaseTransform):
    """A person's own: left becomes right in both."""

    moves_text = True

    def transform(self, results):
        results['img'] = results['img'][:, ::-1]
        results['gt_seg_map'] = results['gt_seg_map'][:, ::-1]
        results['text'] = results['text'].replace('left', 'right')
        return results


class Mirror(RandomFlip):
    """A child of a transform that moves, under another name."""


def _load(root, *middle, **kwargs):
    init_default_scope('mmrefseg')
    return RefCOCODataset(
        data_root=str(root),
        data_prefix=dict(img_path='images'),
        split='train',
        split_by='unc',
        pipeline=[LOAD, MASK, *middle, PACK],
        **kwargs)


@pytest.mark.parametrize('transform, name', [
    (FLIP, 'RandomFlip'),
    (Mirror(prob=0.5), 'Mirror'),
    (dict(type='RandomCrop', crop_size=(16, 16)), 'RandomCrop'),
    (dict(type='CenterCrop', crop_size=16), 'CenterCrop'),
    (dict(type='RandomRotate', prob=0.5, degree=10), 'RandomRotate'),
    (dict(type='RandomRotFlip'), 'RandomRotFlip'),
    (dict(type='RandomMosaic', prob=0.5, img_scale=(32, 32)), 'RandomMosaic'),
    (dict(type='BioMedical3DRandomCrop', crop_shape=(9, 9, 9)),
     'BioMedical3DRandomCrop'),
    (dict(type='BioMedical3DRandomFlip', prob=0.5, axes=(0, 1)),
     'BioMedical3DRandomFlip'),
    (dict(type='RandomApply', transforms=[FLIP], prob=0.5), 'RandomFlip'),
    (dict(type='RandomChoice', transforms=[[RESIZE], [RESIZE, FLIP]]),
     'RandomFlip'),
    (dict(type='TestTimeAug', transforms=[[RESIZE], [FLIP]]), 'RandomFlip'),
], ids=str)
def test_moving_transforms_are_refused(tiny_refer_root, transform, name):
    with pytest.raises(ValueError) as error:
        _load(tiny_refer_root, transform)
    assert str(error.value).startswith(f'{name} in the pipeline moves')
    assert 'allow_moving_transforms=True' in str(error.value)
    assert '\n' not in str(error.value)
    _load(tiny_refer_root, transform, allow_moving_transforms=True)


@pytest.mark.parametrize('transform', [
    RESIZE,
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomResize', scale=(32, 32), ratio_range=(0.5, 2)),
    dict(type='BioMedicalGaussianNoise'),
    dict(type='RandomFlip', prob=0.),
    dict(type='RandomApply', transforms=[dict(type='FlipWithWords')]),
], ids=str)
def test_others_are_not(tiny_refer_root, transform):
    _load(tiny_refer_root, transform)


def test_what_moves_the_words_too_works(tiny_refer_root):
    plain, moved = (_load(tiny_refer_root, *middle)[0]['data_samples']
                    for middle in ((), (dict(type='FlipWithWords'), )))
    assert (plain.text, moved.text) == ('The LEFT thing', 'The LEFT thing')
    assert (plain.gt_sem_seg.data.flip(-1) == moved.gt_sem_seg.data).all()


@pytest.mark.parametrize('pipeline, reason', [
    ([MASK, LOAD, RESIZE, PACK], 'put LoadRefImage before it'),
    ([dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), PACK],
     'LoadAnnotations reads maps of classes.*LoadRefMask'),
])
def test_pipelines_that_cannot_work(tiny_refer_root, pipeline, reason):
    init_default_scope('mmrefseg')
    with pytest.raises(ValueError, match=reason):
        RefCOCODataset(
            data_root=str(tiny_refer_root),
            data_prefix=dict(img_path='images'),
            split='train',
            split_by='unc',
            pipeline=pipeline)
