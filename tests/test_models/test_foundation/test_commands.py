# Licensed under the Apache License, Version 2.0.
"""The commands and the inferencer, unchanged, on foundation models."""

import json
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmrefseg.apis import RefSegInferencer, init_model

ROOT = Path(__file__).parents[3]
PIPELINE = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]


@pytest.fixture
def inferencer(settings):

    def make(name, **changes):
        return RefSegInferencer(
            dict(model=settings(name, **changes), test_pipeline=PIPELINE),
            device='cpu')

    return make


def test_inferencer(name, inferencer, build, batch, photos, tmp_path):
    """Files, arrays and several sentences give what testing gives."""
    path = str(tmp_path / 'photo.png')
    Image.fromarray(photos[0]).save(path)
    texts = ['star', 'the red circle on the left']
    results = inferencer(name)(
        [path, photos[2][..., ::-1]], [texts, 'star'],
        out_dir=tmp_path / 'out',
        save_predictions=True)
    (first, second), (other, ) = results['predictions']
    expected = build(name).test_step(
        batch(rows=(0, 0, 2), texts=(*texts, 'star')))
    for found, sample in zip((first, second, other), expected):
        assert found['mask'].shape == sample.ori_shape
        assert found['existence_score'] == pytest.approx(
            sample.existence_score, abs=1e-5)
        assert found['no_target'] is False
        truth = sample.pred_sem_seg.data[0].numpy() == 1
        assert (found['mask'] == truth).mean() > 0.999
        assert Path(found['files']['picture']).is_file()


def test_an_image_is_set_once(name, inferencer, photos):
    segment = inferencer(name)
    called = []
    encode = segment.model.encode_images
    segment.model.encode_images = lambda x: called.append(1) or encode(x)
    image = photos[0][..., ::-1]
    segment.set_image(image)
    kept = segment.segment(['star', 'the red circle'])['predictions']
    assert called == [1]
    fresh = segment(image, ['star', 'the red circle'])['predictions'][0]
    for a, b in zip(kept, fresh):
        assert np.array_equal(a['mask'], b['mask'])
        assert a['existence_score'] == b['existence_score']


def test_grey_and_turned_photos(inferencer, tmp_path):
    segment = inferencer('clipseg')
    grey = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7) * 7)
    exif = grey.getexif()
    exif[0x0112] = 6
    grey.save(tmp_path / 'grey.jpg', exif=exif)
    results = segment(str(tmp_path / 'grey.jpg'), 'star')
    assert results['predictions'][0][0]['mask'].shape == (7, 5)


def test_inferencer_refuses_what_is_not_there(inferencer, photos):
    segment = inferencer('gdino-sam', existence_threshold=1., boxes='all')
    found = segment(photos[0][..., ::-1], 'star')['predictions'][0][0]
    assert found['no_target'] is True and not found['mask'].any()
    assert found['box'] is None and found['score'] == 0
    assert 0 <= found['existence_score'] < 1


def test_no_warning_of_random_weights(settings, monkeypatch):
    from mmrefseg.apis.inference import inferencer
    said = []
    monkeypatch.setattr(inferencer, 'print_log',
                        lambda text, *_, **__: said.append(text))
    RefSegInferencer(
        dict(model=settings('clipseg'), test_pipeline=PIPELINE), device='cpu')
    assert said == []


def test_init_model(settings):
    model = init_model(dict(model=settings('clipseg')), device='cpu')
    assert model.dataset_meta['classes'] == ('background', 'referent')
    assert not model.training


# ------------------------------------------------------------------- tools


