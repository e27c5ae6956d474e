# Licensed under the Apache License, Version 2.0.
"""The command that measures masks of other programs."""

import json
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmrefseg.synthetic import make_synthetic_refs

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/evaluate_masks.py'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('set') / 'scenes'
    make_synthetic_refs(
        str(folder), train=1, val=3, testA=1, testB=1, size=96, seed=0)
    return folder


@pytest.fixture
def run(monkeypatch, capsys):

    def run(*args):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out

    return run


def boxes(scenes, split):
    """Bounding boxes as masks, by pairs of ids, and the oIoU that they have
    by what the annotations say of areas."""
    with open(scenes / 'instances.json') as file:
        found = {x['id']: x for x in json.load(file)['annotations']}
    with open(next(scenes.glob('refs*.p')), 'rb') as file:
        refs = [x for x in pickle.load(file) if x['split'] == split]
    masks, inter, union = {}, 0, 0
    for ref in refs:
        x, y, width, height = found[ref['ann_id']]['bbox']
        mask = np.zeros((96, 96), bool)
        mask[y:y + height, x:x + width] = True
        for sentence in ref['sentences']:
            masks[ref['ref_id'], sentence['sent_id']] = mask
            inter += found[ref['ann_id']]['area']
            union += width * height
    return masks, 100 * inter / union


def test_command(scenes, run, tmp_path):
    masks, expected = boxes(scenes, 'val')
    folder = tmp_path / 'boxes'
    folder.mkdir()
    for (ref, sentence), mask in masks.items():
        Image.fromarray(mask).save(folder / f'{ref}_{sentence}.png')
    out = tmp_path / 'out'
    common = (scenes, '--split', 'val', '--images', scenes / 'images')
    told = run(folder, *common, '--breakdown', 'kind', '--thresholds', 0.5,
               0.95, '--out-dir', out, '--worst', 3)
    assert f' {expected:.2f} |' in told and 'P@0.95' in told
    assert 'kind: appearance' in told and '6 files are in' in told
    with open(out / 'metrics.json') as file:
        metrics = json.load(file)
    assert metrics['oIoU'] == pytest.approx(expected, rel=1e-14)
    assert (out / 'worst' / 'overview.png').exists()

    records = []
    for (_, sentence), mask in masks.items():
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        rle['counts'] = rle['counts'].decode()
        records.append(dict(sent_id=sentence, segmentation=rle))
    file = tmp_path / 'masks.json'
    file.write_text(json.dumps(records[1:]))
    with pytest.raises(SystemExit, match='error: 1 of .* are missing'):
        run(file, *common)
    told = run(file, *common, '--missing', 'empty')
    assert '1 PREDICTIONS ARE MISSING' in told
    for given, message in (
        (['--convention', 'paper'], '--convention paper compares at the size '
         "of the network's input: add --input-size HEIGHT WIDTH"),
        (['--input-size', 96, 96], '--convention default compares at the size '
         'of each image: remove --input-size'),
        (['--convention', 'lavt', '--input-size', 96, 0], '--input-size is .*'
         'not 96 x 0')):
        with pytest.raises(SystemExit, match='error: ' + message):
            run(folder, *common, *given)
    with pytest.raises(SystemExit, match='error: .*could not be written'):
        run(folder, *common, '--out-dir', file)
    for path in folder.iterdir():  # 0 and 1 become 90 and 180
        image = Image.open(path).convert('L').point(lambda x: 90 + x // 2)
        image.save(path)
    with pytest.raises(SystemExit, match='has 2 values besides 0.*mask_value'):
        run(folder, *common)
    for option in (['--mask-value', 217], ['--mask-threshold', 127]):
        assert f' {expected:.2f} |' in run(folder, *common, *option)
        with pytest.raises(SystemExit, match=f'{option[0]} is for folders'):
            run(file, *common, *option)
    told = run(folder, *common, '--mask-value', 217, '--convention', 'paper',
               '--input-size', 96,
               96, '--no-target', 'rela')
    assert 'input size' in told and 'IoU > X' in told and 'T-acc' in told


def test_the_first_command_that_one_types(scenes, run, tmp_path):
    """The images are found."""
    masks, expected = boxes(scenes, 'val')
    folder = tmp_path / 'boxes'
    folder.mkdir()
    for (_, sentence), mask in masks.items():
        Image.fromarray(mask).save(folder / f'{sentence}.png')
    assert f' {expected:.2f} |' in run(folder, scenes, '--split', 'val')
    with pytest.raises(SystemExit, match='--images'):
        run(folder, scenes, '--split', 'val', '--images', tmp_path)


def test_what_is_not_said(scenes, run, tmp_path):
    with pytest.raises(SystemExit, match='Say with --split which split'):
        run(tmp_path, scenes)
    (tmp_path / 'refs(a).p').touch()
    (tmp_path / 'refs(b).p').touch()
    with pytest.raises(SystemExit, match=r'has refs\(a\).p, refs\(b\).p: say'):
        run(tmp_path, tmp_path, '--split', 'val')
