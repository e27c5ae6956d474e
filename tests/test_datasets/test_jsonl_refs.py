# Licensed under the Apache License, Version 2.0.
import json

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmrefseg.datasets import JSONLinesRefDataset

SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]
PIPELINE = [
    dict(type='LoadRefImage'),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]


def _lines():
    return [
        dict(image='a.jpg', text='the square', segmentation=SQUARE),
        dict(
            image='a.jpg',
            text='run lengths',
            segmentation=dict(size=[20, 30], counts=[10, 40, 550])),
        dict(image='b.jpg', text='a mask file', mask='b.png', split='val'),
        dict(image='a.jpg', text='the same square', segmentation=SQUARE),
        dict(
            image='b.jpg',
            text='with everything: Ärger',
            segmentation=SQUARE,
            ref_id='r7',
            sent_id='s9',
            image_id=77,
            split='val',
            kind='relation',
            height=25.,
            width=16),
    ]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (('a.jpg', (20, 30, 3)), ('b.jpg', (25, 16, 3))):
        picture = rng.integers(0, 256, size, dtype=np.uint8)
        (tmp_path / 'images').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'images' / name), picture)
    mask = np.zeros((25, 16), np.uint8)
    mask[5:9, 3:6] = 255
    (tmp_path / 'masks').mkdir()
    cv2.imwrite(str(tmp_path / 'masks' / 'b.png'), mask)
    return tmp_path


def _write(folder, lines):
    text = '\n'.join(
        x if isinstance(x, str) else json.dumps(x) for x in lines)
    (folder / 'refs.jsonl').write_text(text + '\n')


def _load(folder, lines=None, **kwargs):
    _write(folder, _lines() if lines is None else lines)
    return JSONLinesRefDataset(
        ann_file='refs.jsonl',
        data_root=str(folder),
        data_prefix=dict(img_path='images', mask_path='masks'),
        **kwargs)


def test_every_form_of_a_line(folder):
    init_default_scope('mmrefseg')
    dataset = _load(folder, pipeline=PIPELINE, check_images=True)
    assert len(dataset) == 5
    samples = [dataset[i]['data_samples'] for i in range(5)]
    areas = [int(x.gt_sem_seg.data.sum()) for x in samples]
    assert areas == [100, 40, 12, 100, 100]
    assert [x.ref_id for x in samples] == [1, 2, 3, 1, 'r7']
    assert [x.sent_id for x in samples] == [1, 2, 3, 4, 's9']
    assert samples[4].text == 'with everything: Ärger'
    assert samples[4].kind == 'relation'
    assert dataset.get_data_info(4)['image_id'] == 77
    assert dataset.get_data_info(0)['image_id'] == 'a.jpg'
    assert 'height' not in dataset.get_data_info(0)
    assert repr(dataset.get_data_info(4)['height']) == '25'


def test_one_object_is_one_ref_with_and_without_ids(folder):
    groups = _load(folder).get_ref_groups()
    assert [x.tolist() for x in groups] == [[0, 3], [1], [2], [4]]
    lines = [
        dict(image='a.jpg', text='x', segmentation=SQUARE, ref_id=1),
        dict(image='a.jpg', text='y', segmentation=SQUARE, ref_id=2),
        dict(image='a.jpg', text='z', segmentation=SQUARE, ref_id=1),
    ]
    dataset = _load(folder, lines)
    assert [x.tolist() for x in dataset.get_ref_groups()] == [[0, 2], [1]]
    assert len(dataset.masks) == 1


def test_split(folder):
    assert len(_load(folder, split='val')) == 2
    with pytest.raises(ValueError, match="no sentence of split 'test'.*val"):
        _load(folder, split='test')


def test_blank_lines_and_a_byte_order_mark(folder):
    _write(folder, ['', _lines()[0], '   ', _lines()[1]])
    path = folder / 'refs.jsonl'
    content = path.read_bytes().replace(b'\n', b'\r\n')
    path.write_bytes(b'\xef\xbb\xbf' + content)
    dataset = JSONLinesRefDataset(
        ann_file=str(path), data_prefix=dict(img=str(folder / 'images')))
    assert [dataset.get_data_info(i)['sent_id'] for i in range(2)] == [2, 4]


def _line(**changes):
    line = dict(image='a.jpg', text='a thing', segmentation=SQUARE)
    line.update(changes)
    return {k: v for k, v in line.items() if v is not None}


@pytest.mark.parametrize('line, pieces', [
    ('{"image": "a.jpg", ', ('JSON', )),
    ('"a.jpg"', ('object', )),
    (_line(image=None), ('"image"', )),
    (_line(image=3), ('"image"', 'string')),
    (_line(text=None), ('"text"', )),
    (_line(text='  '), ('"text"', 'empty')),
    (_line(segmentation=None), ('"mask"', '"segmentation"')),
    (_line(mask='b.png'), ('either', '"mask"', '"segmentation"')),
    (_line(segmentation=None, mask=3), ('"mask"', 'PNG')),
    (_line(segmentation=[]), ('polygons', )),
    (_line(segmentation='b.png'), ('polygons', )),
    (_line(segmentation=SQUARE[0]), ('one polygon', '[[x0, y0')),
    (_line(segmentation=[[2, 2], [12, 2], [12, 12]]), ('pairs', 'flat')),
    (_line(segmentation=[[[2, 2], [12, 2], [12, 12]]]), ('pairs', 'flat')),
    (_line(height=20), ('"width"', )),
    (_line(ref_id=[1]), ('"ref_id"', )),
    (_line(ref_id=5, image='b.jpg'), ('ref_id 5', 'line 1')),
    (_line(ref_id=5, segmentation=[[1, 1, 5, 1, 5, 5]]),
     ('ref_id 5', 'line 1')),
])
def test_bad_lines_are_named(folder, line, pieces):
    with pytest.raises(ValueError) as info:
        _load(folder, [_line(ref_id=5), '', line])
    message = str(info.value)
    assert message.startswith(f'{folder}/refs.jsonl:3: ')
    for piece in pieces:
        assert piece in message
    assert '\n' not in message


def test_bad_files(folder):
    with pytest.raises(ValueError, match='refs.jsonl has no sentence'):
        _load(folder, [''])
    with pytest.raises(FileNotFoundError, match='c.jpg of ref 1'):
        _load(folder, [_line(image='c.jpg')])
    with pytest.raises(FileNotFoundError, match='b.jpg.*data_prefix'):
        (folder / 'images' / 'b.jpg').unlink()
        _load(folder, check_images=True)
    with pytest.raises(FileNotFoundError, match='nowhere.jsonl'):
        JSONLinesRefDataset(ann_file='nowhere.jsonl')
    (folder / 'refs.jsonl').write_bytes(b'{"image": "\xe9"}')
    with pytest.raises(ValueError, match='refs.jsonl:1: '):
        JSONLinesRefDataset(ann_file=str(folder / 'refs.jsonl'))
