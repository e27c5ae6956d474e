# Licensed under the Apache License, Version 2.0.
import json
import logging
import pickle

import numpy as np
import pytest
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import init_default_scope
from refer_checks import check_folder

from mmrefseg.datasets import (GRefCOCODataset, OneSentencePerRefSampler,
                               RefCOCODataset)

PIPELINE = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]


def _make_general(refs):
    """gRefCOCO's way: several annotations, one in a list, one, none."""
    refs[0]['ann_id'], refs[0]['category_id'] = [11, 12], [1, 1]
    refs[1]['ann_id'] = [-1]
    refs[2]['ann_id'], refs[2]['category_id'] = [21, 22], [1, 1]
    refs[3]['ann_id'] = [22]
    refs[4]['ann_id'] = -1
    return refs


@pytest.fixture
def write_general_set(write_refer_set, tiny_refer_parts):
    """A function that writes the tiny set in gRefCOCO's layout:
    ``write(folder, change=None, suffix='json')``."""

    def write(folder, change=None, suffix='json'):
        refs, instances = tiny_refer_parts
        refs = _make_general(refs)
        if change is not None:
            change(refs, instances)
        root = write_refer_set(folder, instances=instances)
        (root / 'refs(unc).p').unlink()
        path = root / f'grefs(unc).{suffix}'
        if suffix == 'json':
            path.write_text(json.dumps(refs))
        else:
            path.write_bytes(pickle.dumps(refs, protocol=2))
        return root

    return write


@pytest.fixture
def root(tmp_path, write_general_set):
    return write_general_set(tmp_path / 'grefcoco')


@pytest.mark.parametrize('ref, stated', [(0, True), (1, False), (2, 1),
                                         (2, 'yes'), (4, 0)])
def test_no_target_that_contradicts_the_annotations(tmp_path, ref, stated,
                                                    write_general_set):

    def change(refs, instances):
        for x in refs:
            x['no_target'] = x['ann_id'] in (-1, [-1])
        refs[ref]['no_target'] = stated

    root = write_general_set(tmp_path / 'set', change)
    split = 'val' if ref == 4 else 'train'
    with pytest.raises(ValueError, match=f'Ref {ref + 1} of .*no_target=.* '
                       'beside ann_id .* contradict each other'):
        _load(root, split)
    _load(root, 'train' if ref == 4 else 'val')  # of others it says nothing
    [report] = check_folder(str(root))
    [fault] = [x for x in report.faults if 'no_target' in x.kind]
    assert fault.split == split and not fault.harmless
    assert fault.what.startswith(f'Ref {ref + 1} has no_target=')


def _load(root, split='train', **kwargs):
    init_default_scope('mmrefseg')
    kwargs.setdefault('split_by', 'unc')
    return GRefCOCODataset(
        data_root=str(root),
        data_prefix=dict(img_path='images/'),
        split=split,
        pipeline=PIPELINE,
        **kwargs)


def _boxes(height, width, *boxes):
    mask = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


@pytest.mark.parametrize('suffix', ['json', 'p'])
def test_masks_are_united(tmp_path, write_general_set, suffix):
    dataset = _load(write_general_set(tmp_path / 'set', suffix=suffix))
    assert len(dataset) == 6
    expected = {
        # Polygons of two annotations, one of which has two parts.
        1: _boxes(64, 96, (10, 10, 40, 30), (30, 20, 60, 50),
                  (70, 40, 96, 64)),
        2: _boxes(64, 96),
        # Crowds: run lengths, one compressed and one not.
        3: _boxes(80, 80, (0, 0, 25, 30), (40, 35, 70, 75))
    }
    seen = set()
    for i in range(6):
        sample = dataset[i]['data_samples']
        mask = sample.gt_sem_seg.data[0].numpy()
        assert np.array_equal(mask == 1, expected[sample.ref_id])
        assert sample.no_target is (sample.ref_id == 2)
        assert mask.dtype == np.int64 and set(np.unique(mask)) <= {0, 1}
        seen.add(sample.ref_id)
    assert seen == {1, 2, 3}


def test_a_crowd_and_polygons(tmp_path, write_general_set):

    def change(refs, instances):
        refs[2]['ann_id'] = [22, 23]
        instances['annotations'].append(
            dict(
                id=23,
                image_id=2,
                category_id=1,
                segmentation=[[0, 0, 5, 0, 5, 5, 0, 5]]))

    dataset = _load(write_general_set(tmp_path / 'set', change))
    mask = dataset[4]['data_samples'].gt_sem_seg.data[0].numpy()
    assert np.array_equal(mask == 1,
                          _boxes(80, 80, (40, 35, 70, 75), (0, 0, 5, 5)))


def test_what_an_item_says(root):
    info = _load(root, ['train', 'val'])
    several, none, one, bare = (info.get_data_info(i) for i in (0, 3, 6, 8))
    assert several['ann_id'] == [11, 12] and several['category_id'] == [1, 1]
    assert len(several['segmentation']) == 3 and not several['no_target']
    assert none['ann_id'] == [] and none['category_id'] == []
    assert none['segmentation'] == [] and none['no_target'] is True
    assert one['ann_id'] == [22] and one['no_target'] is False
    assert one['segmentation']['size'] == [80, 80]
    assert bare['ref_id'] == 5 and bare['no_target'] is True
    # What an item holds may be changed without harm to the next.
    several['segmentation'].clear()
    assert len(info.get_data_info(0)['segmentation']) == 3
    # Each annotation's mask is kept once.
    assert len(info.masks) == 4


