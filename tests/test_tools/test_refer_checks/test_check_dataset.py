# Licensed under the Apache License, Version 2.0.
"""Each fault that is planted in a tiny set is found and named."""

import importlib.util
import json
import math
import os
import shutil
from pathlib import Path

import pytest
from refer_checks import refer_counts
from refer_checks.check_report import format_report
from refer_checks.mask_faults import find_mask_faults
from refer_checks.refer_check import check_folder
from refer_checks.refer_counts import SplitCount

from mmrefseg.datasets.refer_files import load_refs
from mmrefseg.synthetic import make_synthetic_refs

TOOL = (
    Path(__file__).parents[3] / 'tools/dataset_converters/check_dataset.py')


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('check_dataset', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _segmentation(ann, value):
    return lambda refs, inst: inst['annotations'][ann].update(
        segmentation=value)


def _file(name, content):

    def change(root):
        path = root / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    return change


def _cut(name):

    def change(root):
        path = root / name
        path.write_bytes(path.read_bytes()[:-60])

    return change


NESTED = [[[[[1]]]]]
# what is planted: (in the objects, in the files, kind, split, pieces)
FAULTS = {
    'ref twice': (lambda refs, _: refs.append(dict(refs[0])), None,
                  'duplicate ref_id', 'train', ('ref_id 1 more than once', )),
    'sentence twice':
    (lambda refs, _: refs[3]['sentences'][1].update(sent_id=6), None,
     'duplicate sent_id', 'val', ('sent_id 6', )),
    'annotation id twice':
    (lambda _, inst: inst['annotations'].append(inst['annotations'][-1]),
     None, 'duplicate annotation id', None, ('annotation 99 twice', )),
    'image id twice':
    (lambda _, inst: inst['images'].append(inst['images'][0]), None,
     'duplicate image id', None, ('image 1 twice', )),
    'annotation missing': (lambda _, inst: inst['annotations'].pop(4), None,
                           'missing annotation', 'val',
                           ('Ref 5', 'annotation 31', 'instances.json')),
    'image record missing': (lambda _, inst: inst['images'].pop(2), None,
                             'missing image record', 'val',
                             ('Ref 5', 'image 3')),
    'other image':
    (lambda _, inst: inst['annotations'][4].update(image_id=1), None,
     'annotation of another image', 'val', ('Ref 5', 'image 3', 'image 1')),
    'no mask': (lambda _, inst: inst['annotations'][4].pop('segmentation'),
                None, 'annotation without a mask', 'val',
                ('Annotation 31 of ref 5', )),
    'NaN': (_segmentation(4, [[1, 2, math.nan, 4, 5, 6]]), None,
            'NaN in a polygon', 'val', ('Annotation 31 of ref 5', )),
    'infinity': (_segmentation(4, [[1, 2, math.inf, 4, 5, 6]]), None,
                 'NaN in a polygon', 'val', ('Annotation 31', 'infinite')),
    'two points': (_segmentation(4, [[1, 1, 40, 40]]), None,
                   'polygon of fewer than 3 points', 'val',
                   ('Annotation 31', '2 points')),
    'odd polygon': (_segmentation(4, [[1, 1, 40, 40, 3]]), None,
                    'polygon that is no list of numbers', 'val', ('flat', )),
    'nested polygon': (_segmentation(4, [[[1, 1], [40, 40], [3, 3]]]), None,
                       'polygon that is no list of numbers', 'val',
                       ('flat', )),
    'out of the image': (_segmentation(4, [[5, 5, 90, 5, 90, 60]]), None,
                         'polygon out of the image', 'val',
                         ('40.0 pixels outside of 70 x 50', )),
    'empty mask': (_segmentation(4, [[60, 5, 90, 5, 90, 60]]), None,
                   'empty mask', 'val', ('Annotation 31', '70 x 50')),
    'no polygon': (_segmentation(4, []), None, 'mask that cannot be drawn',
                   'val', ('Annotation 31', 'empty')),
    'run lengths of another size':
    (_segmentation(4, dict(size=[9, 9], counts=[81])), None,
     'mask that cannot be drawn', 'val', ('9 x 9', '70 x 50')),
    'size that cannot be meant':
    (lambda _, inst: inst['images'][2].update(height=2**40, width=2**40), None,
     'mask that cannot be drawn', 'val', ('Annotation 31', 'more than')),
    'sentence without text':
    (lambda refs, _: refs[4]['sentences'][0].update(raw=' '), None,
     'empty sentence', 'val', ('Ref 5', 'sentence 8')),
    'no sentences': (lambda refs, _: refs[4].update(sentences=[]), None,
                     'ref without sentences', 'val', ('Ref 5', )),
    'sentence of what cannot be seen':
    (lambda refs, _: refs[4]['sentences'][0].update(raw='\u200b\x01'), None,
     'empty sentence', 'val', ('Ref 5', 'sentence 8', 'cannot be seen')),
    'half of a character':
    (lambda refs, _: refs[4]['sentences'][0].update(raw='a\ud800'), None,
     'damaged sentence', 'val', ('Ref 5', 'sentence 8', 'surrogate')),
    'sentence as sent alone':
    (lambda refs, _: refs[4]['sentences'][0].pop('raw'), None,
     'sentence without text', 'val', ('Ref 5', 'under "sent"')),
    'sentence of a number':
    (lambda refs, _: refs[4]['sentences'][0].update(raw=5), None,
     'sentence without text', 'val', ('Ref 5', 'sentence 8')),
    'list as sent_id':
    (lambda refs, _: refs[4]['sentences'][0].update(sent_id=[1]), None,
     'sent_id that is no id', 'val', ('Ref 5', 'sentence [1]', 'a list')),
    'nested category': (lambda refs, _: refs[4].update(category_id=NESTED),
                        None, 'category_id that is no number', 'val',
                        ('Ref 5', )),
    'nested category of an annotation':
    (lambda _, inst: inst['annotations'][4].update(category_id=NESTED), None,
     'category_id that is no number', 'val', ('Annotation 31 of ref 5', )),
    # What no check of ours knows, the dataset does.
    'nested kind':
    (lambda refs, _: refs[4]['sentences'][0].update(kind=NESTED), None,
     'cannot be loaded', 'val', ('RefCOCODataset refuses it', 'as kind')),
    'several annotations':
    (lambda refs, _: refs[3].update(ann_id=[21, 22]), None,
     'several or no annotations', 'val', ('Ref 4', '[21, 22]', 'grefs')),
    'no annotation': (lambda refs, _: refs[3].update(ann_id=-1), None,
                      'several or no annotations', 'val', ('Ref 4', '-1')),
    'a ref lacks something': (lambda refs, _: refs[3].pop('split'), None,
                              'unusable file', None,
                              ('Ref number 3', 'lacks split')),
    'image missing': (None, _file('images/img_3.jpg', None), 'missing image',
                      'val', ('img_3.jpg does not exist', )),
    'image empty': (None, _file('images/img_3.jpg', b''), 'unreadable image',
                    'val', ('img_3.jpg is empty', )),
    'image cut off': (None, _cut('images/img_3.jpg'), 'unreadable image',
                      'val', ('img_3.jpg', 'cut off')),
    'no image': (None, _file('images/img_3.jpg', b'<html>'),
                 'unreadable image', 'val', ('img_3.jpg', 'not an image')),
    'other size': (None, lambda root: shutil.copy(
        root / 'images' / 'img_1.jpg', root / 'images' / 'img_3.jpg'),
                   'image of another size', 'val',
                   ('64 x 96', 'annotated as 70 x 50')),
    'no images at all': (None, lambda root: os.rename(
        root / 'images', root / 'pictures'), 'missing file', None,
                         ('None of the images', '--images')),
    'no instances': (None, _file('instances.json', None), 'missing file',
                     None, ('instances.json does not exist', 'docs/data.md')),
    'broken instances': (None, _cut('instances.json'), 'unusable file', None,
                         ('instances.json', 'not readable JSON')),
    'no refs': (None, _file('refs(unc).p', None), 'missing file', None,
                ('no refs file', 'grefs(...).json', 'docs/data.md')),
    'broken refs': (None, _cut('refs(unc).p'), 'unusable file', None,
                    ('refs(unc).p', 'cut off')),
    'code in refs': (None, _file('refs(unc).p',
                                 b'cos\nsystem\n(S"true"\ntR.'),
                     'unusable file', None, ('refused', 'os.system')),
}


@pytest.fixture
def plant(tmp_path, write_refer_set, tiny_refer_parts):
    """The tiny set without its own oddities, and with changes."""

    def write(change=None, change_files=None, name='refcoco'):
        refs, instances = tiny_refer_parts
        instances['annotations'][1]['segmentation'] = [[
            70, 40, 96, 40, 96, 64, 70, 64
        ]]
        del instances['annotations'][4]['segmentation'][1:]
        refs[2].update(ann_id=11, image_id=1)  # 2 is an image of val
        if change is not None:
            change(refs, instances)
        root = write_refer_set(tmp_path / name, refs, instances)
        if change_files is not None:
            change_files(root)
        return root

    return write


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """As if the tiny set were the public one."""
    monkeypatch.setitem(
        refer_counts.KNOWN_COUNTS, ('refcoco', 'unc'),
        dict(
            train=SplitCount(3, 6, 1),
            val=SplitCount(2, 3, 2),
            testA=SplitCount(1, 2, 1),
            testB=SplitCount(1, None, 1)))


def test_a_whole_set(plant, tool, capsys):
    root = plant()
    reports = check_folder(str(root), read_images=True)
    assert len(reports) == 1 and reports[0].faults == []
    assert reports[0].is_whole(strict=True)
    assert tool.main([str(root), '--read-images', '--strict']) == 0
    out = capsys.readouterr().out
    assert 'No faults' in out and 'All is well' in out
    assert '3 / 6 / 1' in out and '1 / - / 1' in out


@pytest.mark.parametrize('case', FAULTS)
def test_planted_faults(case, plant, tool, capsys):
    change, change_files, kind, split, pieces = FAULTS[case]
    root = plant(change, change_files)
    report = check_folder(str(root), read_images=True)[0]
    found = [x for x in report.faults if x.kind == kind]
    assert found, report.faults
    # One fault is one fault, but for what follows from it.
    follows = {
        'other counts than published', 'empty mask', 'duplicate sent_id',
        'polygon out of the image', 'image of another size'
    }
    assert {x.kind for x in report.faults} <= {kind, *follows}
    assert found[0].split == split and not found[0].harmless
    for piece in pieces:
        assert piece in found[0].what
    assert '\n' not in found[0].what
    assert not report.is_whole()
    assert tool.main([str(root), '--read-images']) == 1
    assert f'{len(found)} x {kind}' in capsys.readouterr().out


def test_images_are_only_read_on_request(plant):
    root = plant(None, _cut('images/img_3.jpg'))
    assert check_folder(str(root))[0].is_whole()


def test_other_counts_than_published(plant, tool, capsys):
    root = plant(lambda refs, _: refs.pop(3))
    fault, = check_folder(str(root))[0].faults
    assert fault.kind == 'other counts than published'
    assert 'val has 1 refs, 1 sentences, 1 images' in fault.what
    assert 'published are 2 refs, 3 sentences, 2 images' in fault.what
    root = plant(lambda refs, _: refs.pop())  # now no testB at all
    fault = check_folder(str(root))[0].faults[-1]
    assert 'testB has 0 refs' in fault.what and fault.split == 'testB'
    assert tool.main([str(root)]) == 1
    capsys.readouterr()
    # Of a set that nobody published there is nothing to be held against.
    other = plant(lambda refs, _: refs.pop(), name='my_set')
    assert check_folder(str(other))[0].is_whole()
    assert tool.main([str(other)]) == 0
    out = capsys.readouterr().out
    assert 'no published numbers of my_set, split by unc' in out
    assert 'name of the folder chooses: refcoco (unc or google), ' in out
    # Capitals make no difference.
    other = plant(lambda refs, _: refs.pop(), name='deep/RefCOCO')
    assert not check_folder(str(other))[0].is_whole()


def test_harmless_faults(tiny_refer_root, tool, capsys):
    """The tiny set has a sliver beside a polygon, as COCO has."""
    report = check_folder(str(tiny_refer_root))[0]
    kinds = {x.kind: x.harmless for x in report.faults}
    assert kinds == {
        'polygon of fewer than 3 points': True,
        'polygon out of the image': False,
        'images in train and in val or test': True
    }
    report.faults = [x for x in report.faults if x.harmless]
    assert report.is_whole() and not report.is_whole(strict=True)
    assert '(harmless)' in format_report(report)


def test_images_in_train_and_val(plant, tool):
    """RefCOCOg's Google split has such by design."""
    root = plant(lambda refs, _: refs[5].update(split='train'), name='other')
    fault, = check_folder(str(root))[0].faults
    assert fault.harmless and '1 images are trained on and tested on, such ' \
        'as 4' in fault.what
    assert tool.main([str(root)]) == 0
    assert tool.main([str(root), '--strict']) == 1


def test_many_faults_are_counted(plant):
    root = plant(lambda _, inst: inst['annotations'].clear())
    text = format_report(check_folder(str(root))[0], limit=2)
    assert '7 x missing annotation' in text and 'and 5 more' in text
    assert text.count('speaks of annotation') == 2


@pytest.mark.parametrize('place', [
    '../train2014', '../images/mscoco/images/train2014', 'saiapr_tc-12'
])
def test_images_are_found_in_the_usual_places(plant, place, tool, capsys):
    root = plant(name='deep/refcoco')
    target = Path(os.path.normpath(root / place))
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / 'images').rename(target)
    assert check_folder(str(root))[0].is_whole()
    target.rename(root / 'elsewhere')
    assert not check_folder(str(root))[0].is_whole()
    assert tool.main([str(root), '--images', str(root / 'elsewhere')]) == 0
    capsys.readouterr()


