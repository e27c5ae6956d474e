# Licensed under the Apache License, Version 2.0.
import importlib.util
import json
import logging
import pickle
from pathlib import Path

import pytest
from make_leak_list import write_leak_list
from mmengine.dataset import ConcatDataset

from mmrefseg.datasets import OneSentencePerRefSampler, RefCOCODataset
from mmrefseg.datasets.leak_list import (held_out_images, images_to_exclude,
                                         read_leak_list)

TOOL = (
    Path(__file__).parents[2] / 'tools/dataset_converters/make_leak_list.py')


def _ref(image_id, split, ann_id=1, **kwargs):
    return dict(
        ref_id=0,
        image_id=image_id,
        ann_id=ann_id,
        split=split,
        sentences=[],
        **kwargs)


def _write(path, refs):
    path.parent.mkdir(exist_ok=True)
    if path.suffix == '.json':
        path.write_text(json.dumps(refs))
    else:
        path.write_bytes(pickle.dumps(refs, protocol=2))
    return str(path)


@pytest.fixture
def files(tmp_path):
    """Two sets that split the same images in their own ways."""
    return [
        _write(tmp_path / 'a' / 'refs(unc).p', [
            _ref(9, 'train'),
            _ref(25, 'val'),
            _ref(30, 'testA'),
            _ref(30, 'testB'),
            _ref(25, 'train')
        ]),
        _write(tmp_path / 'b' / 'grefs(unc).json', [
            _ref('25', 'train', [1, 2]),
            _ref(9, 'test', [-1]),
            _ref(42, 'minitrain', 3)
        ])
    ]


def test_val_and_test_are_held_out(files):
    assert held_out_images(files[0]) == {'25', '30'}
    assert held_out_images(files[1]) == {'9'}
    assert held_out_images(files[0], ['testB']) == {'30'}
    assert images_to_exclude(files) == {'9', '25', '30'}


def test_a_list_is_written_and_read(files, tmp_path):
    path = str(tmp_path / 'new' / 'leak.txt')
    counts = write_leak_list(path, files)
    assert counts == {files[0]: 2, files[1]: 1, 'all': 3}
    text = Path(path).read_text()
    assert text.splitlines()[-3:] == ['9', '25', '30']
    assert '# a/refs(unc).p: 2 images' in text
    assert read_leak_list(path) == images_to_exclude([path]) == {
        '9', '25', '30'
    }
    assert images_to_exclude([path, *files]) == {'9', '25', '30'}


def test_remarks_and_leading_zeros(tmp_path):
    path = tmp_path / 'leak.txt'
    path.write_text('# mine\n000025  # a cat\n\n 9 \n')
    assert read_leak_list(str(path)) == {'25', '9'}


@pytest.mark.parametrize('image_id', [1000001, '1000001', '000001000001'])
@pytest.mark.parametrize('name', ['leak.txt', 'other/refs(unc).p'])
def test_an_id_is_the_same_however_it_is_written(
        image_id, name, tmp_path, write_refer_set, tiny_refer_parts):
    refs, instances = tiny_refer_parts
    padded = {1: '000000000001', 2: '000001000001'}
    for ref in refs:
        ref['image_id'] = padded.get(ref['image_id'], ref['image_id'])
    for record in instances['images']:
        record['id'] = padded.get(record['id'], record['id'])
    for record in instances['annotations']:
        record['image_id'] = padded.get(record['image_id'],
                                        record['image_id'])
    root = write_refer_set(tmp_path / 'set', refs, instances)
    (root / 'leak.txt').write_text(f'{image_id}\n')
    _write(root / 'other/refs(unc).p', [_ref(image_id, 'val')])
    assert _images(_load(root, exclude_images=name)) == {'000000000001'}
    assert images_to_exclude([str(root / name)]) == {'1000001'}


def test_an_exclusion_without_effect_is_a_warning(tiny_refer_root,
                                                  monkeypatch):
    (tiny_refer_root / 'leak.txt').write_text('1234567\n7654321\n')
    (tiny_refer_root / 'of_use.txt').write_text('2\n')
    said = []
    monkeypatch.setattr(
        'mmrefseg.datasets.refcoco.print_log',
        lambda text, **kwargs: said.append((text, kwargs.get('level'))))
    assert len(_load(tiny_refer_root, exclude_images='leak.txt')) == 6
    text, level = said[0]
    assert level == logging.WARNING
    for piece in ('leak.txt', 'none of the 2 images', 'such as 1234567',
                  'such as 1)'):
        assert piece in text
    # One of two that is of no use is named; what is of use is not.
    said.clear()
    _load(tiny_refer_root, exclude_images=['leak.txt', 'of_use.txt'])
    (warning, level), (text, plain) = said
    assert level == logging.WARNING and 'of_use' not in warning
    assert plain == logging.INFO
    assert text.startswith('1 of 3 refs, in 1 images')
    # The images are known here, but no ref of train speaks of them.
    said.clear()
    (tiny_refer_root / 'of_use.txt').write_text('4\n')
    _load(tiny_refer_root, exclude_images='of_use.txt')
    (text, level), = said
    assert text.startswith('0 of 3 refs') and level == logging.WARNING