def test_groups_and_sampler(root):
    dataset = _load(root)
    assert [len(x) for x in dataset.get_ref_groups()] == [3, 1, 2]
    drawn = [
        dataset.get_data_info(i)['ref_id']
        for i in OneSentencePerRefSampler(dataset, seed=0)
    ]
    assert sorted(drawn) == [1, 2, 3]


def test_by_its_name(root):
    init_default_scope('mmrefseg')
    dataset = ROOT_DATASETS.build(
        dict(
            type='GRefCOCODataset',
            data_root=str(root),
            data_prefix=dict(img_path='images/'),
            split='train',
            split_by=None,
            split_file='grefs(unc).json'))
    assert len(dataset) == 6


def test_refs_without_sentences_are_left_out_on_request(
        tmp_path, write_general_set, monkeypatch):
    """The public file has some in val."""
    root = write_general_set(
        tmp_path / 'set', lambda refs, _: refs[1].update(sentences=[]))
    with pytest.raises(ValueError, match='Ref 2.*no sentences.*"skip"'):
        _load(root)
    said = []
    monkeypatch.setattr('mmrefseg.datasets.refcoco.print_log',
                        lambda text, **kwargs: said.append((text, kwargs)))
    assert len(_load(root, empty_sentences='skip')) == 5
    assert 'Ref 2' in said[0][0] and said[0][1]['level'] == logging.WARNING


BAD = {
    'empty list': (lambda refs, _: refs[0].update(ann_id=[]),
                   ("Ref 1 of", "ann_id '[]'", '[-1]', 'grefs(unc).json')),
    'a target and none': (lambda refs, _: refs[0].update(ann_id=[11, -1]),
                          ('Ref 1 of', '[11, -1]', '[-1] for no target')),
    'null': (lambda refs, _: refs[0].update(ann_id=None),
             ('Ref 1 of', "'None'", 'list of ids')),
    'lists in a list': (lambda refs, _: refs[0].update(ann_id=[[11]]),
                        ('Ref 1 of', '[[11]]', 'list of ids')),
    'a number that is no id': (lambda refs, _: refs[0].update(ann_id=[1.5]),
                               ('Ref 1 of', '[1.5]')),
    'unknown annotation': (lambda refs, _: refs[0].update(ann_id=[11, 77]),
                           ('Ref 1 of', 'annotation 77', 'instances.json')),
    'annotation of another image':
    (lambda refs, _: refs[0].update(ann_id=[11, 21]),
     ('Ref 1 of', 'annotation 21 lies in image 2')),
    'no-target in no image': (lambda refs, _: refs[1].update(image_id=99),
                              ('Ref 2 of', 'image 99', 'instances.json')),
    'no split': (lambda refs, _: refs[1].update(split=None),
                 ('Ref 2 of', 'NoneType', 'split')),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_refs(tmp_path, write_general_set, case):
    change, pieces = BAD[case]
    with pytest.raises(ValueError) as info:
        _load(write_general_set(tmp_path / 'set', change))
    for piece in pieces:
        assert piece in str(info.value)
    assert '\n' not in str(info.value)


def test_bad_files(tmp_path, write_general_set):
    root = write_general_set(tmp_path / 'set')
    with pytest.raises(FileNotFoundError) as info:
        _load(root, split_by='umd')
    for piece in ('grefs(umd).json or ', 'grefs(umd).p', 'grefs(unc).json',
                  'docs/data.md'):
        assert piece in str(info.value)
    (root / 'grefs(unc).json').write_text('[{"ref_id": 1')
    with pytest.raises(ValueError, match='grefs.*not readable JSON'):
        _load(root)
    (root / 'grefs(unc).json').write_text('{}')
    with pytest.raises(ValueError, match='grefs.*dict, not a list'):
        _load(root)
    (root / 'grefs(unc).json').write_text('')
    with pytest.raises(ValueError, match='grefs.*is empty'):
        _load(root)


def test_an_empty_mask_stays_an_error_where_something_is_meant(
        tmp_path, write_general_set):
    """A target that is not to be seen is no target that is not there."""

    def change(refs, instances):
        refs[0]['ann_id'] = [12]
        instances['annotations'][1]['segmentation'] = [[
            -9, -9, -3, -9, -3, -3, -9, -3
        ]]

    dataset = _load(write_general_set(tmp_path / 'set', change))
    with pytest.raises(ValueError, match='ref 1, sentence 0.*is empty'):
        dataset[0]
    assert not dataset[3]['data_samples'].gt_sem_seg.data.any()


def test_the_classic_dataset_knows_no_absence(tmp_path, write_refer_set,
                                              tiny_refer_parts):
    refs, _ = tiny_refer_parts
    refs[1]['ann_id'] = -1
    root = write_refer_set(tmp_path / 'set', refs=refs)
    with pytest.raises(ValueError, match='Ref 2.*annotation -1'):
        RefCOCODataset(
            data_root=str(root),
            data_prefix=dict(img_path='images/'),
            split='train',
            split_by='unc')
