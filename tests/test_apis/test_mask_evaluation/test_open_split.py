# Licensed under the Apache License, Version 2.0.
"""A split from paths: where its images are, and what is no set."""

import json
import shutil

import pytest

from mmrefseg.apis.mask_evaluation import open_split


@pytest.mark.parametrize('place', [
    'tiny_refer/images', 'tiny_refer/train2014', 'tiny_refer', 'train2014',
    'images'
])
def test_images_are_found(tiny_refer_root, tmp_path, place):
    if place != 'tiny_refer/images':
        (tmp_path / place).mkdir(exist_ok=True)
        for path in (tiny_refer_root / 'images').iterdir():
            path.rename(tmp_path / place / path.name)
    dataset = open_split(str(tiny_refer_root), split=['val'])
    expected = (tmp_path / place / 'img_2.jpg').resolve()
    assert dataset[0]['img_path'] == str(expected)


def test_names_with_folders(tiny_refer_parts, write_refer_set, tmp_path):
    _, instances = tiny_refer_parts
    for image in instances['images']:
        image['file_name'] = 'images/' + image['file_name']
    root = write_refer_set(tmp_path / 'set', instances=instances)
    dataset = open_split(str(root), split=['val'])
    assert dataset[0]['img_path'] == str(root / 'images' / 'img_2.jpg')


def test_images_that_are_not_there(tiny_refer_root, tmp_path):
    folder = str(tiny_refer_root)
    with pytest.raises(FileNotFoundError, match='Image .*nowhere/img_2.jpg .*'
                       'does not exist.*--images') as caught:
        open_split(folder, split=['val'], images=str(tmp_path / 'nowhere'))
    assert 'data_prefix' not in str(caught.value)
    shutil.rmtree(tiny_refer_root / 'images')
    with pytest.raises(FileNotFoundError, match='img_2.jpg.*--images'):
        open_split(folder, split=['val'])
    path = tmp_path / 'val.jsonl'
    path.write_text(
        json.dumps(dict(image='a.jpg', text='cup', mask='a.png')) + '\n')
    with pytest.raises(FileNotFoundError, match='a.jpg.*--images') as caught:
        open_split(str(path))
    assert 'data_prefix' not in str(caught.value)


def test_what_is_no_set(tiny_refer_root, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist: give '
                       'a folder.*JSON lines'):
        open_split(str(tmp_path / 'nowhere'), split=['val'])
    shutil.copy(tiny_refer_root / 'refs(unc).p', tiny_refer_root / 'refs.p')
    (tiny_refer_root / 'grefs(unc).json').write_text('[]')
    for name in ('instances.json', 'refs(unc).p', 'grefs(unc).json',
                 'refs.p'):
        with pytest.raises(ValueError, match='is one file of a set: give the '
                           f'folder, {tiny_refer_root}'):
            open_split(str(tiny_refer_root / name), split=['val'])
    (tiny_refer_root / 'grefs(unc).json').unlink()
    (tiny_refer_root / 'instances.json').unlink()
    with pytest.raises(FileNotFoundError, match='has no instances.json'):
        open_split(str(tiny_refer_root), split=['val'])


def test_a_split_by_that_is_not_there(tiny_refer_root):
    with pytest.raises(FileNotFoundError, match=r'refs\(google\)\.p .*does '
                       'not exist.*choose a split_by'):
        open_split(str(tiny_refer_root), split=['val'], split_by='google')
