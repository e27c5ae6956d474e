# Licensed under the Apache License, Version 2.0.
"""Files that are wrong in ways nobody writes by hand; `make fuzz` found them.
Each is refused in one sentence that names the file."""

import io
import json
import pickle
import resource
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmrefseg.datasets import (JSONLinesRefDataset, LoadRefImage, LoadRefMask,
                               RefCOCODataset)
from mmrefseg.datasets.field_checks import (as_length, is_file_name, is_id,
                                            is_note)
from mmrefseg.fileio.masks import rasterize
from mmrefseg.fileio.plain_pickle import (_ALLOWED, PlainPickleError,
                                          loads_plain_pickle)


def _deep(depth=5000):
    result = []
    for _ in range(depth):
        result = [result]
    return result


def _load(root):
    return RefCOCODataset(
        data_root=str(root),
        data_prefix=dict(img_path='images'),
        split_by='unc',
        split='train')


def _set(tree, path, value):
    *way, last = path
    for key in way:
        tree = tree[key]
    tree[last] = value


REFS = {
    'id of a megabyte': ((0, 'ref_id'), 10**6000, 'Ref number 0'),
    'id with half a character': ((0, 'ref_id'), '\ud800', 'Ref number 0'),
    'id of a sentence': ((0, 'sentences', 0, 'sent_id'), [1], 'sent_id'),
    'id of a sentence of a megabyte': ((0, 'sentences', 0), {
        'sent_id': 10**6000,
        'raw': ' '
    }, 'too large to be printed'),
    'text with half a character': ((0, 'sentences', 0, 'raw'), 'a\udc80',
                                   'lone surrogate'),
    'text without a sign': ((0, 'sentences', 0, 'raw'), '\x00\u200b',
                            'sentence 0 is empty'),
    'category': ((0, 'category_id'), _deep(), 'category_id'),
    'kind': ((0, 'sentences', 0, 'kind'), _deep(), 'as kind'),
    'keys of all kinds': ((0, 'sentences', 0), {1: 2, 'a': 3, None: 4},
                          'no text under'),
    'one ref_id for two objects': ((1, 'ref_id'), 1, 'two refs 1'),
}


@pytest.mark.parametrize('case', REFS)
def test_refs(case, tmp_path, write_refer_set, tiny_refer_parts):
    path, value, message = REFS[case]
    refs, _ = tiny_refer_parts
    _set(refs, path, value)
    root = write_refer_set(tmp_path, refs=[])
    # Deep lists are beyond what Python's own pickler writes.
    if case in ('category', 'kind'):
        marker = 'DEEP'
        _set(refs, path, marker)
        content = pickle.dumps(refs, 2)
        old = b'X\x04\x00\x00\x00DEEP'
        assert content.count(old) == 1
        content = content.replace(old, b']' * 5001 + b'a' * 5000)
    else:
        content = pickle.dumps(refs, 2)
    (root / 'refs(unc).p').write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        _load(root)
    assert type(info.value) is ValueError
    assert 'refs(unc).p' in str(info.value)


INSTANCES = {
    'id of an annotation': (('annotations', 0, 'id'), [11], 'annotation 11'),
    'id of an image': (('images', 0, 'id'), {}, 'has the id'),
    'deep annotation': (('annotations', 0, 'segmentation'), 'DEEP',
                        'too deeply'),
    'deep category': (('annotations', 0, 'category_id'), [[[[[]]]]],
                      'category_id'),
    'name of a file': (('images', 0, 'file_name'), ['a'], 'file_name'),
    'name with a zero': (('images', 0, 'file_name'), 'a\0b', 'file_name'),
    'height': (('images', 0, 'height'), '64', 'height'),
    'negative width': (('images', 0, 'width'), -96, 'width'),
    'no number': (('images', 0, 'width'), float('nan'), 'width'),
    'half a pixel': (('images', 0, 'height'), 64.5, 'height'),
    'endless height': (('images', 0, 'height'), float('inf'), 'height'),
    'more than a float holds': (('images', 0, 'height'), 10**400, 'height'),
    'two images of one id': (('images', 1, 'id'), 1, 'two different images'),
    'two annotations of one id': (('annotations', 1, 'id'), 11,
                                  'two different annotations'),
}


