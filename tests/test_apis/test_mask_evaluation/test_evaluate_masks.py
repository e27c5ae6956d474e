# Licensed under the Apache License, Version 2.0.
"""Masks of other programs against data: figures, errors, files."""

import csv
import json

import cv2
import numpy as np
import pytest

from mmrefseg.apis.mask_evaluation import (evaluate_masks, format_evaluation,
                                           open_split, write_evaluation)
from mmrefseg.datasets import RefCOCODataset
from mmrefseg.evaluation.breakdowns import Breakdown
from mmrefseg.evaluation.conventions import resolve_convention
from mmrefseg.visualization import draw_referring_overlay

SIDE = 65
# Two objects of image 4, as the tiny set has them: x0, y0, x1, y1.
TALL, RIGHT = (8, 8, 30, 50), (35, 10, 60, 40)
TALL_AREA, RIGHT_AREA = 22 * 42, 25 * 30


def box(x0, y0, x1, y1, side=SIDE):
    """A filled box as OpenCV draws it, 255 in it."""
    mask = np.zeros((side, side), np.uint8)
    cv2.rectangle(mask, (x0, y0), (x1 - 1, y1 - 1), 255, -1)
    return mask


def write_masks(folder, masks):
    folder.mkdir(exist_ok=True)
    for name, mask in masks.items():
        cv2.imwrite(str(folder / f'{name}.png'), mask)
    return str(folder)


@pytest.fixture
def tests_of_image_4(tiny_refer_root):
    """Sentences 9 and 10 mean the tall thing, 11 the right one."""
    return open_split(
        str(tiny_refer_root),
        split=['testA', 'testB'],
        images=str(tiny_refer_root / 'images'))


# the tall thing; the right one instead of the tall; half of the right one
MASKS = {9: box(*TALL), 10: box(*RIGHT), 11: box(35, 10, 60, 25)}


def test_figures(tests_of_image_4, tmp_path):
    result = evaluate_masks(
        tests_of_image_4,
        write_masks(tmp_path / 'masks', MASKS),
        breakdown=Breakdown(('split', 'kind')))
    got = result.metrics
    inter = TALL_AREA + 0 + RIGHT_AREA // 2
    union = TALL_AREA + (TALL_AREA + RIGHT_AREA) + RIGHT_AREA
    assert got['oIoU'] == 100 * (inter / union)
    assert got['mIoU'] == 50. and got['missing'] == 0
    assert got['P0.5'] == 100 * 2 / 3 and got['P0.6'] == 100 / 3
    assert got['split/testA/mIoU'] == got['split/testB/mIoU'] == 50.
    assert 'kind/location/P0.5' in got
    assert got['wrong-object'] == 100 / 3
    assert got['wrong-object-of-misses'] == 100.
    assert [x.wrong_object for x in result.sentences] == [False, True, False]
    assert result.sentences[1].other[:3] == (42, 'thing', RIGHT_AREA)
    assert result.confusion == [('thing', 'thing', 1)]
    told = format_evaluation(result)
    assert '1 of 3 masks (33.33 %)' in told
    assert 'Of the 1 masks with an IoU below 0.5 these are 1 (100' in told
    assert '1 times thing instead of another thing' in told


def test_other_objects_are_those_that_are_annotated(tiny_refer_root,
                                                    tiny_refer_parts,
                                                    write_refer_set, tmp_path):
    """An object that no sentence means counts, a crowd does not; ties are
    the own object's."""
    _, instances = tiny_refer_parts
    spoken = [x for x in instances['annotations'] if x['id'] == 41][0]
    instances['annotations'].append(dict(spoken, id=43))  # the same once more
    crowd = dict(spoken, id=44, iscrowd=1)
    crowd['segmentation'] = [[8, 8, 30, 8, 30, 40, 8, 40]]
    instances['annotations'].append(crowd)
    root = write_refer_set(tmp_path / 'set', instances=instances)
    dataset = open_split(
        str(root), split=['testA'], images=str(root / 'images'))

    def measure(name, **masks):
        masks = {key[1:]: mask for key, mask in masks.items()}
        return evaluate_masks(
            dataset, write_masks(tmp_path / name, masks)).sentences

    # 99 is a box from 1 to 6; the crowd is the upper part of the tall thing
    small, part = measure('a', _9=box(1, 1, 6, 6), _10=box(8, 8, 30, 40))
    assert small.wrong_object and small.other.ann_id == 99
    assert not part.wrong_object and part.other.ann_id == 43


