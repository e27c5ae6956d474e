# Licensed under the Apache License, Version 2.0.
"""The files of the synthetic scenes, and reading them as a dataset."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmrefseg.datasets import OneSentencePerRefSampler
from mmrefseg.fileio.plain_pickle import loads_plain_pickle
from mmrefseg.registry import DATASETS
from mmrefseg.synthetic import SPLITS, build_scene, make_synthetic_refs, writer
from mmrefseg.synthetic.masks import decode_segmentation, encode_mask

ROOT = Path(__file__).parents[2]
COUNTS = dict(train=6, val=4, testA=2, testB=2)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synthetic') / 'deep' / 'refs'
    assert make_synthetic_refs(str(folder), **COUNTS, size=96, seed=1)
    return folder


def load(root):
    refs = loads_plain_pickle((root / 'refs(synthetic).p').read_bytes(), '')
    return refs, json.loads((root / 'instances.json').read_text())


def test_layout_of_the_files(root):
    assert {p.name for p in root.iterdir()} == {
        'images', 'instances.json', 'refs(synthetic).p', 'synthetic.json'
    }
    refs, instances = load(root)
    images = {x['id']: x for x in instances['images']}
    annotations = {x['id']: x for x in instances['annotations']}
    assert len(images) == len(instances['images']) == sum(COUNTS.values())
    assert len(annotations) == len(instances['annotations'])
    names = {x['id']: x['name'] for x in instances['categories']}
    assert len(names) == 6
    sent_ids = []
    for ref in refs:
        image, ann = images[ref['image_id']], annotations[ref['ann_id']]
        assert ann['image_id'] == image['id'] and ann['iscrowd'] == 0
        assert ann['category_id'] == ref['category_id']
        assert names[ref['category_id']] == ann['attributes']['shape']
        assert ref['file_name'] == image['file_name']
        assert image['file_name'].startswith(ref['split'])
        assert ref['sent_ids'] == [s['sent_id'] for s in ref['sentences']]
        sent_ids += ref['sent_ids']
        for sentence in ref['sentences']:
            assert set(sentence) == {'sent_id', 'raw', 'sent', 'tokens',
                                     'kind'}
            assert sentence['raw'] == sentence['sent']
            assert sentence['tokens'] == sentence['sent'].split()
    assert len(set(sent_ids)) == len(sent_ids)
    assert len({ref['ref_id'] for ref in refs}) == len(refs)
    for split, count in COUNTS.items():
        found = {r['image_id'] for r in refs if r['split'] == split}
        assert len(found) == count  # every scene is spoken of
    for image in images.values():
        picture = cv2.imread(str(root / 'images' / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3)


def test_files_hold_the_scenes(root):
    refs, instances = load(root)
    number = 0
    for split in SPLITS:
        for index in range(COUNTS[split]):
            scene, sentences, picture = build_scene(
                split, index, size=96, seed=1)
            name = f'{split}_{index:06d}.jpg'
            stored = cv2.imread(str(root / 'images' / name)).astype(int)
            assert np.abs(stored - picture).mean() < 6  # JPEG
            for i, item in enumerate(scene.objects):
                ann = instances['annotations'][number]
                number += 1
                mask = scene.mask(i)
                assert np.array_equal(
                    decode_segmentation(ann['segmentation'], 96, 96), mask)
                ys, xs = np.nonzero(mask)
                assert ann['area'] == len(xs)
                assert ann['bbox'] == [
                    xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1
                ]
                assert ann['attributes']['colour'] == item.colour
                told = [[s['sent'] for s in r['sentences']] for r in refs
                        if r['ann_id'] == ann['id']]
                said = [s.text for s in sentences[i]]
                assert told == ([said] if said else [])
    assert number == len(instances['annotations'])


def test_dataset_reads_the_true_masks(root):
    """Through the packaged config, with its own loader of masks."""
    cfg = Config.fromfile(
        ROOT / 'configs/_base_/datasets/synthetic_refs_128.py')
    cfg.val_dataloader.dataset.data_root = str(root)
    cfg.val_dataloader.dataset._scope_ = 'mmrefseg'
    cfg.train_dataloader.dataset._scope_ = 'mmrefseg'
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    refs, _ = load(root)
    assert len(dataset) == sum(
        len(r['sentences']) for r in refs if r['split'] == 'val')
    for info in dataset:
        sample = info['data_samples']
        index = (sample.image_id - 1) % 1_000_000
        scene, sentences, _ = build_scene('val', index, size=96, seed=1)
        which = sample.ann_id % 10
        assert np.array_equal(sample.gt_sem_seg.data[0].numpy(),
                              scene.mask(which))
        assert (sample.text, sample.kind) in [
            (s.text, s.kind) for s in sentences[which]
        ]
        assert info['inputs'].shape == (3, 128, 128)
    cfg.train_dataloader.dataset.data_root = str(root)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    refs = [r for r in refs if r['split'] == 'train']
    assert len(OneSentencePerRefSampler(train, seed=0)) == len(refs)
    mask = train[0]['data_samples'].gt_sem_seg.data
    assert mask.shape == (1, 128, 128) and set(mask.unique().tolist()) == {
        0, 1
    }


@pytest.fixture(scope='module')
def more(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synthetic') / 'more'
    assert make_synthetic_refs(
        str(folder), train=2, val=1, testA=0, testB=0, varied=3, unseenA=2,
        unseenB=2, size=96, seed=1)
    return folder


def test_further_splits_leave_the_others_as_they_are(root, more):
    few, all_refs = (load(x)[0] for x in (root, more))
    first = [r for r in few if r['image_id'] in (1, 2, 1_000_001)]
    kept = [r for r in all_refs if r['split'] in ('train', 'val')]
    assert kept == first
    assert {r['split'] for r in all_refs} == {
        'train', 'val', 'varied', 'unseenA', 'unseenB'
    }
    # a set without them says nothing of them, as it always did
    assert set(json.loads((root / 'synthetic.json').read_text())['scenes']
               ) == set(SPLITS)
    images = load(more)[1]['images']
    assert len({x['height'] for x in images if x['id'] > 4_000_000}) > 2


def test_the_config_of_varied_scenes_reads_them(more):
    cfg = Config.fromfile(
        ROOT / 'configs/_base_/datasets/synthetic_varied_128.py')
    refs, _ = load(more)
    for part, splits in (('train', ('train', 'varied')), ('val', ('val', )),
                         ('test', ('unseenA', 'unseenB'))):
        settings = cfg[f'{part}_dataloader'].dataset
        settings.data_root, settings._scope_ = str(more), 'mmrefseg'
        dataset = DATASETS.build(settings)
        wanted = [r for r in refs if r['split'] in splits]
        assert len(dataset) == sum(len(r['sentences']) for r in wanted)
        assert dataset[len(dataset) - 1]['inputs'].shape == (3, 128, 128)
    last = dataset[len(dataset) - 1]['data_samples']
    assert last.split == 'unseenB' and 'split' in cfg.test_evaluator.breakdown
    assert last.ori_shape == last.gt_sem_seg.data.shape[-2:] != (128, 128)


def test_further_splits_have_one_target_a_sentence(tmp_path):
    with pytest.raises(ValueError, match='varied.*one target only'):
        make_synthetic_refs(str(tmp_path / 'x'), varied=1, targets='any')


def test_masks_are_exact_whatever_their_form():
    rng = np.random.default_rng(0)
    kinds = set()
    for trial in range(60):
        mask = np.zeros((50, 64), np.uint8)
        for x, y, r in rng.integers(4, 50, (2, 3)):
            cv2.circle(mask, (int(x), int(y)), int(r) // 3, 1, -1)
        if trial % 3 == 0:
            mask[20:30, 30:40] = 0  # often a hole
        if trial % 10 == 0:
            mask[:] = 0
            mask[tuple(rng.integers(0, 50, 2))] = 1  # one pixel
        if not mask.any():
            continue
        segmentation = encode_mask(mask)
        json.dumps(segmentation)
        kinds.add(type(segmentation))
        assert np.array_equal(decode_segmentation(segmentation, 50, 64), mask)
    assert kinds == {list, dict}


def test_a_larger_set_begins_with_a_smaller_one(root, tmp_path):
    make_synthetic_refs(
        str(tmp_path / 'more'), train=8, val=5, testA=0, testB=2, size=96,
        seed=1)
    small, large = ({r['ref_id']: r
                     for r in load(x)[0]} for x in (root, tmp_path / 'more'))
    assert all(large[i] == r for i, r in small.items()
               if r['split'] != 'testA')
    assert len(large) > len(small)


def test_made_once(root):
    before = (root / 'instances.json').stat().st_mtime_ns
    assert not make_synthetic_refs(str(root), **COUNTS, size=96, seed=1)
    assert (root / 'instances.json').stat().st_mtime_ns == before


def test_other_parameters_are_not_silently_kept(tmp_path):
    folder = str(tmp_path / 'set')
    few = dict(train=1, val=0, testA=0, testB=0, size=96)
    assert make_synthetic_refs(folder, **few, seed=1)
    with pytest.raises(FileExistsError, match='seed=1 instead of 2.*--force'):
        make_synthetic_refs(folder, **few, seed=2)
    assert make_synthetic_refs(folder, **few, seed=2, force=True)
    assert not make_synthetic_refs(folder, **few, seed=2)
    assert [p.name for p in tmp_path.iterdir()] == ['set']


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='something else'):
        make_synthetic_refs(str(tmp_path), train=1, force=True)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'
    (tmp_path / 'empty').mkdir()
    assert make_synthetic_refs(
        str(tmp_path / 'empty'), train=1, val=0, testA=0, testB=0, size=96)


def test_nothing_is_left_of_a_set_that_failed(tmp_path, monkeypatch):

    def fail(split, index, **kwargs):
        if index == 2:
            raise KeyboardInterrupt
        return build_scene(split, index, **kwargs)

    monkeypatch.setattr(writer, 'build_scene', fail)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic_refs(str(tmp_path / 'set'), train=4, size=96)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('wrong', [
    dict(size=64),
    dict(seed=-1),
    dict(train=-1),
    dict(train=0, val=0, testA=0, testB=0),
    dict(val=1_000_000),
    dict(unseenA=-1)
])
def test_parameters_out_of_range(tmp_path, wrong):
    with pytest.raises(ValueError, match='size >= 96, seed >= 0'):
        make_synthetic_refs(str(tmp_path / 'set'), **wrong)


def test_commands(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / 'set')

    def call(tool, *args):
        monkeypatch.setattr(sys, 'argv', [tool, *args])
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        return capsys.readouterr().out

    make = 'dataset_converters/make_synthetic_refs.py'
    counts = [f'--{split}={n}' for split, n in COUNTS.items()]
    assert '14 scenes written' in call(make, out, *counts, '--size', '96')
    assert 'there already' in call(make, out, *counts, '--size=96')
    with pytest.raises(SystemExit, match='^error: .*--force'):
        call(make, out, *counts, '--size=100')
    few = [f'--{split}=0' for split in SPLITS]
    assert '2 scenes written' in call(make, out + '2', *few, '--unseenA=1',
                                      '--valVaried=1')
