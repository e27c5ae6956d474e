# Licensed under the Apache License, Version 2.0.
"""Each format, through the dataset: sentences, ids and masks as written."""

import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from converter_sets import (MAKERS, SIZE, draw_pillow, dump, hf_refer_rows,
                            lvis_content)
from mmengine.registry import init_default_scope
from PIL import Image

from mmrefseg.converters import FORMATS, convert_refs
from mmrefseg.datasets import JSONLinesRefDataset
from mmrefseg.derived_refs import RefOptions, read_instances, write_refs

PIPELINE = [dict(type='LoadRefImage'), dict(type='LoadRefMask')]
WITH_LINES = [x for x in FORMATS if x != 'lvis']


def load(path, images, **options):
    init_default_scope('mmrefseg')
    return JSONLinesRefDataset(
        ann_file=str(path),
        data_prefix=dict(img_path=str(images)),
        pipeline=PIPELINE,
        **options)


def check(dataset, images, lines):
    assert len(dataset) == len(lines)
    for index, (text, image, mask, more) in enumerate(lines):
        item = dataset[index]
        assert item['text'] == text
        assert item['img_path'] == str(images / image)
        assert item['gt_seg_map'].shape == SIZE
        assert np.array_equal(item['gt_seg_map'] == 1, mask)
        for key, value in more.items():
            assert item[key] == value, key


def test_every_format_is_tested():
    assert set(MAKERS) == set(FORMATS)


