# Licensed under the Apache License, Version 2.0.
"""From the file to JSON lines and into a dataset."""

import json
import random

import numpy as np
import pytest

from mmrefseg.datasets import JSONLinesRefDataset
from mmrefseg.derived_refs import (RefOptions, derive_refs, read_instances,
                                   write_refs)
from mmrefseg.fileio.masks import rasterize

ALL = RefOptions(
    kinds=('category', 'place', 'size', 'relation', 'with', 'colour',
           'plural'),
    no_target=0.2)


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines()]


@pytest.fixture
def written(coco, tmp_path):
    out = tmp_path / 'out' / 'refs.jsonl'
    counts = write_refs(
        read_instances(coco[0]), out, ALL, images=coco[1], split='train')
    return out, counts


def test_each_sentence_has_the_mask_of_its_targets(coco, written):
    annotations = {
        x['id']: x
        for x in json.loads(coco[0].read_text())['annotations']}
    found = lines(written[0])
    assert written[1].total() == len(found) > 40
    for number, ref in enumerate(found, 1):
        assert ref['sent_id'] == number and ref['split'] == 'train'
        assert ref['image'] == f'{ref["image_id"]}.png'
        if ref['kind'] == 'no_target':
            assert ref['no_target'] and 'segmentation' not in ref
            continue
        mask = rasterize(ref['segmentation'], 90, 120)
        if 'ann_id' in ref:
            own = annotations[ref['ann_id']]
            assert own['category_id'] == ref['category_id']
            expected = rasterize(own['segmentation'], 90, 120)
        else:
            own = [x for x in annotations.values()
                   if x['image_id'] == ref['image_id']]
            chosen = [own[int(i)] for i in
                      ref['ref_id'].split(':')[1].split('+')]
            assert len(chosen) > 1
            expected = np.max(
                [rasterize(x['segmentation'], 90, 120) for x in chosen], 0)
        np.testing.assert_array_equal(mask, expected)


def test_the_dataset_reads_it(coco, written):
    dataset = JSONLinesRefDataset(
        ann_file=str(written[0]), data_prefix=dict(img_path=str(coco[1])),
        pipeline=[], split='train')
    assert len(dataset) == written[1].total()


def test_the_same_for_a_seed_whatever_the_order(coco, written, tmp_path):
    def by_photo(path):
        found = {}
        for ref in lines(path):
            ref.pop('sent_id')
            found.setdefault(ref['image_id'], []).append(ref)
        return found

    content = json.loads(coco[0].read_text())
    content['images'].reverse()
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(content))
    again = tmp_path / 'again.jsonl'
    write_refs(read_instances(other), again, ALL, images=coco[1],
               split='train')
    assert by_photo(again) == by_photo(written[0])
    assert [x['image_id'] for x in lines(again)] != [
        x['image_id'] for x in lines(written[0])]
    # a photo alone says what it says among others
    alone = tmp_path / 'alone.jsonl'
    write_refs(read_instances(coco[0], ['12']), alone, ALL, images=coco[1],
               split='train')
    assert by_photo(alone)[12] == by_photo(written[0])[12]
    seeded = tmp_path / 'seeded.jsonl'
    write_refs(read_instances(coco[0]), seeded,
               RefOptions(kinds=ALL.kinds, no_target=0.2, seed=1),
               images=coco[1], split='train')
    assert by_photo(seeded) != by_photo(written[0])


def test_global_random_state_is_neither_read_nor_moved(coco, tmp_path):
    random.seed(1)
    np.random.seed(1)
    state = random.getstate(), np.random.get_state()[1].tolist()
    write_refs(read_instances(coco[0]), tmp_path / 'a.jsonl', RefOptions())
    assert state == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize('form', ['compressed', 'uncompressed'])
def test_run_lengths_and_crowds(make, tmp_path, form):
    boxes = (5, 20, 35, 60), (70, 5, 100, 40), (60, 50, 119, 80)
    content = make.content({
        1: [(name, *box)
            for name, box in zip(('dog', 'cat', 'cat'), boxes, strict=True)]
    })
    for each, box in zip(content['annotations'], boxes, strict=True):
        each['segmentation'] = make.run_lengths(
            *box, height=90, width=120, compressed=form == 'compressed')
    content['annotations'][2]['iscrowd'] = 1
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    out = tmp_path / 'refs.jsonl'
    write_refs(read_instances(path), out, RefOptions(per_object=12))
    found = lines(out)
    assert {x['kind'] for x in found if x['ann_id'] == 1000} >= {'category',
                                                                 'place'}
    # The crowd may be anywhere in its box, so the cat is never "the cat".
    cats = [x for x in found if x['ann_id'] == 1001]
    assert cats and all(x['kind'] != 'category' for x in cats)
    assert not [x for x in found if x['ann_id'] == 1002]
    mask = rasterize(cats[0]['segmentation'], 90, 120)
    assert mask.sum() == 30 * 35 and mask[5:40, 70:100].all()


def test_kinds_numbers_and_shares_are_kept(make):
    layout = make.layout(('dog', 5, 10, 25, 30), ('dog', 60, 40, 95, 90),
                         ('cat', 30, 60, 50, 90))
    refs = derive_refs(layout, RefOptions(kinds=('place', ), per_object=3))
    assert {x.kind for x in refs} == {'place'}
    assert all(sum(x.targets == (i, ) for x in refs) <= 3 for i in range(3))
    many = [
        x.kind for seed in range(60) for x in derive_refs(
            layout,
            RefOptions(no_target=0.25, seed=seed),
            frequencies=dict(horse=1., car=1., bus=1.))]
    assert 0.2 < many.count('no_target') / len(many) < 0.3
    assert len({x.text.lower() for x in refs}) == len(refs)


@pytest.mark.parametrize('wrong, said', [
    (dict(kinds=('place', 'shape')), 'no kind "shape"|no kind shape'),
    (dict(kinds=()), 'no kind at all'),
    (dict(per_object=0), 'per_object must be at least 1'),
    (dict(no_target=1.), 'a share below 1'),
    (dict(ignore_below=0.1), 'ignore_below <= min_area')])
def test_options_out_of_range(wrong, said):
    with pytest.raises(ValueError, match=said):
        RefOptions(**wrong)


def test_colours_need_the_photos(coco, tmp_path):
    options = RefOptions(kinds=('colour', ))
    instances = read_instances(coco[0])
    out = tmp_path / 'refs.jsonl'
    with pytest.raises(ValueError, match='give their folder'):
        write_refs(instances, out, options)
    (coco[1] / '3.png').unlink()
    with pytest.raises(FileNotFoundError, match='3.png is not there'):
        write_refs(instances, out, options, images=coco[1])
    assert not out.exists()


def test_a_mask_that_cannot_be_drawn_is_named(coco, tmp_path):
    content = json.loads(coco[0].read_text())
    broken = content['annotations'][0]
    broken.pop('bbox')
    broken['segmentation'] = [[1, 2, 3]]
    path = tmp_path / 'broken.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='nnotation 7000'):
        write_refs(read_instances(path), tmp_path / 'refs.jsonl',
                   RefOptions())
