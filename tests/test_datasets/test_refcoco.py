# Licensed under the Apache License, Version 2.0.
import json
import logging
import os
import pickle

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import init_default_scope

from mmrefseg.datasets import RefCOCODataset
from mmrefseg.datasets.annotation_store import AnnotationStore
from mmrefseg.datasets.refer_files import load_instances

TRAIN = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='Resize', scale=(48, 32), keep_ratio=False),
    dict(type='PackRefInputs')
]
TEST = [TRAIN[0], TRAIN[2], TRAIN[1], TRAIN[3]]


def _load(root, split='train', split_by='unc', **kwargs):
    kwargs.setdefault('data_prefix', dict(img_path='images/'))
    return RefCOCODataset(
        data_root=str(root), split=split, split_by=split_by, **kwargs)


def test_an_item_is_a_ref_and_a_sentence(tiny_refer_root):
    dataset = _load(tiny_refer_root)
    assert len(dataset) == 6
    info = dataset.get_data_info(1)
    assert info == dict(
        img_path=str(tiny_refer_root / 'images' / 'img_1.jpg'),
        height=64,
        width=96,
        image_id=1,
        ref_id=1,
        sent_id=1,
        ann_id=11,
        category_id=1,
        split='train',
        text='big red thing',
        kind='appearance',
        segmentation=[[10, 10, 40, 10, 40, 30, 10, 30],
                      [30, 20, 60, 20, 60, 50, 30, 50]],
        seg_fields=[],
        sample_idx=1)
    assert dataset.get_data_info(-1)['text'] == 'a box'
    assert dataset.get_data_info(-1)['sample_idx'] == 5
    assert dataset.metainfo['classes'] == ('background', 'referent')
    assert dataset.max_refetch == 0


@pytest.mark.parametrize('serialize_data', [True, False])
def test_items_do_not_share_what_can_be_changed(tiny_refer_root,
                                                serialize_data):
    dataset = _load(tiny_refer_root, serialize_data=serialize_data)
    first = dataset.get_data_info(0)
    first['segmentation'].clear()
    first['seg_fields'].append('x')
    assert dataset.get_data_info(0)['seg_fields'] == []
    assert len(dataset.get_data_info(0)['segmentation']) == 2


@pytest.mark.parametrize('split, count', [
    ('train', 6),
    ('val', 3),
    ('testA', 2),
    ('testB', 1),
    ('test', 3),
    (['val', 'testB'], 4),
])
def test_splits(tiny_refer_root, split, count):
    assert len(_load(tiny_refer_root, split)) == count


def test_shared_test_splits_count_for_each(tmp_path, write_refer_set,
                                           tiny_refer_parts):
    """RefCLEF has 'testAB' and the like; REFER's reader counts them so."""
    refs, _ = tiny_refer_parts
    refs[5]['split'], refs[6]['split'] = 'testAB', 'testBC'
    root = write_refer_set(tmp_path / 'set', refs=refs)
    for split, ids in (('testA', [6]), ('testB', [6, 7]), ('testC', [7]),
                       ('test', [6, 7]), ('testAB', [6])):
        dataset = _load(root, split)
        found = {
            dataset.get_data_info(i)['ref_id']
            for i in range(len(dataset))
        }
        assert sorted(found) == ids, split


def test_sentence_field(tiny_refer_root):
    for field, text in (('raw', 'The LEFT thing'), ('sent', 'the left thing')):
        dataset = _load(tiny_refer_root, sentence_field=field)
        assert dataset.get_data_info(0)['text'] == text


def test_extra_fields(tiny_refer_root):
    info = _load(
        tiny_refer_root, extra_fields=('tokens', 'file_name',
                                       'absent')).get_data_info(0)
    assert info['tokens'] == ['the', 'left', 'thing']  # of the sentence
    assert info['file_name'] == 'img_1_1.jpg'  # of the ref
    assert 'absent' not in info and 'kind' not in info


def test_split_file_and_mmdets_prefix(tiny_refer_root):
    os.rename(tiny_refer_root / 'refs(unc).p', tiny_refer_root / 'my.p')
    dataset = _load(
        tiny_refer_root,
        split_by=None,
        split_file='my.p',
        data_prefix=dict(img='images'))
    assert len(dataset) == 6


def test_any_split_by_whose_file_exists(tmp_path, write_refer_set):
    root = write_refer_set(tmp_path / 'refcoco', split_by='mine')
    assert len(_load(root, split_by='mine')) == 6