def test_a_folder_of_folders(plant, tool, tmp_path, capsys):
    plant(name='refcoco')
    plant(lambda refs, _: refs[4].update(sentences=[]), name='refcoco+')
    (tmp_path / 'train2014').mkdir()
    assert tool.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert 'Faults in 1 of 2' in out and 'refcoco+/refs(unc).p' in out
    assert tool.main([str(tmp_path / 'refcoco'), '--split-by', 'unc']) == 0
    assert tool.main([str(tmp_path / 'refcoco'), '--split-by', 'umd']) == 1
    assert tool.main([str(tmp_path / 'nowhere')]) == 1
    out = capsys.readouterr().out
    assert 'nowhere does not exist' in out
    assert 'has no refs file (refs(umd).p' in out
    assert tool.main([str(tmp_path / 'refcoco/instances.json')]) == 1
    assert 'is a file, not a folder' in capsys.readouterr().out


@pytest.mark.parametrize('name', ['refs(umd).p', 'grefs(unc).json'])
def test_a_folder_of_folders_that_lack_files(name, plant, tool, tmp_path,
                                             capsys):
    """Each set in it is spoken of, whichever of its two files is missing."""
    plant(name='refcoco')
    other = plant(name='refcocog')
    (other / 'instances.json').unlink()
    (other / 'refs(unc).p').rename(other / name)
    if name.endswith('json'):
        refs = load_refs(str(tmp_path / 'refcoco/refs(unc).p'))
        (other / name).write_text(json.dumps(refs))
    assert tool.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert 'Faults in 1 of 2' in out and f'refcocog/{name}' in out
    assert 'refcocog/instances.json does not exist' in out
    # Also where the refs file lies in the folder of the folders.
    shutil.move(other / name, tmp_path / name)
    shutil.rmtree(other)
    assert tool.main([str(tmp_path)]) == 1
    assert 'Faults in 1 of 2' in capsys.readouterr().out