@pytest.mark.parametrize('content, said', [
    ('9\nCOCO_9.jpg\n', "leak.txt:2: 'COCO_9.jpg' is no image id"),
    ('-3\n', "'-3' is no image id"),
    ('# nothing\n', 'names no image'),
])
def test_bad_lists(tmp_path, content, said):
    path = tmp_path / 'leak.txt'
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        read_leak_list(str(path))


def test_what_cannot_be_a_list(tmp_path, files):
    for name in ('x.p', 'x.json'):
        with pytest.raises(ValueError, match='end in .txt'):
            write_leak_list(str(tmp_path / name), files)
    odd = _write(tmp_path / 'c' / 'refs(unc).p', [_ref('cat', 'val')])
    with pytest.raises(ValueError, match="image id 'cat'.*no number"):
        write_leak_list(str(tmp_path / 'x.txt'), [odd])
    none = _write(tmp_path / 'd' / 'refs(unc).p', [_ref(1, 'train')])
    with pytest.raises(ValueError, match='no val and no test.*train .1 refs'):
        write_leak_list(str(tmp_path / 'x.txt'), [none])
    with pytest.raises(ValueError, match='no split testC'):
        held_out_images(files[0], ['val', 'testC'])
    assert not (tmp_path / 'x.txt').exists()


def _load(root, split='train', **kwargs):
    return RefCOCODataset(
        data_root=str(root),
        data_prefix=dict(img_path='images/'),
        split=split,
        split_by='unc',
        **kwargs)


def _images(dataset):
    return {
        dataset.get_data_info(i)['image_id']
        for i in range(len(dataset))
    }


@pytest.mark.parametrize('how', ['refs', 'list', 'absolute', 'both'])
def test_dataset_without_images_of_others(tiny_refer_root, tmp_path, how,
                                          monkeypatch):
    """Image 2 is in train here and in val of another set."""
    other = tiny_refer_root / 'other' / 'refs(unc).p'
    path = _write(other, [_ref(2, 'val'), _ref(1, 'train')])
    (tiny_refer_root / 'leak.txt').write_text('2\n')
    said = []
    monkeypatch.setattr('mmrefseg.datasets.refcoco.print_log',
                        lambda text, **kwargs: said.append(text))
    excluded = dict(
        refs='other/refs(unc).p',
        list='leak.txt',
        absolute=[path],
        both=['other/refs(unc).p', 'leak.txt'])[how]
    assert _images(_load(tiny_refer_root)) == {1, 2}
    assert not said
    dataset = _load(tiny_refer_root, exclude_images=excluded)
    assert _images(dataset) == {1} and len(dataset) == 4
    assert said[0].startswith('1 of 3 refs, in 1 images, are left out')


def test_everything_excluded_is_an_error(tiny_refer_root):
    (tiny_refer_root / 'leak.txt').write_text('1\n2\n')
    with pytest.raises(ValueError, match='Nothing is left of train of'):
        _load(tiny_refer_root, exclude_images='leak.txt')
    with pytest.raises(FileNotFoundError, match='nowhere.txt'):
        _load(tiny_refer_root, exclude_images='nowhere.txt')


def test_several_sets_without_each_others_tests(tmp_path, write_refer_set,
                                                tiny_refer_parts):
    """As a config of RefCOCO, RefCOCO+ and RefCOCOg would have it."""
    refs, _ = tiny_refer_parts
    roots = [write_refer_set(tmp_path / 'a', refs=refs)]
    # What one trains on, the other tests on, but for image 1.
    exchanged = dict(train='val', val='train')
    for ref in refs:
        if ref['image_id'] != 1:
            ref['split'] = exchanged.get(ref['split'], ref['split'])
    roots.append(write_refer_set(tmp_path / 'b', refs=refs))
    excluded = [str(root / 'refs(unc).p') for root in roots]
    held_out = images_to_exclude(excluded)
    joined = ConcatDataset(
        [_load(root, exclude_images=excluded) for root in roots])
    assert _images(joined) == {1}
    assert not {str(x) for x in _images(joined)} & held_out
    # Both sets number their refs alike; each of them is visited.
    sampler = OneSentencePerRefSampler(joined, seed=0, refs_per_image=2)
    assert len(sampler) == 4
    for epoch in range(3):
        sampler.set_epoch(epoch)
        items = [joined.get_data_info(i) for i in sampler]
        assert sorted(x['ref_id'] for x in items) == [1, 1, 2, 2]


def test_tool(files, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location('make_leak_list', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    out = str(tmp_path / 'leak.txt')
    assert tool.main([out, *files]) == 0
    assert '3 images' in capsys.readouterr().out
    assert read_leak_list(out) == {'9', '25', '30'}
    assert tool.main([out, files[0], '--splits', 'val']) == 0
    assert read_leak_list(out) == {'25'}
    with pytest.raises(SystemExit, match='error: .*no split dev'):
        tool.main([out, files[0], '--splits', 'dev'])
