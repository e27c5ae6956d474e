# Licensed under the Apache License, Version 2.0.
"""Images under other names, of other sizes or missing, and ids written in two
ways: of all sets in the REFER layout, and of JSON lines where it applies."""

import json
import logging

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from refer_checks import check_folder

from mmrefseg.datasets import (GRefCOCODataset, JSONLinesRefDataset,
                               RefCOCODataset, RRefCOCODataset)
from mmrefseg.datasets.refer_files import other_names

PIPELINE = [dict(type='LoadRefImage'), dict(type='LoadRefMask')]
KINDS = [RefCOCODataset, GRefCOCODataset, RRefCOCODataset]
SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


@pytest.fixture(params=KINDS, ids=lambda x: x.__name__)
def load(request, tmp_path, write_refer_set, tiny_refer_parts):
    """A function that writes the tiny set and loads it; ``change(refs,
    instances)`` comes before."""
    init_default_scope('mmrefseg')
    kind, (refs, instances) = request.param, tiny_refer_parts

    def load(change=None, prefix='images', names=None, **kwargs):
        if change is not None:
            change(refs, instances)
        root = write_refer_set(
            tmp_path / 'set', refs=refs, instances=instances)
        if kind is GRefCOCODataset:
            (root / 'grefs(unc).json').write_text(json.dumps(refs))
            (root / 'refs(unc).p').unlink()
        for old, new in (names or {}).items():
            new = root / new
            new.parent.mkdir(exist_ok=True)
            (root / 'images' / old).rename(new)
        kwargs.setdefault('split', 'train')
        return kind(
            data_root=str(root),
            data_prefix=dict(img_path=prefix),
            split_by='unc',
            pipeline=PIPELINE,
            **kwargs)

    return load


@pytest.mark.parametrize('place', [
    'images/{:012d}.jpg', 'train2017/{:012d}.jpg', 'val2017/{:012d}.jpg',
    'train2014/COCO_train2014_{:012d}.jpg'
])
def test_names_of_other_years(load, place):

    def rename(refs, instances):
        for image in instances['images']:
            image['file_name'] = f'COCO_train2014_{image["id"]:012d}.jpg'

    prefix = 'images' if place.startswith('images') else 'train2014/'
    names = {f'img_{i}.jpg': place.format(i) for i in (1, 2, 3, 4)}
    dataset = load(rename, prefix, names, check_images=True)
    assert len(dataset) == 6
    for index, image in ((0, 1), (5, 2)):
        path = dataset.get_data_info(index)['img_path']
        assert path.endswith(place.format(image))
        assert dataset[index]['img'].any()


def test_names_that_are_not_of_coco():
    assert other_names('images/a.jpg') == []
    found = other_names('coco/train2014/COCO_train2014_000000000009.jpg')
    assert found[:2] == [
        'coco/train2014/000000000009.jpg', 'coco/train2017/000000000009.jpg'
    ]
    assert 'x/COCO_val2014_000000000009.jpg' in other_names(
        'x/000000000009.jpg')


def test_a_check_finds_them_too(tmp_path, write_refer_set, tiny_refer_parts):
    refs, instances = tiny_refer_parts
    for image in instances['images']:
        image['file_name'] = f'COCO_train2014_{image["id"]:012d}.jpg'
    root = write_refer_set(tmp_path / 'set', refs=refs, instances=instances)
    (root / 'images').rename(root / 'train2017')
    for i in (1, 2, 3, 4):
        (root / 'train2017' / f'img_{i}.jpg').rename(
            root / 'train2017' / f'{i:012d}.jpg')
    [report] = check_folder(str(root), read_images=True)
    assert not [
        x for x in report.faults
        if 'image' in x.kind and 'polygon' not in x.kind and not x.harmless
    ]


@pytest.mark.parametrize('keys', [('image_id', ), ('ann_id', ),
                                  ('image_id', 'ann_id')])
@pytest.mark.parametrize('where', ['refs', 'instances'])
def test_ids_as_text_and_as_numbers(load, keys, where):

    def change(refs, instances):
        for key in keys:
            if where == 'refs':
                for ref in refs:
                    ref[key] = str(ref[key])
            elif key == 'ann_id':
                for ann in instances['annotations']:
                    ann['id'] = str(ann['id'])
            else:
                for image in instances['images']:
                    image['id'] = f'{image["id"]:012d}'

    dataset = load(change, split=['train', 'val', 'testA', 'testB'])
    assert len(dataset) == 12
    areas = [int(dataset[i]['gt_seg_map'].sum()) for i in range(12)]
    assert areas[0] == 30 * 20 + 30 * 30 - 100 and areas[11] == 25 * 30
    assert dataset.get_data_info(0)['img_path'].endswith('img_1.jpg')