@pytest.mark.parametrize('exist', ['no', None, 2, [1]])
@pytest.mark.parametrize('name', ['refs(unc).p', 'refs(unc).json'])
def test_rref_layout(exist, name, plant):

    def change(refs, _):
        for ref in refs:
            ref['sentences'][0]['exist'] = False
        refs[3]['sentences'][0]['exist'] = exist

    root = plant(change, name='rrefcoco')
    if name.endswith('json'):
        refs = load_refs(str(root / 'refs(unc).p'))
        (root / 'refs(unc).p').unlink()
        (root / name).write_text(json.dumps(refs))
    fault, = check_folder(str(root))[0].faults
    assert fault.kind == 'exist that is neither true nor false'
    assert fault.split == 'val' and f'exist={exist!r}' in fault.what
    root = plant(lambda refs, _: refs[3]['sentences'][0].update(exist=0))
    assert check_folder(str(root))[0].is_whole()


def test_sets_whose_sentences_are_sent(plant, tool):

    def change(refs, _):
        for ref in refs:
            for sentence in ref['sentences']:
                del sentence['raw']

    root = str(plant(change))
    assert tool.main([root]) == 1
    assert tool.main([root, '--sentence-field', 'sent']) == 0


@pytest.mark.parametrize('length, well', [(70., True), (70.5, False)])
def test_sizes_that_are_floats(length, well, plant, tool, capsys):
    root = plant(lambda _, inst: inst['images'][2].update(height=length))
    assert tool.main([str(root), '--read-images']) == (not well)
    assert well or 'no number of pixels' in capsys.readouterr().out