@pytest.mark.parametrize('name', WITH_LINES)
def test_lines_are_what_the_set_says(name, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    out = tmp_path / 'out' / 'refs.jsonl'
    report = convert_refs(name, made.source, out, **made.options)
    assert report.sentences.total() == len(made.lines)
    assert report.images == {line[1] for line in made.lines}
    assert list(out.parent.iterdir()) == [out]
    dataset = load(out, made.images)
    assert len(dataset.get_ref_groups()) == len(report.refs)
    check(dataset, made.images, made.lines)
    split = made.lines[-1][3]['split']
    own = [line for line in made.lines if line[3]['split'] == split]
    check(load(out, made.images, split=split), made.images, own)


@pytest.mark.parametrize('name, reasons', [
    ('ris-cq', {'no pixel of the mask file has the id': 1,
                'the sentence is empty': 1}),
    ('talk2car-regseg', {'no region is drawn in the mask file': 1}),
    ('phrasecut', {'no polygon has an area': 1}),
    ('mdetr', {'no annotation belongs to the sentence': 1}),
    ('rrsis-d', {
        'its image or its annotation is not in instances.json': 1}),
])
def test_what_is_left_out_is_counted(name, reasons, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    report = convert_refs(name, made.source, tmp_path / 'x', **made.options)
    assert report.skipped == reasons
    for reason in reasons:
        assert f'1 left out: {reason} (first: ' in str(report)
        assert str(made.source) in report.examples[reason]


@pytest.mark.parametrize('name', ['talk2car-regseg', 'hf-refcoco',
                                  'rrsis-d'])
def test_one_split_of_several(name, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    split = made.lines[-1][3]['split']
    out = tmp_path / 'x.jsonl'
    report = convert_refs(name, made.source, out, split=split)
    own = [line for line in made.lines if line[3]['split'] == split]
    assert report.sentences == {split: len(own)}
    check(load(out, made.images), made.images, own)


def test_sentences_in_lower_case(tmp_path):
    out = tmp_path / 'x.jsonl'
    for name, texts in (('hf-refcoco', ['ref 30 1', 'ref 30 2', 'ref 31 1',
                                        'ref 31 2']),
                        ('rrsis-d', ['vehicle 1', 'vehicle 2'])):
        made = MAKERS[name](tmp_path / name)
        convert_refs(name, made.source, out, sentence_field='sent')
        dataset = load(out, made.images)
        assert [dataset.get_data_info(i)['text']
                for i in range(len(dataset))] == texts


@pytest.mark.parametrize('name', ['ris-cq', 'talk2car-regseg'])
def test_missing_mask_files(name, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    moved = tmp_path / 'elsewhere'
    masks = made.source.parent / ('masks' if 'car' in name else
                                  'panoptic_train2017')
    (masks if 'car' in name else masks / '000000000009.png').rename(moved)
    with pytest.raises(FileNotFoundError, match='--masks.*--skip-missing'):
        convert_refs(name, made.source, tmp_path / 'x', **made.options)
    if 'car' in name:
        report = convert_refs(
            name, made.source, tmp_path / 'x', masks=str(moved))
        assert report.sentences.total() == len(made.lines)
    else:
        report = convert_refs(
            name, made.source, tmp_path / 'x', skip_missing=True)
        assert report.sentences.total() == 1
        assert report.skipped['the mask file does not exist'] == 4


def test_phrasecut_as_its_own_code_draws(tmp_path):
    made = MAKERS['phrasecut'](tmp_path / 'set')
    out = tmp_path / 'x.jsonl'
    sizes = str(tmp_path / 'set/image_data_split3000.json')
    report = convert_refs(
        'phrasecut', made.source, out, image_data=sizes, draw='phrasecut')
    assert not report.skipped  # a line has the pixels of its outline
    dataset = load(out, made.images)
    rows = json.loads(made.source.read_text())
    for index, row in enumerate(rows):
        expected = draw_pillow([x for part in row['Polygons'] for x in part])
        assert np.array_equal(dataset[index]['gt_seg_map'] == 1, expected)
    assert not np.array_equal(dataset[0]['gt_seg_map'] == 1, made.lines[0][2])
    with pytest.raises(ValueError, match='--image-data'):
        convert_refs('phrasecut', made.source, out, draw='phrasecut')
    convert_refs('phrasecut', made.source, out, image_data=sizes)
    assert load(out, made.images).get_data_info(0)['height'] == SIZE[0]
    check(load(out, made.images), made.images, made.lines)


def test_mdetr_with_masks_of_its_own(tmp_path):
    made = MAKERS['mdetr'](tmp_path / 'set')
    content = json.loads(made.source.read_text())
    masks = json.loads(
        (tmp_path / 'set/instances_train2014.json').read_text())
    masks = {x['id']: x['segmentation'] for x in masks['annotations']}
    for ann in content['annotations']:
        ann['segmentation'] = masks[ann['original_id']]
    dump(made.source, content)
    out = tmp_path / 'x.jsonl'
    convert_refs('mdetr', made.source, out, split='train')
    check(load(out, made.images), made.images, made.lines)


def test_mdetr_boxes_alone_are_refused(tmp_path):
    made = MAKERS['mdetr'](tmp_path / 'set')
    out = tmp_path / 'x.jsonl'
    with pytest.raises(ValueError, match='a box is no mask.*--instances'):
        convert_refs('mdetr', made.source, out)
    assert not out.exists()


def _answer_rows(root, content=None):
    """Rows of the second layout, and their lines."""
    refer, _ = hf_refer_rows(root)
    polygon = [1., 1., 10., 1., 10., 10., 1., 10.]
    rows = [
        dict(
            question_id='q7',
            question='Describe it.',
            answer=['left one', 'Small One'],
            segmentation=polygon,
            bbox=[1., 1., 9., 9.],
            iscrowd=0,
            file_name='COCO_train2014_000000000009_501.jpg',
            image=dict(bytes=content, path=None)),
        dict(
            question_id='q8',
            question='Describe it.',
            answer=['none'],
            segmentation=[1., 2., 3., 4.],
            bbox=[1., 1., 9., 9.],
            iscrowd=0,
            file_name='COCO_train2014_000000000009_502.jpg',
            image=dict(bytes=content, path=None)),
    ]
    mask = np.zeros(SIZE, bool)
    mask[1:10, 1:10] = True
    lines = [(text, 'COCO_train2014_000000000009.jpg', mask,
              dict(image_id=9, ann_id=501, sent_id=f'q7_{n}'))
             for n, text in enumerate(rows[0]['answer'])]
    return rows, lines


def test_rows_of_answers(tmp_path):
    rows, lines = _answer_rows(tmp_path)
    source = tmp_path / 'rows.jsonl'
    source.write_text(''.join(
        json.dumps(dict(x, image=None)) + '\n' for x in rows))
    out = tmp_path / 'x.jsonl'
    report = convert_refs('hf-refcoco', source, out)
    assert report.skipped == {'its polygon has no area': 1}
    check(load(out, tmp_path / 'train2014'), tmp_path / 'train2014', lines)
    with pytest.raises(ValueError, match='no readable "image"'):
        convert_refs(
            'hf-refcoco', source, out, save_images=str(tmp_path / 'saved'))


def test_parquet_rows(tmp_path):
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet
    out = tmp_path / 'x.jsonl'
    rows, lines = hf_refer_rows(tmp_path / 'a')
    for split in ('train', 'testA'):
        path = tmp_path / f'a/data/{split}-00000-of-00001-8a.parquet'
        path.parent.mkdir(exist_ok=True)
        own = [x for x in rows if x['split'] == split]
        parquet.write_table(pyarrow.Table.from_pylist(own), path)
    convert_refs('hf-refcoco', tmp_path / 'a/data', out)
    images = tmp_path / 'a/train2014'
    check(load(out, images), images, lines[2:] + lines[:2])
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(ValueError, match='damaged or cut off'):
        convert_refs('hf-refcoco', path, out)

    png = io.BytesIO()
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(png, 'PNG')
    rows, lines = _answer_rows(tmp_path / 'b', png.getvalue())
    path = tmp_path / 'b/val-00000-of-00002.parquet'
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    images = tmp_path / 'b/saved'
    report = convert_refs('hf-refcoco', path, out, save_images=str(images))
    assert report.sentences == dict(val=2)
    name = 'COCO_train2014_000000000009.png'
    check(load(out, images), images,
          [(text, name, mask, dict(more, height=SIZE[0], split='val'))
           for text, _, mask, more in lines])
    assert (images / name).read_bytes() == png.getvalue()


def test_without_a_reader_of_parquet(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    path = tmp_path / 'val-00000-of-00001.parquet'
    path.write_bytes(b'PAR1....PAR1')
    with pytest.raises(ImportError, match=r'mmrefseg\[parquet\].*to_json'):
        convert_refs('hf-refcoco', path, tmp_path / 'x')


def test_lvis(tmp_path):
    made = MAKERS['lvis'](tmp_path / 'set')
    out = tmp_path / 'x.jsonl'
    report = convert_refs('lvis', made.source, out, split='val')
    dataset = load(out, made.images)
    assert len(dataset) == report.sentences['val'] > 10
    texts = {}
    for index in range(len(dataset)):
        item = dataset[index]
        texts.setdefault(item['ann_id'], set()).add(item['text'].lower())
        x, y, width, height = lvis_content()['annotations'][
            item['ann_id'] - 1]['bbox']
        mask = np.zeros(SIZE, bool)
        mask[y:y + height, x:x + width] = True
        assert np.array_equal(item['gt_seg_map'] == 1, mask)
    said = ' '.join(x for own in texts.values() for x in own)
    # The goat is an animal as well, so the dog is no "the animal"; the cup
    # may not be the only one; both bows are called so.
    for word in ('animal', 'pet', 'cup', '(', '_'):
        assert word not in said
    assert 'goat' in said and 'dog' in said
    assert not {'the bow', 'bow'} & (texts[4] | texts[5])
    assert report.skipped.total() == 1
    assert 'not marked wherever it is' in str(report)


def test_words_for_many_categories_of_lvis(tmp_path):
    """A goat is an animal as well, which the words for COCO's categories do
    not know."""
    instances = read_instances(dump(tmp_path / 'a.json', lvis_content()))
    options = RefOptions(per_object=60)
    said = []
    for federated in (True, False):
        write_refs(
            replace(instances, federated=federated), tmp_path / 'x', options)
        said.append((tmp_path / 'x').read_text())
    for word in ('animal', 'pet', 'canine'):
        assert word not in said[0] and word in said[1]
