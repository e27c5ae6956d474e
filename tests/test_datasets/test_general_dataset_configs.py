# Licensed under the Apache License, Version 2.0.
"""The configs of sets with other layouts, and of several sets together, on a
tiny copy of the folder tree that ``data/README.md`` shows."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import (DATA_SAMPLERS, DATASETS, METRICS,
                               init_default_scope)
from mmengine.runner import Runner

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / '_base_' / 'datasets'
SETS = {
    'grefcoco': 'grefcoco/grefs(unc).json',
    'rrefcoco': 'rrefcoco/refs(unc).p',
    'rrefcoco_plus': 'rrefcoco+/refs(unc).p',
    'rrefcocog': 'rrefcocog/refs(umd).p',
}
CONFIGS = [f'{x}{size}' for x in (*SETS, 'refcoco_all')
           for size in ('', '_480')]


@pytest.fixture(autouse=True)
def coco(tmp_path, monkeypatch):
    """The folder ``data/coco`` with the tiny set's images, which is the
    working directory's own."""
    init_default_scope('mmrefseg')
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'data' / 'coco'
    folder.mkdir(parents=True)
    return folder


def _write(coco, write, path, refs):
    """One set in its folder; images go to ``train2014``."""
    folder, name = path.split('/')
    split_by = name.partition('(')[2].partition(')')[0]
    root = write(coco / folder, refs=refs, split_by=split_by)
    if name.startswith('grefs'):
        (root / f'refs({split_by}).p').unlink()
        (root / name).write_text(json.dumps(refs))
    if (coco / 'train2014').exists():
        return
    (root / 'images').rename(coco / 'train2014')


def _load(name):
    return Config.fromfile(FOLDER / f'{name}.py')


def test_each_has_both_sizes():
    assert {x.stem for x in FOLDER.glob('*refcoco*')
            if x.stem in CONFIGS} == set(CONFIGS)
    for name in CONFIGS:
        cfg = _load(name)
        side = 480 if name.endswith('_480') else 448
        sets = [cfg.val_dataloader.dataset, cfg.test_dataloader.dataset]
        train = cfg.train_dataloader.dataset
        sets += train.get('datasets', [train])
        for dataset in sets:
            resize = [x for x in dataset.pipeline if x.type == 'Resize']
            assert [tuple(x.scale) for x in resize] == [(side, side)]
        assert cfg.train_dataloader.sampler.type == 'OneSentencePerRefSampler'


@pytest.mark.parametrize('name', SETS)
def test_no_target_sentences(name, coco, write_refer_set,
                                     tiny_refer_parts):
    refs, _ = tiny_refer_parts
    for ref in refs:
        # The second ref of train and one of val's and test's.
        nothing = ref['ref_id'] in (2, 4, 6)
        if name == 'grefcoco':
            ref['ann_id'] = [-1] if nothing else [ref['ann_id']]
        elif nothing:
            ref['sentences'][0]['exist'] = False
        if name == 'rrefcocog' and 'test' in ref['split']:
            ref['split'] = 'test'
    if name == 'grefcoco':
        refs.append(dict(refs[3], ref_id=77, sentences=[]))
    _write(coco, write_refer_set, SETS[name], refs)
    cfg = _load(name)
    for part in ('train', 'val', 'test'):
        dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
        nothing = 0
        for i in range(len(dataset)):
            sample = dataset[i]['data_samples']
            nothing += sample.no_target
            assert bool(sample.gt_sem_seg.data.any()) != sample.no_target
            assert 'exist' not in sample
        assert 0 < nothing < len(dataset)
        if part == 'train':
            sampler = DATA_SAMPLERS.build(
                cfg.train_dataloader.sampler,
                default_args=dict(dataset=dataset, seed=0))
            assert len(sampler) == 3
    rule = 'rela' if name == 'grefcoco' else 'rris'
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert METRICS.build(evaluator).convention.no_target == (rule, )


@pytest.mark.parametrize('name', ['refcoco_all', 'refcoco_all_480'])
def test_several_sets_without_held_out_images(name, coco, write_refer_set,
                                              tiny_refer_parts):
    """Image 1 is tested on by RefCOCO+, image 2 by RefCOCO and validated on
    by RefCOCOg: of training images 3 and 4 are left."""
    refs, _ = tiny_refer_parts
    splits = {
        'refcoco/refs(unc).p': ('train', 'testA', 'train', 'train'),
        'refcoco+/refs(unc).p': ('testB', 'train', 'train', 'train'),
        'refcocog/refs(umd).p': ('train', 'val', 'train', 'train'),
    }
    for path, split in splits.items():
        for ref in refs:
            ref['split'] = split[ref['image_id'] - 1]
        _write(coco, write_refer_set, path, refs)
    cfg = _load(name)
    cfg.train_dataloader.update(
        batch_size=3, num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    # Three refs in images 3 and 4, in each of the three sets.
    assert len(loader.dataset) == 3 * 4 and len(loader) == 3
    seen = []
    for batch in loader:
        assert len(batch['inputs']) == 3
        seen += [(x.image_id, x.ref_id) for x in batch['data_samples']]
    assert sorted(seen) == sorted(3 * [(3, 5), (4, 6), (4, 7)])


def test_photos_of_ones_own(coco, write_refer_set):
    """What compose_coco.py and coco_to_refs.py leave."""
    root = write_refer_set(coco.parent / 'photo_refs' / 'train')
    for split in ('train', 'val'):
        lines = [
            dict(image='img_1.jpg', text='the dog', kind='category',
                 segmentation=[[5, 5, 40, 5, 40, 40, 5, 40]]),
            dict(image='img_1.jpg', text='the zebra', kind='no_target',
                 no_target=True)
        ]
        (coco.parent / 'photo_refs' / f'{split}.jsonl').write_text(
            '\n'.join(map(json.dumps, lines)))
    (root.parent / 'val').symlink_to(root)
    cfg = _load('photo_refs_256')
    for part in ('train', 'val', 'test'):
        dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
        samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
        size = 256 if part == 'train' else 320
        assert [x.img_shape for x in samples] == [(size, size)] * 2
        assert [bool(x.gt_sem_seg.data.any()) for x in samples
                ] == [True, False]