@pytest.mark.parametrize('case', INSTANCES)
def test_instances(case, tmp_path, write_refer_set, tiny_refer_parts):
    path, value, message = INSTANCES[case]
    _, instances = tiny_refer_parts
    _set(instances, path, value)
    root = write_refer_set(tmp_path, instances=instances)
    if value == 'DEEP':
        text = (root / 'instances.json').read_text()
        (root / 'instances.json').write_text(
            text.replace('"DEEP"', '[' * 100_000 + ']' * 100_000))
    with pytest.raises(ValueError, match=message) as info:
        _load(root)
    assert type(info.value) is ValueError
    assert 'instances.json' in str(info.value)


def test_whole_floats_are_sizes(tmp_path, write_refer_set, tiny_refer_parts):
    """Some programs write 64.0."""
    _, instances = tiny_refer_parts
    for record in instances['images']:
        record.update(
            height=float(record['height']), width=float(record['width']))
    dataset = _load(write_refer_set(tmp_path, instances=instances))
    for i in range(len(dataset)):
        results = dataset.get_data_info(i)
        assert type(results['height']) is type(results['width']) is int
        results['ori_shape'] = results['height'], results['width']
        assert LoadRefMask()(results)['gt_seg_map'].any()


def test_the_same_record_twice_is_no_fault(tmp_path, write_refer_set,
                                           tiny_refer_parts):
    refs, instances = tiny_refer_parts
    instances['images'] *= 2
    instances['annotations'] *= 2
    assert len(_load(write_refer_set(tmp_path, instances=instances))) == 6


LINE = dict(image='img_1.jpg', text='a', segmentation=[[0, 0, 9, 0, 9, 9]])
LINES = {
    'split': dict(split=['train']),
    'image_id': dict(image_id={}),
    'sent_id': dict(sent_id=[1]),
    'category_id': dict(category_id=[[[[[]]]]]),
    'kind': dict(kind=[[[[[]]]]]),
    'text': dict(text='\ud83d'),
    'invisible': dict(text='\u200b'),
    'image': dict(image='a\0.jpg'),
    'height': dict(height='64', width=96),
    'half a pixel': dict(height=64, width=96.5),
    'segmentation': dict(segmentation='DEEP'),
}


@pytest.mark.parametrize('case', LINES)
def test_lines(case, tmp_path, tiny_refer_root):
    path = tiny_refer_root / 'x.jsonl'
    line = json.dumps(dict(LINE, **LINES[case]))
    line = line.replace('"DEEP"', '[' * 900 + ']' * 900)
    path.write_text(json.dumps(LINE) + '\n' + line)
    with pytest.raises(ValueError) as info:
        JSONLinesRefDataset(
            data_root=str(tiny_refer_root),
            ann_file='x.jsonl',
            data_prefix=dict(img_path='images'))
    assert type(info.value) is ValueError
    assert f'{path}:2' in str(info.value)


def test_a_line_nested_beyond_measure(tiny_refer_root):
    path = tiny_refer_root / 'x.jsonl'
    path.write_text('[' * 100_000)
    with pytest.raises(ValueError, match='x.jsonl:1.*(deeply|JSON)'):
        JSONLinesRefDataset(ann_file=str(path))