def test_missing_images_may_be_skipped(load, monkeypatch):
    logged = []
    monkeypatch.setattr('mmrefseg.datasets.ref_dataset.print_log',
                        lambda *args, **kwargs: logged.append((args, kwargs)))
    dataset = load(names={'img_1.jpg': 'gone/1.jpg'}, missing_images='skip')
    assert [dataset.get_data_info(i)['image_id'] for i in range(2)] == [2, 2]
    assert len(dataset) == 2 and len(dataset.get_ref_groups()) == 1
    assert dataset[1]['gt_seg_map'].sum() == 25 * 30
    [((message, ), kwargs)] = logged
    assert message.startswith('1 of 2 images do not exist, such as ')
    assert message.endswith('img_1.jpg: 4 of 6 sentences are left out.')
    assert kwargs['level'] == logging.WARNING


@pytest.mark.parametrize('kwargs', [
    {}, dict(check_images=True), dict(missing_images='skip')
], ids=str)
def test_where_no_image_is_there_nothing_is_skipped(load, kwargs):
    with pytest.raises(FileNotFoundError, match='missing_images="skip"'):
        load(prefix='elsewhere', **kwargs)


@pytest.mark.parametrize('option', ['missing_images', 'size_mismatch'])
def test_options_that_do_not_exist(load, option):
    with pytest.raises(ValueError, match=f"{option} is 'maybe': choose"):
        load(**{option: 'maybe'})


@pytest.mark.parametrize('indices', [0, [], [6], [0, -7]], ids=str)
@pytest.mark.parametrize('serialize', [True, False])
def test_a_choice_of_nothing_or_of_too_much(load, indices, serialize):
    with pytest.raises(ValueError, match='indices .* 6 items'):
        load(indices=indices, serialize_data=serialize)


@pytest.mark.parametrize('serialize', [True, False])
def test_subsets_of_nothing(load, serialize):
    dataset = load(serialize_data=serialize)
    assert len(dataset.get_subset(2)) == 2 == len(dataset.get_subset([0, -1]))
    for indices in (0, [], [6]):
        with pytest.raises(ValueError, match='indices .* 6 items'):
            dataset.get_subset(indices)
        with pytest.raises(ValueError, match='indices .* 6 items'):
            dataset.get_subset_(indices)


def _annotate_smaller(refs, instances):
    """As RRSIS-D: images are a pixel larger than their annotations say."""
    for image in instances['images']:
        image['width'] -= 1
    for ann in instances['annotations']:
        if ann['id'] in (21, 22):
            ann['segmentation'] = SQUARE


def test_images_of_another_size(load):
    dataset = load(_annotate_smaller)
    with pytest.raises(ValueError, match='64 x 95 .*64 x 96.*size_mismatch="'):
        dataset[0]


def test_masks_may_be_scaled(load):
    dataset = load(_annotate_smaller, size_mismatch='resize')
    mask = dataset[0]['gt_seg_map']
    assert mask.shape == (64, 96) == dataset[0]['img'].shape[:2]
    assert set(np.unique(mask)) == {0, 1}
    assert abs(int(mask.sum()) - 1400) <= 1400 * 2 / 95


def test_not_to_another_shape(load):
    """An image that was turned is not one that is larger by a pixel."""

    def turn(refs, instances):
        for image in instances['images']:
            image.update(height=image['width'], width=image['height'])

    dataset = load(turn, size_mismatch='resize')
    with pytest.raises(ValueError, match='differ by more than 2%'):
        dataset[0]