def test_a_json_file_gives_the_same(tests_of_image_4, tmp_path):
    from pycocotools import mask as coco_mask
    records = []
    for sent_id, mask in MASKS.items():
        rle = coco_mask.encode(np.asfortranarray(mask // 255))
        rle['counts'] = rle['counts'].decode()
        records.append(dict(sent_id=sent_id, segmentation=rle))
    path = tmp_path / 'masks.json'
    path.write_text(json.dumps(records))
    by_file = evaluate_masks(tests_of_image_4, str(path))
    by_folder = evaluate_masks(tests_of_image_4,
                               write_masks(tmp_path / 'masks', MASKS))
    assert by_file.metrics == by_folder.metrics
    assert by_file.sentences == by_folder.sentences


def test_what_is_refused_is_named(tests_of_image_4, tmp_path):

    def measure(**changes):
        folder = tmp_path / f'masks{len(list(tmp_path.iterdir()))}'
        masks = {str(key): mask for key, mask in MASKS.items()}
        masks.update(changes)
        masks = {k.strip('_'): v for k, v in masks.items() if v is not None}
        return evaluate_masks(tests_of_image_4, write_masks(folder, masks))

    with pytest.raises(ValueError, match='1 of 3 predictions are missing: '
                       'ref 6 sentence 10.*--missing empty'):
        measure(**{'10': None})
    with pytest.raises(ValueError, match='1 predictions belong to no sentence'
                       r'.*: 12\.png'):
        measure(_12=box(*TALL))
    grey = box(*TALL)
    grey[20, 20] = 100
    # all that is wrong is said at once
    with pytest.raises(ValueError, match=r'2 of 3 predictions cannot be used'
                       r'.*9\.png is 40 x 40.*but must be 65 x 65.*11\.png '
                       'has 2 values'):
        measure(_9=box(1, 1, 9, 9, side=40), _11=grey)


def test_missing_ones_may_count_as_empty(tests_of_image_4, tmp_path,
                                         monkeypatch):
    told = []
    monkeypatch.setattr('mmrefseg.apis.mask_evaluation.evaluate.print_log',
                        lambda text, **kwargs: told.append(text))
    folder = write_masks(tmp_path / 'masks', {9: MASKS[9]})
    result = evaluate_masks(tests_of_image_4, folder, missing='empty')
    got = result.metrics
    assert got['mIoU'] == 100 * (1 / 3) and got['missing'] == 2
    assert got['oIoU'] == 100 * (TALL_AREA / (2 * TALL_AREA + RIGHT_AREA))
    assert got['wrong-object'] == 0.
    assert [x.missing for x in result.sentences] == [False, True, True]
    assert '2 of 3 predictions are missing: ref 6 sentence 10, ref 7' in told[
        0] and 'COUNT AS EMPTY' in told[0]
    assert '2 PREDICTIONS ARE MISSING' in format_evaluation(result)
    with pytest.raises(ValueError, match="missing is 'error' or 'empty'"):
        evaluate_masks(tests_of_image_4, folder, missing='skip')


def test_masks_with_several_values(tests_of_image_4, tmp_path):
    """Class maps, as semantic segmentation writes them, and probabilities."""
    maps = {key: x // 255 * 2 for key, x in MASKS.items()}
    maps[9][:5] = 1
    folder = write_masks(tmp_path / 'maps', maps)
    with pytest.raises(ValueError, match='1 of 3 .*9.png has 2 values.*1, 2'):
        evaluate_masks(tests_of_image_4, folder)
    got = evaluate_masks(tests_of_image_4, folder, mask_value=2)
    assert got.metrics['mIoU'] == 50.
    with pytest.raises(ValueError, match='No image of .* mask_value 7'):
        evaluate_masks(tests_of_image_4, folder, mask_value=7)
    soft = {key: x // 255 * 90 + 90 for key, x in MASKS.items()}
    folder = write_masks(tmp_path / 'soft', soft)
    got = evaluate_masks(tests_of_image_4, folder, mask_threshold=127)
    assert got.metrics['mIoU'] == 50.
    (tmp_path / 'masks.json').write_text('[{}]')
    with pytest.raises(ValueError, match='--mask-value is for folders'):
        evaluate_masks(
            tests_of_image_4, str(tmp_path / 'masks.json'), mask_value=1)


def test_images_that_are_not_as_large_as_annotated(tiny_refer_parts, tmp_path,
                                                   write_refer_set):
    """Predictions have the size of the image, to which true masks are
    scaled."""
    refs, instances = tiny_refer_parts
    for image in instances['images']:
        image['width'] -= 1
    instances['annotations'][6]['segmentation'] = [[35, 10, 60, 10, 60, 40,
                                                    35, 40]]
    root = write_refer_set(tmp_path / 'set', refs=refs, instances=instances)
    dataset = RefCOCODataset(
        data_root=str(root),
        data_prefix=dict(img_path='images'),
        split='test',
        split_by='unc',
        size_mismatch='resize')
    got = evaluate_masks(dataset, write_masks(tmp_path / 'masks', MASKS))
    assert got.metrics['P0.9'] == pytest.approx(100 / 3)
    assert abs(got.metrics['mIoU'] - 50) < 5  # outlines move by a pixel


def test_conventions_at_the_size_of_the_input(tests_of_image_4, tmp_path):
    """True masks and those of other objects are scaled to the masks."""
    folder = write_masks(
        tmp_path / 'masks', {
            key: cv2.resize(mask, (130, 130), interpolation=cv2.INTER_NEAREST)
            for key, mask in MASKS.items()
        })
    got = evaluate_masks(
        tests_of_image_4,
        folder,
        convention=resolve_convention('paper'),
        input_size=(130, 130))
    assert got.metrics['mIoU'] == 50. and got.metrics['P0.5'] == 100 / 3
    assert got.sentences[1].other.intersection == 4 * RIGHT_AREA
    with pytest.raises(ValueError, match='65 x 65'):
        evaluate_masks(tests_of_image_4, folder)
    with pytest.raises(ValueError, match="compares at .* network's input.*"
                       'add input_size'):
        evaluate_masks(
            tests_of_image_4, folder, convention=resolve_convention('lavt'))
    with pytest.raises(ValueError, match='compares at the size of each image'
                       '.*remove input_size'):
        evaluate_masks(tests_of_image_4, folder, input_size=(130, 130))
    with pytest.raises(ValueError, match='input_size.*not 0 x 130'):
        evaluate_masks(
            tests_of_image_4,
            folder,
            convention=resolve_convention('lavt'),
            input_size=(0, 130))


def test_sentences_that_mean_nothing_or_several_things(
        tiny_refer_root, tmp_path):
    """gRefCOCO's layout: none, two, one."""
    (tiny_refer_root / 'refs(unc).p').unlink()
    refs = [
        dict(ref_id=i, ann_id=ids, image_id=4, split='val',
             sentences=[dict(sent_id=i, raw=text, sent=text)])
        for i, (ids, text) in enumerate([([-1], 'the cat'),
                                         ([41, 42], 'both'), ([-1], 'a dog'),
                                         (42, 'right')])
    ]
    (tiny_refer_root / 'grefs(unc).json').write_text(json.dumps(refs))
    dataset = open_split(
        str(tiny_refer_root),
        split=['val'],
        images=str(tiny_refer_root / 'images'))
    folder = write_masks(
        tmp_path / 'masks', {
            '0_0': box(0, 0, 0, 0) * 0,
            '1_1': box(*TALL),
            '2_2': box(*RIGHT),
            '3_3': box(*TALL)
        })
    result = evaluate_masks(
        dataset, folder, convention=resolve_convention(no_target='rela'))
    got, both = result.metrics, TALL_AREA + RIGHT_AREA
    assert got['N-acc'] == 50. and got['T-acc'] == 100.
    assert got['gIoU'] == pytest.approx(25 * (1 + TALL_AREA / both))
    assert got['cIoU'] == 100 * (TALL_AREA / (both + RIGHT_AREA + both))
    assert got['mIoU'] == pytest.approx(50 * TALL_AREA / both)
    # one of two is no other object; nothing is meant, so nothing is wrong
    assert [x.wrong_object for x in result.sentences
            ] == [False, False, False, True]
    assert result.sentences[2].other.ann_id == 42
    assert got['wrong-object'] == 50.


def test_negative_sentences_of_r_refcoco(tiny_refer_parts, write_refer_set,
                                         tmp_path):
    refs, _ = tiny_refer_parts
    refs[5]['sentences'][1]['exist'] = False
    root = write_refer_set(tmp_path / 'set', refs)
    dataset = open_split(
        str(root), split=['testA'], images=str(root / 'images'))
    folder = write_masks(tmp_path / 'masks', {9: MASKS[9], 10: MASKS[9]})
    result = evaluate_masks(
        dataset, folder, convention=resolve_convention(no_target='rris'))
    got = result.metrics
    assert got['mRR'] == 0. and got['mIoU_ref'] == 100. and got['rIoU'] == 50.
    # the ref's own thing is what the second sentence does not mean
    assert result.sentences[0].other is None
    assert result.sentences[1].other.ann_id == 41


def test_json_lines(tmp_path):
    """One's own data: the other objects are those of other sentences."""
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((SIDE, SIDE, 3), 99, 'u1'))
    write_masks(tmp_path, {'tall': box(*TALL), 'right': box(*RIGHT)})
    (tmp_path / 'val.jsonl').write_text(''.join(
        json.dumps(dict(image='a.jpg', text=text, mask=f'{mask}.png')) + '\n'
        for text, mask in (('tall', 'tall'), ('left', 'tall'),
                           ('right', 'right'))))
    dataset = open_split(str(tmp_path / 'val.jsonl'))
    folder = write_masks(tmp_path / 'masks', {
        1: box(*TALL),
        2: box(*RIGHT),
        3: box(*RIGHT)
    })
    result = evaluate_masks(dataset, folder)
    assert [x.wrong_object for x in result.sentences] == [False, True, False]
    assert result.metrics['P0.5'] == 100 * 2 / 3
    assert result.sentences[0].other is None
    assert result.sentences[1].other.ann_id == 'ref 3'
    (tmp_path / 'a.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'size of image .*a\.jpg cannot be'):
        evaluate_masks(dataset, folder)


def test_damaged_other_objects_are_told(tiny_refer_parts, write_refer_set,
                                        tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr('mmrefseg.apis.mask_evaluation.image_objects.print_log',
                        lambda text, **kwargs: told.append(text))
    refs, instances = tiny_refer_parts
    for ann in instances['annotations']:
        if ann['id'] == 99:
            ann['segmentation'] = [[1, 2, float('nan'), 3, 5, 6]]
    root = write_refer_set(tmp_path / 'set', refs, instances)
    dataset = open_split(
        str(root), split=['testB'], images=str(root / 'images'))
    evaluate_masks(dataset, write_masks(tmp_path / 'masks', {11: MASKS[11]}))
    assert '1 objects' in told[0] and 'annotation 99' in told[0]


@pytest.mark.parametrize('categories', [None, 5, [dict(id=[1])], [5]])
def test_categories_that_are_none(tiny_refer_parts, write_refer_set, tmp_path,
                                  categories):
    """What no sentence speaks of may be odd: 99 is no ref's."""
    refs, instances = tiny_refer_parts
    for ann in instances['annotations']:
        if ann['id'] == 99:
            ann['category_id'] = [[1]]
    odd = dict(instances, categories=categories)
    for data, known in ((odd, ''), (instances, 'thing')):
        root = write_refer_set(tmp_path / f'set{known}', refs, data)
        dataset = open_split(
            str(root), split=['testA'], images=str(root / 'images'))
        folder = write_masks(tmp_path / f'masks{known}', {
            9: box(1, 1, 6, 6),
            10: box(*RIGHT)
        })
        small, right = evaluate_masks(dataset, folder).sentences
        assert small.other[:2] == (99, '') and small.category == known
        assert right.other[:2] == (42, known)


def test_sizes_as_floats(tiny_refer_parts, write_refer_set, tmp_path):
    """Some programs write 65.0 pixels."""
    _, instances = tiny_refer_parts
    for image in instances['images']:
        for key in ('height', 'width'):
            image[key] = float(image[key])
    root = write_refer_set(tmp_path / 'set', instances=instances)
    polygon = [[8, 8, 30, 8, 30, 50, 8, 50]]
    path = root / 'images' / 'own.jsonl'
    path.write_text(
        json.dumps(
            dict(image='img_4.jpg', text='tall', segmentation=polygon,
                 sent_id=9, height=65., width=65.)) + '\n')
    folder = write_masks(tmp_path / 'masks', {9: MASKS[9]})
    records = tmp_path / 'masks.json'
    records.write_text(
        json.dumps([
            dict(sent_id=9, segmentation=polygon),
            dict(sent_id=10, segmentation=[])
        ]))
    refer = open_split(str(root), split=['testA'])
    for dataset, predictions, right in ((open_split(str(path)), folder, 100.),
                                        (refer, str(records), 50.)):
        assert evaluate_masks(dataset, predictions).metrics['mIoU'] == right


def test_a_byte_order_mark_in_the_annotations(tiny_refer_root, tmp_path):
    path = tiny_refer_root / 'instances.json'
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    dataset = open_split(str(tiny_refer_root), split=['testB'])
    folder = write_masks(tmp_path / 'masks', {11: MASKS[11]})
    assert evaluate_masks(dataset, folder).metrics['mIoU'] == 50.


def test_files(tests_of_image_4, tiny_refer_root, tmp_path):
    result = evaluate_masks(
        tests_of_image_4,
        write_masks(tmp_path / 'masks', MASKS),
        breakdown=Breakdown('size'))
    out = tmp_path / 'out'
    files = write_evaluation(result, str(out), worst=2)
    with open(out / 'metrics.json') as file:
        assert json.load(file) == result.metrics
    with open(out / 'sentences.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['sent_id'] for row in rows] == ['9', '10', '11']
    assert (rows[1]['intersection'], rows[1]['union'], rows[1]['iou']) == (
        '0', str(TALL_AREA + RIGHT_AREA), '0.000000')
    assert (rows[1]['wrong_object'], rows[1]['other_ann_id'],
            rows[1]['other_iou']) == ('1', '42', '1.000000')
    assert rows[2]['iou'] == '0.500000' and rows[0]['size'] == '20-up'
    assert [x.rsplit('/')[-1] for x in files[2:]] == [
        '001_ref6_sent10.png', '002_ref7_sent11.png', 'overview.png'
    ]
    # below the banner: the image, the mask on the wrong thing, the true one
    image = cv2.imread(str(tiny_refer_root / 'images' / 'img_4.jpg'))
    drawn = draw_referring_overlay(image[..., ::-1], MASKS[10], None,
                                   box(*TALL))[..., ::-1]
    picture = cv2.imread(files[2])
    assert picture.shape[0] > drawn.shape[0] + 20
    assert (picture[-drawn.shape[0]:] == drawn).all()
