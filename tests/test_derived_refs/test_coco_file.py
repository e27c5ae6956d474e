# Licensed under the Apache License, Version 2.0.
"""Instances files, whole and broken."""

import json

import pytest

from mmrefseg.derived_refs import read_ids, read_instances


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_a_file_is_read_in_its_order(coco, make):
    instances = read_instances(coco[0])
    assert [x['id'] for x in instances.images] == list(make.photos)
    assert [len(instances.annotations[x]) for x in make.photos] == [3, 2, 4]
    assert instances.names[1] == 'person'


def test_some_photos_by_ids_of_a_file(coco, tmp_path):
    ids = tmp_path / 'ids.txt'
    ids.write_text('12\n\n 7 \n')
    instances = read_instances(coco[0], read_ids(ids))
    assert [x['id'] for x in instances.images] == [7, 12]


def test_photos_to_be_tested_on_are_left_out(coco, tmp_path):
    leaks = tmp_path / 'held_out.txt'
    leaks.write_text('# Not to be trained on.\n000000000007\n555\n')
    instances = read_instances(coco[0], leave_out=[str(leaks)])
    assert [x['id'] for x in instances.images] == [3, 12]
    instances = read_instances(coco[0], ['7', '12'], [str(leaks)])
    assert [x['id'] for x in instances.images] == [12]


@pytest.mark.parametrize('change, said', [
    (lambda x: x.pop('annotations'), 'no list "annotations"'),
    (lambda x: x['annotations'][0].update(category_id=999),
     'category_id 999, which is not in "categories"'),
    (lambda x: x['annotations'][0].update(image_id=5),
     'is of image 5, which is not in "images"'),
    (lambda x: x['annotations'][0].pop('segmentation'),
     'annotation 7000 has no "segmentation"'),
    (lambda x: x['annotations'][0].update(bbox=[1, 2, 3]),
     '"bbox" is [1, 2, 3], not four numbers'),
    (lambda x: x['annotations'][1].pop('id'),
     'annotation number 1 needs "id"'),
    (lambda x: x['images'][0].pop('width'), 'needs "id", "file_name"'),
    (lambda x: x['images'][0].update(id=3), 'two images with the id 3'),
    (lambda x: x['categories'][0].pop('name'), 'needs an "id" and a "name"'),
])
def test_what_is_wrong_is_said(tmp_path, make, change, said):
    content = make.content(make.photos)
    change(content)
    path = write(tmp_path / 'instances.json', content)
    with pytest.raises(ValueError) as error:
        read_instances(path)
    assert said in str(error.value) and str(path) in str(error.value)


def test_what_is_no_file_is_said(tmp_path, coco):
    with pytest.raises(FileNotFoundError, match='There is no file'):
        read_instances(tmp_path / 'none.json')
    (tmp_path / 'broken.json').write_text('{"images": [')
    with pytest.raises(ValueError, match='is not JSON'):
        read_instances(tmp_path / 'broken.json')
    with pytest.raises(FileNotFoundError, match='of image ids'):
        read_ids(tmp_path / 'none.txt')
    (tmp_path / 'empty.txt').write_text('\n')
    with pytest.raises(ValueError, match='has no image ids'):
        read_ids(tmp_path / 'empty.txt')
    with pytest.raises(ValueError, match='1 of 2 image ids are not in'):
        read_instances(coco[0], ['7', '8'])