@pytest.fixture
def lines(tmp_path):
    """A function that writes JSON lines, two images and a mask file with two
    objects, and loads them."""
    init_default_scope('mmrefseg')
    for name in 'ab':
        cv2.imwrite(
            str(tmp_path / f'{name}.jpg'), np.full((20, 30, 3), 90, np.uint8))
    two = np.zeros((20, 30), np.uint8)
    two[2:8, 2:10], two[10:18, 15:29] = 1, 2
    cv2.imwrite(str(tmp_path / 'two.png'), two)
    cv2.imwrite(str(tmp_path / 'soft.png'), two * 100)
    cv2.imwrite(str(tmp_path / 'larger.png'),
                np.pad(two == 1, ((0, 0), (0, 0))).astype(np.uint8).repeat(
                    2, 0).repeat(2, 1))

    def lines(*records, **kwargs):
        (tmp_path / 'refs.jsonl').write_text('\n'.join(
            json.dumps(dict(image='a.jpg', text='a thing') | x)
            for x in records))
        return JSONLinesRefDataset(
            ann_file='refs.jsonl',
            data_root=str(tmp_path),
            pipeline=PIPELINE,
            **kwargs)

    return lines


def _areas(dataset):
    return [int(dataset[i]['gt_seg_map'].sum()) for i in range(len(dataset))]


def test_a_mask_file_with_several_values(lines):
    one, two = 6 * 8, 8 * 14
    with pytest.raises(ValueError, match=r'two.png \(ref 1, sentence 1\) has '
                       r'2 values besides 0 \(1, 2\).*mask_value'):
        lines(dict(mask='two.png'))[0]
    dataset = lines(
        dict(mask='two.png', mask_value=2), dict(mask='two.png'),
        dict(mask='two.png', mask_value=2),
        dict(mask='soft.png', mask_threshold=100), mask_value=1)
    assert _areas(dataset) == [two, one, two, two]
    # what is the object is a part of which object it is
    assert [x.tolist() for x in dataset.get_ref_groups()] == [[0, 2], [1],
                                                              [3]]
    assert _areas(lines(dict(mask='soft.png'), mask_threshold=50)) == [one +
                                                                       two]
    with pytest.raises(ValueError, match='is empty.* as 3 .mask_value'):
        lines(dict(mask='two.png', mask_value=3))[0]


@pytest.mark.parametrize('record, reason', [
    (dict(mask='two.png', mask_value=1, mask_threshold=2), 'not both'),
    (dict(mask='two.png', mask_value=[1]), r'not \[1\]'),
    (dict(mask='two.png', mask_threshold='half'), "not 'half'"),
    (dict(segmentation=SQUARE, mask_value=1), 'is for mask files'),
])
def test_choices_that_are_none(lines, record, reason):
    with pytest.raises(ValueError, match=r'refs.jsonl:1: .*' + reason):
        lines(record)
    with pytest.raises(ValueError, match='not both'):
        lines(dict(mask='two.png'), mask_value=1, mask_threshold=2)


def test_options_for_lines(lines, tmp_path):
    square = dict(segmentation=SQUARE)
    dataset = lines(
        square, dict(square, image='gone.jpg'), missing_images='skip')
    assert len(dataset) == 1
    dataset = lines(dict(square, width=30, height=21))
    with pytest.raises(ValueError, match='21 x 30 .*20 x 30'):
        dataset[0]
    assert _areas(lines(dict(mask='larger.png'), size_mismatch='resize')) == [
        6 * 8
    ]
    with pytest.raises(ValueError, match='larger.png.*40 x 60.*image .*a.jpg '
                       'is 20 x 30.*size_mismatch="resize"'):
        lines(dict(mask='larger.png'))[0]
    cv2.imwrite(str(tmp_path / '000000000009.jpg'), np.zeros((20, 30, 3)))
    dataset = lines(dict(square, image='COCO_train2014_000000000009.jpg'))
    assert dataset[0]['img'].shape == (20, 30, 3)
    with pytest.raises(ValueError, match='indices leaves none'):
        lines(square, indices=0)


def test_arrays_are_masks_too():
    from mmrefseg.datasets import LoadRefMask
    mask = np.zeros((20, 30), bool)
    mask[3:6, 4:9] = True
    load = LoadRefMask()
    for array in (mask, mask * 1., mask * 255):
        got = load(dict(ori_shape=(20, 30), segmentation=array))['gt_seg_map']
        assert got.dtype == np.uint8 and (got == mask).all()
    for array, reason in ((mask * 1. - 0.5, 'values besides 0'),
                          (mask[:-1], '19 x 30')):
        with pytest.raises(ValueError, match=reason):
            load(dict(ori_shape=(20, 30), segmentation=array))
