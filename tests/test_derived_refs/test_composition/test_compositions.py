# Licensed under the Apache License, Version 2.0.
"""Compositions of photos in which each thing has a colour of its own."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmrefseg.derived_refs import read_instances
from mmrefseg.derived_refs.composition import (ComposeOptions, Composer,
                                               compose_set)
from mmrefseg.fileio.masks import rasterize

TOOLS = Path(__file__).parents[3] / 'tools/dataset_converters'
PLAIN = dict(colour=False, flip=False, scale=False)


@pytest.fixture
def flat(make, tmp_path):
    """Photos of things of one colour each, and those colours by id."""
    photos = {
        1: [('dog', 20, 20, 60, 70), ('cat', 90, 30, 130, 80)],
        2: [('bus', 30, 30, 120, 90)],
        3: [('person', 15, 15, 45, 95), ('dog', 80, 50, 130, 95)],
    }
    folder = tmp_path / 'photos'
    folder.mkdir()
    colours = {}
    content = make.content(photos, size=(160, 110))
    for number, things in photos.items():
        image = np.full((110, 160, 3), 128, np.uint8)
        image[:, 80:] = 100
        for k, (_, x0, y0, x1, y1) in enumerate(things):
            colour = 37 * (number + 2 * k), 250 - 60 * number, 40 + 90 * k
            image[y0:y1, x0:x1] = colour
            colours[1000 * number + k] = colour
        cv2.imwrite(str(folder / f'{number}.png'), image)
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    return path, folder, colours


def composer_of(flat, **options):
    return Composer(
        read_instances(flat[0]), flat[1], ComposeOptions(size=160, **options))


def test_masks_are_of_what_is_seen(flat):
    composer = composer_of(flat, colour=False)
    pasted = overlapping = 0
    for index in range(40):
        image, objects, source = composer.compose(index, 0)
        assert max(image.shape[:2]) == 160 and image.dtype == np.uint8
        taken = np.zeros(image.shape[:2], int)
        for each in objects:
            taken += each.mask
            pasted += each.source // 1000 != source['id']
            overlapping += each.seen < 0.95
            inner = cv2.erode(each.mask.astype(np.uint8), np.ones((11, 11)),
                              borderValue=0) > 0
            if inner.sum() < 20:
                continue
            away = abs(image[inner].astype(int) - flat[2][each.source]).max(1)
            # a soft edge of what lies on top may reach in
            assert np.mean(away < 6) > 0.97, (index, each.source)
        assert taken.max() <= 1
    assert pasted > 30 and overlapping > 3


def test_one_depends_on_seed_and_number_alone(flat):
    composer = composer_of(flat)
    first = composer.compose(3, 0)
    composer.compose(5, 0)
    again = composer.compose(3, 0)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], composer.compose(3, 1)[0])


def test_nothing_is_pasted(flat):
    composer = composer_of(flat, paste=False)
    for index in range(10):
        _, objects, source = composer.compose(index, 0)
        assert all(x.source // 1000 == source['id'] for x in objects)


def test_with_nothing_varied_a_photo_is_itself(flat):
    composer = composer_of(flat, paste=False, **PLAIN)
    for index in range(5):
        image, objects, source = composer.compose(index, 0)
        np.testing.assert_array_equal(
            image, cv2.imread(str(flat[1] / source['file_name'])))
        own = composer.instances.annotations[source['id']]
        assert len(objects) == len(own)
        for each, annotation in zip(objects, own, strict=True):
            np.testing.assert_array_equal(
                each.mask, rasterize(annotation['segmentation'], 110, 160))


@pytest.mark.parametrize('switch', ['flip', 'scale', 'colour'])
def test_each_switch_varies_what_it_says(flat, switch):
    composer = composer_of(flat, paste=False, **{**PLAIN, switch: True})
    mirrored = moved = recoloured = 0
    for index in range(12):
        image, objects, source = composer.compose(index, 0)
        photo = cv2.imread(str(flat[1] / source['file_name']))
        own = composer.instances.annotations[source['id']]
        masks = {x.source: x.mask for x in objects}
        for each in own:
            before = rasterize(each['segmentation'], 110, 160)
            after = masks.get(each['id'], np.zeros_like(before))
            if switch == 'flip' and np.array_equal(after, before[:, ::-1]):
                mirrored += 1
                assert np.array_equal(image, photo[:, ::-1])
            else:
                moved += not np.array_equal(after, before)
        recoloured += switch == 'colour' and not np.array_equal(image, photo)
    assert (mirrored > 0) == (switch == 'flip')
    assert (moved > 0) == (switch == 'scale')
    assert (recoloured > 0) == (switch == 'colour')


@pytest.mark.parametrize('wrong', [
    dict(size=10), dict(max_pasted=-1), dict(zoom=(2., 1.))])
def test_options_out_of_range(wrong):
    with pytest.raises(ValueError, match='Compositions need a size'):
        ComposeOptions(**wrong)


def files(folder):
    return {x.relative_to(folder): x.read_bytes()
            for x in sorted(folder.rglob('*')) if x.is_file()}


def compose(flat, out, **options):
    return compose_set(
        read_instances(flat[0]), flat[1], out,
        options=ComposeOptions(size=96), **options)


def test_a_set_is_an_instances_file_again(flat, tmp_path):
    count = compose(flat, tmp_path / 'set', number=6, originals=True)
    made = read_instances(tmp_path / 'set/instances.json')
    assert len(made.images) == 9
    assert count == sum(len(x) for x in made.annotations.values())
    for image in made.images:
        pixels = cv2.imread(str(tmp_path / 'set/images' / image['file_name']))
        assert pixels.shape[:2] == (image['height'], image['width'])
        for each in made.annotations[image['id']]:
            mask = rasterize(each['segmentation'], *pixels.shape[:2])
            ys, xs = np.nonzero(mask)
            x, y, w, h = each['bbox']
            if 'source_id' in each:
                assert each['area'] == len(xs)
                assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (
                    x, y, x + w, y + h)
    copied = tmp_path / 'set/images/original_1.png'
    assert copied.read_bytes() == (flat[1] / '1.png').read_bytes()
    ids = [x['id'] for own in made.annotations.values() for x in own]
    assert len(set(ids)) == len(ids)


def test_two_processes_write_the_same(flat, tmp_path):
    # more than one goes to each
    compose(flat, tmp_path / 'one', number=20)
    compose(flat, tmp_path / 'two', number=20, workers=2)
    assert files(tmp_path / 'one') == files(tmp_path / 'two')


@pytest.mark.parametrize('options, error, said', [
    (dict(number=0), ValueError, 'either compositions or the originals'),
    (dict(number=1, workers=0), ValueError, 'at least 1 worker'),
    (dict(number=1, seed=-1), ValueError, 'at least 0')])
def test_numbers_out_of_range(flat, tmp_path, options, error, said):
    with pytest.raises(error, match=said):
        compose(flat, tmp_path / 'set', **options)


def test_what_is_missing_or_in_the_way_is_said(flat, tmp_path):
    with pytest.raises(FileExistsError, match='not empty'):
        compose(flat, tmp_path, number=1)
    (flat[1] / '2.png').rename(flat[1] / 'x.png')
    with pytest.raises(FileNotFoundError, match='2.png'):
        compose(flat, tmp_path / 'set', number=20)
    cv2.imwrite(str(flat[1] / '2.png'), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(ValueError, match='is 20 x 30 .* annotated as 110 x'):
        compose(flat, tmp_path / 'other', number=20)


def run(monkeypatch, tool, *args):
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
    runpy.run_path(str(TOOLS / tool), run_name='__main__')


def test_both_commands(flat, tmp_path, monkeypatch, capsys):
    ids = tmp_path / 'ids.txt'
    ids.write_text('1\n3\n')
    run(monkeypatch, 'compose_coco.py', flat[0], flat[1], tmp_path / 'set',
        '--ids', ids, '--number', 5, '--size', 96, '--originals', '--no-flip')
    assert capsys.readouterr().out.startswith('7 photos with ')
    refs = tmp_path / 'refs.jsonl'
    run(monkeypatch, 'coco_to_refs.py', tmp_path / 'set/instances.json', refs,
        '--images', tmp_path / 'set/images', '--plurals', '--no-target', 0.2,
        '--split', 'train')
    said = capsys.readouterr().out
    found = [json.loads(x) for x in refs.read_text().splitlines()]
    assert f'{len(found)} sentences about 7 photos' in said
    assert {'category', 'place', 'no_target'} <= {x['kind'] for x in found}
    assert all(x['split'] == 'train' for x in found)


@pytest.mark.parametrize('tool, args, said', [
    ('coco_to_refs.py', ('none.json', 'refs.jsonl'), 'no file none.json'),
    ('coco_to_refs.py', ('{0}', 'refs.jsonl', '--kinds', 'shape'),
     'There is no kind'),
    ('coco_to_refs.py', ('{0}', 'refs.jsonl', '--kinds', 'colour'),
     '--images'),
    ('compose_coco.py', ('{0}', '{1}', 'out', '--size', '8'),
     'a size of 32 to 4096'),
    ('compose_coco.py', ('{0}', 'nowhere', 'out', '--number', '1'),
     'is not there')])
def test_errors_are_one_sentence(flat, tmp_path, monkeypatch, tool, args,
                                 said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        run(monkeypatch, tool, *(x.format(*flat) for x in args))
    message = str(error.value)
    assert message.startswith('error: ') and said in message
    assert '\n' not in message