def test_masks_are_kept_once_and_only_those_needed(tiny_refer_root):
    dataset = _load(tiny_refer_root)
    assert len(dataset.masks) == 3  # of 8 annotations, for 6 items
    for item in range(6):
        assert b'segmentation' not in pickle.dumps(dataset._get_item(item))


def test_masks_of_others_are_dropped_while_the_file_is_parsed(
        tiny_refer_root, monkeypatch):
    kept = []
    dumps = AnnotationStore.dumps
    monkeypatch.setattr(AnnotationStore, 'dumps',
                        lambda x: kept.append(x) or dumps(x))
    path = str(tiny_refer_root / 'instances.json')
    images, annotations = load_instances(path, {11, 42})
    assert set(images) == {1, 2, 3, 4} and set(annotations) == {11, 42}
    assert len(kept) == 2


@pytest.mark.parametrize('how', ['indices', 'get_subset', 'get_subset_'])
def test_subsets(tiny_refer_root, how):
    indices = [5, 1, 2, 4]
    if how == 'indices':
        subset = _load(tiny_refer_root, indices=indices)
    else:
        subset = _load(tiny_refer_root)
        if how == 'get_subset':
            subset = subset.get_subset(indices)
        else:
            subset.get_subset_(indices)
    assert [subset.get_data_info(i)['sent_id'] for i in range(4)] == indices
    assert subset.get_data_info(0)['segmentation']['size'] == [80, 80]
    groups = [x.tolist() for x in subset.get_ref_groups()]
    assert groups == [[0, 3], [1, 2]]


def test_ref_groups(tiny_refer_root):
    groups = _load(tiny_refer_root).get_ref_groups()
    assert [x.tolist() for x in groups] == [[0, 1, 2], [3], [4, 5]]
    assert all(x.dtype == np.int64 for x in groups)


def test_lazy_init(tiny_refer_root):
    dataset = _load(tiny_refer_root, lazy_init=True)
    assert len(dataset) == 6
    assert _load('nowhere', lazy_init=True) is not None


def test_pickles_to_a_worker(tiny_refer_root):
    dataset = _load(tiny_refer_root)
    again = pickle.loads(pickle.dumps(dataset))
    for i in range(6):
        assert again.get_data_info(i) == dataset.get_data_info(i)


@pytest.mark.parametrize('split', ['train', 'val', 'testA', 'testB'])
def test_pipelines(tiny_refer_root, split):
    init_default_scope('mmrefseg')
    for pipeline in (TRAIN, TEST):
        dataset = ROOT_DATASETS.build(
            dict(
                type='RefCOCODataset',
                data_root=str(tiny_refer_root),
                data_prefix=dict(img_path='images/'),
                split=split,
                split_by='unc',
                pipeline=pipeline))
        for i in range(len(dataset)):
            packed = dataset[i]
            sample = packed['data_samples']
            info = dataset.get_data_info(i)
            assert tuple(packed['inputs'].shape) == (3, 32, 48)
            assert sample.text == info['text']
            assert sample.ref_id == info['ref_id']
            size = (32, 48) if pipeline is TRAIN else (info['height'],
                                                       info['width'])
            assert tuple(sample.gt_sem_seg.data.shape) == (1, *size)
            assert set(sample.gt_sem_seg.data.unique().tolist()) == {0, 1}


def test_areas_at_the_original_size(tiny_refer_root):
    init_default_scope('mmrefseg')
    areas = {}
    for split in ('train', 'val', 'test'):
        dataset = _load(tiny_refer_root, split, pipeline=TEST)
        for i in range(len(dataset)):
            sample = dataset[i]['data_samples']
            areas[sample.ann_id] = int(sample.gt_sem_seg.data.sum())
    assert areas == {
        11: 30 * 20 + 30 * 30 - 10 * 10,
        12: 26 * 24,
        21: 25 * 30,
        22: 30 * 40,
        31: 40 * 40,
        41: 22 * 42,
        42: 25 * 30
    }


def test_a_bad_item_is_not_replaced_by_another(tiny_refer_root):
    init_default_scope('mmrefseg')
    os.remove(tiny_refer_root / 'images' / 'img_2.jpg')
    dataset = _load(tiny_refer_root, pipeline=TRAIN)
    assert dataset[0] is not None
    with pytest.raises(FileNotFoundError, match='img_2.jpg.*ref 3'):
        dataset[4]


