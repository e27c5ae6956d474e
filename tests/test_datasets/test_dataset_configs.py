# Licensed under the Apache License, Version 2.0.
"""The configs of ``configs/_base_/datasets`` on a tiny copy of the folder tree
that ``data/README.md`` shows."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import (DATA_SAMPLERS, DATASETS, TRANSFORMS,
                               init_default_scope)
from mmengine.runner import Runner
from PIL import Image

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / '_base_' / 'datasets'
# The others: test_general_dataset_configs.py, test_synthetic_writer.py,
# test_converters.
CONFIGS = sorted(
    x.stem for x in FOLDER.glob('*.py')
    if not x.stem.startswith(('synthetic', 'grefcoco', 'rrefcoco',
                              'refcoco_all', 'photo_refs', 'ris_cq',
                              'talk2car')))

# folder, split_by, images, splits of the tiny set's refs as the set has them
TREES = {
    'refcoco': ('data/coco/refcoco', 'unc', 'data/coco/train2014', {}),
    'refcoco_plus': ('data/coco/refcoco+', 'unc', 'data/coco/train2014', {}),
    'refcocog_umd': ('data/coco/refcocog', 'umd', 'data/coco/train2014',
                     dict(testA='test', testB='test')),
    'refcocog_google': ('data/coco/refcocog', 'google',
                        'data/coco/train2014', {}),
    'refclef': ('data/refclef', 'unc', 'data/refclef/saiapr_tc-12', {}),
}
# Sentences in train, val and test of the tiny set.
COUNTS = (6, 3, 3)


def _make_tree(name, write, parts):
    if name == 'jsonl_refs':
        root = Path('data/my_refs')
        write(root)
        for split in ('train', 'val'):
            lines = [
                dict(image=f'img_{i}.jpg', text=f'{split} {i}',
                     segmentation=[[5, 5, 40, 5, 40, 40, 5, 40]])
                for i in (1, 2, 3)
            ]
            (root / f'{split}.jsonl').write_text(
                '\n'.join(json.dumps(x) for x in lines))
        return
    folder, split_by, images, names = TREES[name]
    refs, _ = parts
    for ref in refs:
        ref['split'] = names.get(ref['split'], ref['split'])
    root = write(folder, refs=refs, split_by=split_by)
    Path(images).parent.mkdir(parents=True, exist_ok=True)
    (root / 'images').rename(images)


AT_320 = ('refcoco', 'refcoco_plus', 'refcocog_google')  # of CMSA-Net


def test_all_sets_have_a_config_of_both_sizes():
    assert set(CONFIGS) == {'jsonl_refs', *TREES, 'refcoco_480_pillow'} | {
        f'{x}_480'
        for x in TREES
    } | {f'{x}_320'
         for x in AT_320}


@pytest.mark.parametrize('name', CONFIGS)
def test_config_reads_the_documented_tree(name, tmp_path, monkeypatch,
                                          write_refer_set, tiny_refer_parts):
    monkeypatch.chdir(tmp_path)
    _make_tree(
        re.sub('_(320|480).*', '', name), write_refer_set, tiny_refer_parts)
    init_default_scope('mmrefseg')
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    size = int(re.search(r'_(\d+)|$', name)[1] or 448)
    counts = []
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        dataset = DATASETS.build(loader.dataset)
        counts.append(len(dataset))
        packed = dataset[0]
        sample = packed['data_samples']
        assert tuple(packed['inputs'].shape) == (3, size, size)
        assert sample.text
        expected = (size, size) if part == 'train' else sample.ori_shape
        assert tuple(sample.gt_sem_seg.shape) == expected
        assert loader.persistent_workers and loader.num_workers
        sampler = DATA_SAMPLERS.build(
            loader.sampler, default_args=dict(dataset=dataset, seed=0))
        if part == 'train':
            assert len(sampler) == 3 and loader.batch_size == 8
        else:
            assert list(sampler) == list(range(len(dataset)))
    if name == 'jsonl_refs':
        assert counts == [3, 3, 3]
    elif 'google' in name:
        assert counts == [6, 3, 3]  # test is val
    else:
        assert tuple(counts) == COUNTS


def _at_480(config):
    """A config with the sizes of its resizing changed."""
    if isinstance(config, (list, tuple)):
        return [_at_480(x) for x in config]
    if not isinstance(config, dict):
        return config
    changed = {key: _at_480(x) for key, x in config.items()}
    for key in {'scale', 'image_scale'} & set(config):
        assert tuple(config[key]) == (448, 448)
        changed[key] = [480, 480]
    return changed


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*_480.py')),
                         ids=lambda x: x.stem)
def test_twins_differ_in_size_alone(path):
    """Of inherited pipelines a part is changed in place: nothing else may be,
    and nothing of the parent may stay at its own size."""
    parent = Config.fromfile(FOLDER / path.name.replace('_480', ''))
    twin = Config.fromfile(path)
    assert json.loads(json.dumps(twin.to_dict())) == json.loads(
        json.dumps(_at_480(parent.to_dict())))


@pytest.mark.parametrize('name', CONFIGS)
def test_pipelines_keep_left_on_the_left(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    for part in ('train', 'val', 'test'):
        pipeline = cfg[f'{part}_dataloader'].dataset.pipeline
        assert pipeline[-1] == dict(type='PackRefInputs')
        types = [x['type'] for x in pipeline]
        middle = ['LoadRefMask', 'Resize']
        if part != 'train':
            middle.reverse()
        assert types == ['LoadRefImage', *middle, 'PackRefInputs']
        assert cfg[f'{part}_dataloader'].sampler.type == (
            'OneSentencePerRefSampler' if part == 'train' else
            'DefaultSampler')


def test_pillow_resizes_where_it_is_asked_to(tiny_refer_root):
    """As ``PIL.Image.resize`` does it: shrinking averages."""
    init_default_scope('mmrefseg')
    cfg = Config.fromfile(FOLDER / 'refcoco_480_pillow.py')
    for part in ('train', 'test'):
        pipeline = cfg[f'{part}_dataloader'].dataset.pipeline
        resize = dict(next(x for x in pipeline if x.type == 'Resize'))
        assert resize.pop('backend') == 'pillow'
        image = Image.open(sorted((tiny_refer_root / 'images').iterdir())[0])
        resize['scale'] = (40, 30)
        done = TRANSFORMS.build(dict(resize, backend='pillow'))(
            dict(img=np.asarray(image), img_shape=image.size[::-1]))
        expected = image.resize((40, 30), Image.BILINEAR)
        assert np.array_equal(done['img'], np.asarray(expected))


def test_runner_builds_the_loader(tiny_refer_root):
    """Through mmengine's own door, with workers."""
    init_default_scope('mmrefseg')
    cfg = Config.fromfile(FOLDER / 'refcoco.py')
    cfg.merge_from_dict(
        dict(
            train_dataloader=dict(
                batch_size=2,
                num_workers=2,
                dataset=dict(
                    data_root=str(tiny_refer_root),
                    ann_file='instances.json',
                    data_prefix=dict(img_path='images/')))))
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    batches = list(loader)
    assert len(loader) == len(batches) == 1  # 3 refs, the third left out
    assert len(batches[0]['inputs']) == 2
    assert len({x.ref_id for x in batches[0]['data_samples']}) == 2