@pytest.fixture
def own_data(tmp_path, photos, monkeypatch):
    """A set of JSON lines where the config looks for it."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / 'data/my_refs'
    (root / 'images').mkdir(parents=True)
    for i, photo in enumerate(photos):
        cv2.imwrite(str(root / f'images/{i}.png'), photo[..., ::-1])
    square = [[2, 2, 15, 2, 15, 15, 2, 15]]
    lines = [
        dict(image=f'{i}.png', text=text, segmentation=square)
        for i, text in ((0, 'star'), (0, 'the red circle'), (2, 'square'))
    ]
    (root / 'val.jsonl').write_text('\n'.join(map(json.dumps, lines)))


@pytest.fixture
def general_data(tmp_path, monkeypatch, write_refer_set, tiny_refer_parts):
    """A set in gRefCOCO's layout where the config looks for it: of three
    sentences of val one has no target."""
    monkeypatch.chdir(tmp_path)
    refs, _ = tiny_refer_parts
    refs[3]['ann_id'], refs[4]['ann_id'] = [22], [-1]
    root = write_refer_set('data/coco/grefcoco')
    (root / 'grefs(unc).json').write_text(json.dumps(refs))
    (root / 'images').rename('data/coco/train2014')


@pytest.fixture
def command(monkeypatch):
    """A function that runs a command of tools/ in this process."""

    def run(script, *arguments):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, arguments)])
        runpy.run_path(str(ROOT / 'tools' / script), run_name='__main__')

    return run


@pytest.fixture
def config(settings, tmp_path):
    """A function that writes a config like those of configs/foundation:
    ``config(name, data, evaluator, **changes)``."""

    def write(name, data, evaluator, **changes):
        path = tmp_path / f'{name}.py'
        bases = [
            str(ROOT / 'configs/_base_' / x)
            for x in (f'unresized/{data}.py', 'default_runtime.py')
        ]
        path.write_text(
            f'_base_ = {bases!r}\nmodel = {settings(name, **changes)!r}\n'
            'test_dataloader = dict(batch_size=3, num_workers=0, '
            f'persistent_workers=False)\ntest_evaluator = {evaluator!r}\n'
            f'experiment_name = {name!r}\n')
        return path

    return write


@pytest.mark.parametrize('threshold', [0., 1.])
def test_tools_test(name, threshold, general_data, command, config, tmp_path):
    """Every metric, sentences without a target, and what is written."""
    path = config(
        name,
        'grefcoco',
        dict(no_target=['rela', 'rris'], breakdown=['size', 'length']),
        existence_threshold=threshold)
    command('test.py', path, '--work-dir', tmp_path / 'run', '--out',
            tmp_path / 'masks.jsonl', '--cfg-options',
            'test_dataloader.dataset.split=val')
    scores, = (tmp_path / 'run').glob('*/*.json')
    scores = json.loads(scores.read_text())
    for key in ('oIoU', 'mIoU', 'P0.5', 'gIoU', 'cIoU', 'mRR', 'rIoU'):
        assert 0 <= scores[key] <= 100
    # All or nothing is refused.
    assert (scores['N-acc'], scores['T-acc']) == ((0, 100) if threshold == 0
                                                  else (100, 0))
    if threshold == 1:
        assert scores['oIoU'] == 0
        assert scores['gIoU'] == pytest.approx(100 / 3, abs=0.01)
    lines = (tmp_path / 'masks.jsonl').read_text().splitlines()
    assert len(lines) == 3


def test_a_convention_with_its_own_threshold(own_data, command, config,
                                             tmp_path):
    """Such as CRIS, which takes pixels above 0.35."""
    path = config('clipseg', 'jsonl_refs',
                  dict(convention='cris', eval_size='original'))
    command('test.py', path, 'none', '--work-dir', tmp_path / 'run')
    scores, = (tmp_path / 'run').glob('*/*.json')
    assert 0 < json.loads(scores.read_text())['oIoU'] < 100


def test_other_models_need_their_checkpoint(command, tmp_path):
    nano = sorted((ROOT / 'configs/mpg_lqgnet').glob('*nano_1xb32-400it*'))[0]
    with pytest.raises(ValueError, match='brings no weights: give the path'):
        command('test.py', nano, '--work-dir', tmp_path)
    with pytest.raises(FileNotFoundError):
        command('test.py', nano, 'missing.pth', '--work-dir', tmp_path)


def test_tools_train_says_what_to_train(command, tmp_path):
    path = sorted((ROOT / 'configs/foundation').glob('*.py'))[0]
    with pytest.raises(ValueError, match='train one of configs/mpg_lqgnet'):
        command('train.py', path, '--work-dir', tmp_path)


@pytest.mark.parametrize('path', sorted(
    (ROOT / 'configs/_base_/unresized').glob('*.py')), ids=lambda x: x.stem)
def test_sets_of_photos_differ_in_the_pipeline_alone(path):
    """As ``datasets/`` has them, but neither resized nor trained on."""
    cfg = Config.fromfile(path)
    base = Config.fromfile(path.parents[1] / 'datasets' / path.name)
    assert cfg.train_dataloader is cfg.val_dataloader is None
    assert cfg.val_evaluator is None and cfg.test_cfg == dict(type='TestLoop')
    assert cfg.test_dataloader.dataset.pipeline == PIPELINE
    base.test_dataloader.dataset.pipeline = PIPELINE
    assert cfg.test_dataloader == base.test_dataloader
    assert cfg.test_evaluator == base.test_evaluator


def test_every_single_set_has_photos():
    folder = ROOT / 'configs/_base_'
    sets = {
        x.name
        for x in (folder / 'datasets').glob('*.py')
        if not re.search('_480|_320|^synthetic', x.stem)
    } - {'refcoco_all.py', 'photo_refs_256.py'}
    assert {x.name for x in (folder / 'unresized').glob('*.py')} == sets