def test_config_types(tiny_refer_root):
    """Options may come as mmengine's ConfigDict and lists."""
    cfg = Config(
        dict(
            type='RefCOCODataset',
            data_root=str(tiny_refer_root),
            data_prefix=dict(img_path='images/'),
            split=['train', 'val'],
            split_by='unc',
            extra_fields=['kind'],
            metainfo=dict(classes=('background', 'thing'))))
    init_default_scope('mmrefseg')
    dataset = ROOT_DATASETS.build(cfg)
    assert len(dataset) == 9
    assert dataset.metainfo['classes'] == ('background', 'thing')


# Bad input: what is wrong, and what the message must say --------------------


def _broken_json(root):
    path = root / 'instances.json'
    path.write_bytes(path.read_bytes()[:-100])


def _broken_pickle(root):
    path = root / 'refs(unc).p'
    path.write_bytes(path.read_bytes()[:-100])


def _write(name, content):

    def change(root):
        (root / name).write_bytes(content)

    return change


def _remove(name):

    def change(root):
        os.remove(root / name)

    return change


BAD_FILES = {
    'no instances': (_remove('instances.json'), {},
                     ('instances.json does not exist', 'refs(<split_by>).p',
                      'docs/data.md')),
    'no refs file': (_remove('refs(unc).p'), {},
                     ('refs(unc).p does not exist', 'umd, google',
                      'no refs(...).p', 'docs/data.md')),
    'other split_by': (None, dict(split_by='umd'),
                       ('refs(umd).p does not exist', 'found in',
                        'refs(unc).p', 'refcocog: umd, google')),
    'no folder': (None, dict(ann_file='nowhere/instances.json'),
                  ('refs(unc).p does not exist', 'docs/data.md')),
    'no image folder': (None, dict(data_prefix=dict(img_path='pictures/')),
                        ('pictures/img_1.jpg', 'ref 1', 'does not exist',
                         'data_prefix.img_path', 'docs/data.md')),
    'image missing': (_remove('images/img_2.jpg'), dict(check_images=True),
                      ('img_2.jpg', 'ref 3', 'does not exist')),
    'broken JSON': (_broken_json, {},
                    ('instances.json', 'not readable JSON', 'line')),
    'empty JSON': (_write('instances.json', b''), {},
                   ('instances.json', 'empty')),
    'JSON in latin1': (_write('instances.json', b'{"a": "\xe9"}'), {},
                       ('instances.json', 'not readable JSON')),
    'JSON of another kind': (_write('instances.json', b'{"images": []}'), {},
                             ('instances.json', '"annotations"')),
    'JSON list': (_write('instances.json', b'[1]'), {},
                  ('instances.json', '"images"')),
    'broken pickle': (_broken_pickle, {}, ('refs(unc).p', 'cut off')),
    'empty pickle': (_write('refs(unc).p', b''), {}, ('refs(unc).p', 'empty')),
    'web page': (_write('refs(unc).p', b'<html>'), {},
                 ('refs(unc).p', 'a web page')),
    'pickle with code': (_write('refs(unc).p', b'cos\nsystem\n(S"true"\ntR.'),
                         {}, ('refs(unc).p', 'refused', 'os.system')),
    'no refs': (_write('refs(unc).p', pickle.dumps([])), {},
                ('refs(unc).p', 'no refs')),
    'not a list': (_write('refs(unc).p', pickle.dumps({})), {},
                   ('refs(unc).p', 'dict', 'not a list')),
    'list of other things': (_write('refs(unc).p', pickle.dumps([1])), {},
                             ('Ref number 0', 'lacks ref_id')),
    'unknown split': (None, dict(split='testC'),
                      ("Split 'testC' is empty", 'train (3 refs)',
                       'testA (1 refs)')),
    'one of several splits': (None, dict(split=['train', 'dev']),
                              ("Split 'dev' is empty", 'val (2 refs)')),
    'both split options': (None, dict(split_file='refs(unc).p'),
                           ('split_by', 'split_file')),
    'neither split option': (None, dict(split_by=None),
                             ('split_by', 'split_file')),
    'sentence field': (None, dict(sentence_field='words'),
                       ('words', 'raw', 'sent')),
    'empty sentences': (None, dict(empty_sentences='ignore'),
                        ('ignore', 'error', 'skip')),
    'data prefix': (None, dict(data_prefix=dict(image='x')),
                    ('data_prefix', 'img_path', 'image')),
}