def test_warnings_do_not_stand_in_the_report(plant, tool, capfd):
    root = plant(lambda refs, _: refs[4].update(sentences=[], ann_id=[31]),
                 name='grefcoco')
    (root / 'refs(unc).p').rename(root / 'grefs(unc).p')
    check_folder(str(root))
    out, err = capfd.readouterr()
    assert 'left out' not in out + err


def test_gref_layout(plant):
    """Lists, [-1] and refs without sentences are as they should be."""

    def change(refs, _):
        refs[0]['ann_id'], refs[2]['ann_id'] = [11, 12], [12, 11, 12]
        refs[3]['ann_id'], refs[4]['sentences'] = [-1], []

    root = plant(change, name='grefcoco')
    refs = load_refs(str(root / 'refs(unc).p'), many=True)
    (root / 'refs(unc).p').unlink()
    (root / 'grefs(unc).json').write_text(json.dumps(refs))
    report = check_folder(str(root), read_images=True)[0]
    assert report.is_whole() and report.path.endswith('grefs(unc).json')
    assert [(x.kind, x.split) for x in report.faults] == [
        ('annotation named twice', 'train'), ('ref without sentences', 'val')
    ]


def test_synthetic_sets(tmp_path):
    for targets in ('one', 'any'):
        folder = str(tmp_path / targets)
        make_synthetic_refs(
            folder, train=2, val=2, testA=0, testB=0, size=96,
            targets=targets)
        report = check_folder(folder, read_images=True)[0]
        assert report.faults == [] and report.counts['val'].images == 2


def test_masks_within_a_pixel_of_the_border_are_fine():
    assert find_mask_faults([[-0.9, 0, 20.9, 0, 20, 10]], 10, 20) == []
    assert find_mask_faults([[-1.1, 0, 20, 0, 20, 10]], 10, 20)[0].kind == (
        'polygon out of the image')
    assert find_mask_faults(dict(size=[2, 2], counts=[1, 3]), 2, 2) == []
    assert find_mask_faults(None, 2, 2)[0].kind == (
        'polygon that is no list of numbers')