@pytest.mark.parametrize('content', [
    b'\x80\x02]r\xff\xff\xff\x0f.', b'\x80\x02]r\xff\xff\xff\xff.',
    b']p4000000000\n.', b'(lp99999999999999999999\n.'
])
def test_memory_is_not_reserved_on_demand(content):
    """Python's unpickler would take 4 GB for the first of these, whose ten
    bytes say that they hold 268 million objects."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PlainPickleError, match='more objects'):
        loads_plain_pickle(content, 'f')
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100_000  # kilobytes


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_many_objects_are_no_fault(protocol):
    data = [dict(a=[i, str(i)], b='r' * (i % 50)) for i in range(5000)]
    content = pickle.dumps(data, protocol)
    assert loads_plain_pickle(content, 'f') == data


def test_a_pickle_cannot_change_what_it_calls():
    """The opcode BUILD sets attributes of whatever lies on the stack."""
    before = dict(vars(_ALLOWED['numpy.dtype']))
    for state in (b'}S"x"\nI1\ns', b'(N}S"__doc__"\nS"x"\nst'):
        with pytest.raises(PlainPickleError):
            loads_plain_pickle(b'cnumpy\ndtype\n' + state + b'b.', 'f')
    assert vars(_ALLOWED['numpy.dtype']) == before


@pytest.mark.parametrize('segmentation, message', [
    ([[10**400, 1, 2, 3, 4, 5]], 'flat list'),
    (dict(size=[4, 4], counts=[2**62] * 4 + [16]), 'do not add up'),
    (dict(size=[4, 4], counts=[[1], [2, 3]]), 'do not add up'),
    (dict(size=[4, 4], counts='o' * 1_000_000), 'damaged'),
    ([[1e6, -1e6, -1e6, 1e6] * 50], 'outline'),
    ([[0, 0, 9e5, 9e5, 0, 9e5]] * 50, 'outline'),
])
def test_outlines(segmentation, message):
    with pytest.raises(ValueError, match=message):
        rasterize(segmentation, 4, 4)


def test_a_large_outline_is_drawn():
    assert rasterize([[-5e5, -5e5, 5e5, -5e5, 5e5, 5e5]], 4, 4).any()


def _png(side, damage=False):
    def chunk(name, data):
        checksum = zlib.crc32(name + data) ^ damage
        return struct.pack('>I', len(data)) + name + data + struct.pack(
            '>I', checksum)

    head = struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) +
            chunk(b'IDAT', zlib.compress(b'\0' * 100)) + chunk(b'IEND', b''))


def _image(tmp_path, content):
    path = tmp_path / 'x.png'
    path.write_bytes(content)
    return dict(img_path=str(path), ref_id=3, sent_id=7)


@pytest.mark.parametrize('content, message', [
    (_png(40_000), 'too large .*MAX_IMAGE_PIXELS'),
    (_png(30, damage=True), 'checksum'),
    (_png(30)[:-20], 'cut off'),
])
def test_images(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as info:
        LoadRefImage()(_image(tmp_path, content))
    assert 'x.png (ref 3, sentence 7)' in str(info.value)


@pytest.mark.parametrize('name', ['.', 'a\0b', 'x.png/y', 'petrel://x',
                                  'http://127.0.0.1:9/x.jpg'])
def test_names_that_are_no_file(tmp_path, name):
    _image(tmp_path, _png(30))
    path = name if '://' in name else str(tmp_path / name)
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        LoadRefImage()(dict(img_path=path, ref_id=3, sent_id=7))
    assert f'{path} (ref 3, sentence 7)' in str(info.value)


def test_a_mask_of_another_size_is_not_decoded(tmp_path, monkeypatch):
    results = _image(tmp_path, _png(5000))
    results.update(segmentation=results['img_path'], ori_shape=(64, 96))
    monkeypatch.setattr('mmrefseg.datasets.transforms.loading.read_mask',
                        lambda content: pytest.fail('it was decoded'))
    with pytest.raises(ValueError, match='5000 x 5000.*64 x 96.*same size'):
        LoadRefMask()(results)


def test_sound_pngs_are_read(tmp_path):
    """Checksums of all that Pillow writes, text and colour profiles too."""
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer, 'PNG', icc_profile=b'x' * 100, dpi=(72, 72))
    results = LoadRefImage()(_image(tmp_path, buffer.getvalue()))
    assert (results['img'][..., ::-1] == pixels).all()


def test_fields():
    assert all(map(is_id, (0, -1, 2**63 - 1, True, '', 'a')))
    assert not any(map(is_id, (2**63, 1., None, [], b'a', '\ud800')))
    assert all(map(is_file_name, ('a', 'a/b.jpg', 'ö 星')))
    assert not any(map(is_file_name, ('', ' ', 'a\0', '\udfff', 3, None)))
    for value in (1, 64, 64.):
        assert as_length(value) == value and type(as_length(value)) is int
    assert {as_length(x) for x in (0, -1, float('nan'), float('inf'), '64',
                                   64.5, 2**64, 10**400, None, True, [])
            } == {None}
    assert all(map(is_note, (None, 'a', 1.5, [1, 'a'], {'a': [1]})))
    assert not any(map(is_note, (_deep(), b'a', {1}, '\ud800', 2**70)))