@pytest.mark.parametrize('case', BAD_FILES)
def test_bad_files(tiny_refer_root, case):
    change, kwargs, pieces = BAD_FILES[case]
    if change is not None:
        change(tiny_refer_root)
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        _load(tiny_refer_root, **kwargs)
    for piece in pieces:
        assert piece in str(info.value)
    assert '\n' not in str(info.value)


BAD_PARTS = {
    'empty sentence':
    (lambda refs, _: refs[1]['sentences'][0].update(raw=' \t'),
     ('Ref 2', 'refs(unc).p', 'sentence 3', 'empty', '"skip"')),
    'no text':
    (lambda refs, _: refs[1]['sentences'][0].pop('raw'),
     ('Ref 2', 'sentence 3', '"raw"', "'sent'", 'sentence_field')),
    'no sentences': (lambda refs, _: refs[1].update(sentences=[]),
                     ('Ref 2', 'no sentences', '"skip"')),
    'sentences of another kind':
    (lambda refs, _: refs[1].update(sentences=['a', 'b']),
     ('Ref 2', 'no list of sentences')),
    'no ann_id': (lambda refs, _: refs[1].pop('ann_id'),
                  ('Ref number 1', 'lacks ann_id')),
    'several annotations': (lambda refs, _: refs[1].update(ann_id=[11, 12]),
                            ('Ref number 1', 'list', 'ann_id')),
    'no annotation': (lambda _, inst: inst['annotations'].pop(1),
                      ('Ref 2', 'annotation 12', 'instances.json',
                       'same dataset')),
    'no mask': (lambda _, inst: inst['annotations'][1].pop('segmentation'),
                ('Annotation 12', 'instances.json', '"segmentation"')),
    'no image record': (lambda _, inst: inst['images'].pop(0),
                        ('Ref 1', 'image 1', 'instances.json')),
    'image without size': (lambda _, inst: inst['images'][0].pop('height'),
                           ('instances.json', 'height')),
    'annotation of another image':
    (lambda _, inst: inst['annotations'][1].update(image_id=3),
     ('Ref 2', 'annotation 12', 'image 1', 'image 3')),
}


@pytest.mark.parametrize('case', BAD_PARTS)
def test_bad_parts(tmp_path, write_refer_set, tiny_refer_parts, case):
    change, pieces = BAD_PARTS[case]
    refs, instances = tiny_refer_parts
    change(refs, instances)
    root = write_refer_set(tmp_path / 'set', refs, instances)
    with pytest.raises(ValueError) as info:
        _load(root)
    for piece in pieces:
        assert piece in str(info.value)
    assert '\n' not in str(info.value)


def test_empty_sentences_are_left_out_on_request_and_named(
        tmp_path, write_refer_set, tiny_refer_parts, monkeypatch):
    refs, _ = tiny_refer_parts
    refs[0]['sentences'][1]['raw'] = ' '
    refs[1]['sentences'] = []
    root = write_refer_set(tmp_path / 'set', refs)
    said = []
    monkeypatch.setattr('mmrefseg.datasets.refcoco.print_log',
                        lambda text, **kwargs: said.append((text, kwargs)))
    dataset = _load(root, empty_sentences='skip')
    sent_ids = [dataset.get_data_info(i)['sent_id'] for i in range(4)]
    assert len(dataset) == 4 and sent_ids == [0, 2, 4, 5]
    assert len(dataset.get_ref_groups()) == 2
    for piece in ('2 empty', 'Ref 1', 'sentence 1', 'Ref 2'):
        assert piece in said[0][0]
    assert said[0][1]['level'] == logging.WARNING and len(said) == 1

    for ref in refs:
        ref['sentences'] = []
    root = write_refer_set(tmp_path / 'none', refs)
    with pytest.raises(ValueError, match='nothing is left'):
        _load(root, empty_sentences='skip')


def test_faults_of_other_splits_do_not_matter(tmp_path, write_refer_set,
                                              tiny_refer_parts):
    refs, instances = tiny_refer_parts
    instances['annotations'] = [
        x for x in instances['annotations'] if x['id'] in (11, 12, 21)
    ]
    root = write_refer_set(tmp_path / 'set', refs, instances)
    assert len(_load(root)) == 6
    json.loads((root / 'instances.json').read_text())
