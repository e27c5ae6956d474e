# Licensed under the Apache License, Version 2.0.
"""What is of another format, damaged or half there, is refused and said."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from converter_sets import MAKERS, dump, lvis_content, photo
from PIL import Image
from refer_checks.jsonl_check import check_lines

from mmrefseg.converters import FORMATS, convert_refs
from mmrefseg.datasets.jsonl_refs import JSONLinesRefDataset

TOOLS = Path(__file__).parents[2] / 'tools/dataset_converters'


def run(tool, *args):
    return subprocess.run(
        [sys.executable, TOOLS / tool, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=300)


@pytest.mark.parametrize('given', FORMATS)
@pytest.mark.parametrize('named', FORMATS)
def test_another_format_is_named(given, named, tmp_path):
    if given == named:
        return
    made = MAKERS[given](tmp_path / 'set')
    out = tmp_path / 'x.jsonl'
    with pytest.raises(ValueError) as error:
        convert_refs(named, made.source, out)
    assert f'{made.source} is not of the format {named}' in str(error.value)
    if given == 'rrsis-d':
        assert 'in the layout of REFER' in str(error.value)
    else:
        assert re.search(
            rf'It looks like {given}: run python \S+convert_refs.py {given} '
            rf'{re.escape(str(made.source))} OUT.jsonl\.$', str(error.value))
    assert not out.exists() and not list(tmp_path.glob('*.tmp'))


@pytest.mark.parametrize('write, said', [
    (lambda x: dump(x / 'a.json', dict(
        images=[dict(id=1, file_name='a')], annotations=[], categories=[])),
     "COCO's layout, without sentences; tools/dataset_converters/coco_to"),
    (lambda x: dump(x / 'a.json', [dict(task_id=1, phrase='a', reason='b')]),
     'phrases that annotators skipped.*refer_train.json'),
    (lambda x: dump(x / 'refs(unc).json', [dict(ref_id=1, sentences=[])]),
     'RefCOCODataset'),
    (lambda x: (x / 'a.jsonl').write_text('{"image": "a", "text": "b"}\n')
     and x / 'a.jsonl', 'JSON lines already'),
])
def test_what_is_no_format_is_named(write, said, tmp_path):
    source = write(tmp_path)
    for name in FORMATS:
        if name == 'rrsis-d' and said == 'RefCOCODataset':
            continue  # the same layout: it asks for the folder
        with pytest.raises(ValueError, match=f'It looks like .*{said}'):
            convert_refs(name, source, tmp_path / 'x')


def test_pickle_of_refer(tmp_path):
    for protocol in (0, 2, 4):
        source = tmp_path / 'refs(unc).p'
        source.write_bytes(pickle.dumps([dict(ref_id=1)], protocol))
        with pytest.raises(ValueError, match='RefCOCODataset'):
            convert_refs('mdetr', source, tmp_path / 'x')


def _first(content):
    """The first entry of a set's JSON."""
    while not isinstance(content, dict) or not content.keys() & {
            'sentence', 'command', 'phrase', 'caption'}:
        if isinstance(content, dict):
            content = content.get('images', next(iter(content.values())))
        else:
            content = content[0]
    return content


def _set(**values):
    return lambda content: _first(content).update(values)


def _drop(key):
    return lambda content: _first(content).pop(key)


# format: (change of the JSON, what is said)
DAMAGES = {
    'ris-cq': [
        (_drop('sentence'), r'entry 0 has no text "sentence", but None'),
        (_set(sentence=7), r'entry 0 has no text "sentence", but 7'),
        (_set(id='5'), r'entry 0 has the "id" \'5\''),
        (_set(id=1 << 24), r'1 to 16777215'),
        (_set(file_name=''), r'entry 0 has no file name "file_name"'),
        (_drop('pan_seg_file'), r'"pan_seg_file"|is not of'),
        (lambda x: x.append(3), r'entry 6 is 3, not an object'),
        (lambda x: x.clear(), r'Nothing is left to be written. The set has'),
    ],
    'talk2car-regseg': [
        (_drop('img'), r'no file name "img"'),
        (_set(command=None), r'train 0 has no text "command", but None'),
        (lambda x: x['train'].update({'0': [1]}), r'train 0 is \[1\], not an'),
        (lambda x: x.update(val='x'), r"split val is 'x'"),
        (lambda x: x['val'].update({'9': _first(x)}),
         r'gt_img_ann_val_9.png does not exist'),
    ],
    'phrasecut': [
        (_drop('task_id'), r'entry 0 has no id "task_id"'),
        (_set(phrase=['a']), r'task_id 11__1\) has no text "phrase"'),
        (_set(Polygons=[[1]]), r'a polygon is 1, not a list of points'),
        (_set(Polygons=[[[[1, 2, 3]]]]), r'not a list of points'),
        (_set(Polygons=[[[[1, 2], [float('nan'), 2], [4, 4]]]]),
         r'not a list of points'),
        (_set(Polygons='x'), r'no list "Polygons"'),
        (lambda x: x[1].update(task_id='11__1'),
         r'ref_id 11__1 has another image or another mask'),
    ],
    'mdetr': [
        (_drop('file_name'), r'image 70 has no file name "file_name"'),
        (_set(caption=1), r'image 70 has no text "caption", but 1'),
        (_set(original_id=77), r'speaks of image 77, but annotation 501'),
        (_set(id=None), r'image 0 has no id "id"'),
        (lambda x: x['images'].pop(),
         None),  # an entry without annotations may go
        (lambda x: x['images'].pop(0), r'1 annotations are of images that'),
        (lambda x: x['annotations'][0].pop('image_id'),
         r'annotation 0 has no id "image_id"'),
        (lambda x: x.pop('annotations'), r'"annotations" of .* is not a list'),
    ],
    'hf-refcoco': [],
    'rrsis-d': [],
    'lvis': [
        (lambda x: x['images'][0].pop('coco_url'), r'needs "id", "file_name"'),
        (lambda x: x['annotations'][0].pop('segmentation'),
         r'annotation 1 has no "segmentation"'),
        (lambda x: x['annotations'][0].update(image_id=[1]),
         r'annotation number 0 needs'),
        (lambda x: x['annotations'][0].update(category_id=99),
         r'category_id 99, which is not in'),
    ],
}
CASES = [(name, n) for name, own in DAMAGES.items() for n in range(len(own))]


@pytest.mark.parametrize('name, number', CASES)
def test_damaged_entries(name, number, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    change, said = DAMAGES[name][number]
    content = json.loads(made.source.read_text())
    change(content)
    made.source.write_text(json.dumps(content))
    out = tmp_path / 'out/x.jsonl'
    out.parent.mkdir()
    out.write_text('what was there before')
    if said is None:
        convert_refs(name, made.source, out, **made.options)
        return
    with pytest.raises((ValueError, FileNotFoundError), match=said) as error:
        convert_refs(name, made.source, out, **made.options)
    assert '\n' not in str(error.value)
    assert str(made.source) in str(error.value) or 'Nothing' in said
    assert out.read_text() == 'what was there before'
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize('change, said', [
    (dict(raw_anns='{"id": 5'), r'row 0, raw_anns is not JSON'),
    (dict(raw_anns='[]'), r'row 0: "raw_anns" is \[\], not an object'),
    (dict(raw_image_info=None), r'row 0 has no text "raw_image_info"'),
    (dict(raw_image_info='{}'), r'raw_image_info has no file name'),
    (dict(sentences='x'), r"row 0 has no list of sentences, but 'x'"),
    (dict(sentences=[dict(sent='x')]), r'a sentence has no text "raw"'),
    (dict(ref_id=None), r'row 0 has no id "ref_id"'),
    (dict(split=1), r'row 0 has no text "split"'),
    (dict(ref_id=31), r'row 1: ref_id 31 has another image or another mask'),
])
def test_damaged_rows(change, said, tmp_path):
    made = MAKERS['hf-refcoco'](tmp_path)
    lines = made.source.read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), **change})
    made.source.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=said):
        convert_refs('hf-refcoco', made.source, tmp_path / 'x')
    lines[0] = lines[1][:50]
    made.source.write_text('\n'.join(lines[::-1]))
    with pytest.raises(ValueError, match='row 1 is not JSON'):
        convert_refs('hf-refcoco', made.source, tmp_path / 'x')


def test_other_columns(tmp_path):
    source = tmp_path / 'x.json'
    source.write_text('{"image": 1, "question": 2}')
    with pytest.raises(ValueError, match='expected are raw_anns.*question_id'):
        convert_refs('hf-refcoco', source, tmp_path / 'y')


@pytest.mark.parametrize('name', ['ris-cq', 'talk2car-regseg', 'phrasecut',
                                  'mdetr', 'lvis'])
def test_files_cut_off(name, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    content = made.source.read_bytes()
    made.source.write_bytes(content[:len(content) // 2])
    with pytest.raises(ValueError, match='is not JSON.*damaged or cut off'):
        convert_refs(name, made.source, tmp_path / 'x')


@pytest.mark.parametrize('name, mask', [
    ('ris-cq', 'panoptic_train2017/000000000009.png'),
    ('talk2car-regseg', 'masks/gt_img_ann_train_0.png'),
])
def test_mask_files_damaged(name, mask, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    path = tmp_path / 'set' / mask
    whole = path.read_bytes()
    photo(tmp_path / 'photo.jpg')
    cases = [(whole[:-20], 'is cut off'), (b'', 'is empty'),
             (b'no image', 'cannot be read'),
             ((tmp_path / 'photo.jpg').read_bytes(), 'is a JPEG')]
    for content, said in cases:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f'{mask} {said}'):
            convert_refs(name, made.source, tmp_path / 'x')


def test_grey_panoptic_masks(tmp_path):
    made = MAKERS['ris-cq'](tmp_path)
    shutil.copy(
        Path(MAKERS['talk2car-regseg'](tmp_path / 'b').source).parent /
        'masks/gt_img_ann_val_0.png', tmp_path / 'x.png')
    Image.open(tmp_path / 'x.png').convert('L').save(
        tmp_path / 'panoptic_train2017/000000000009.png')
    with pytest.raises(ValueError, match='mode L, but ids of segments are'):
        convert_refs('ris-cq', made.source, tmp_path / 'x')


def test_rrsis_d_files(tmp_path):
    made = MAKERS['rrsis-d'](tmp_path)
    report = convert_refs('rrsis-d', tmp_path, tmp_path / 'x')  # one above
    assert report.sentences.total() == 2
    with pytest.raises(ValueError, match="no split 'testA', but train, test"):
        convert_refs('rrsis-d', made.source, tmp_path / 'x', split='testA')
    refs = made.source / 'refs(unc).p'
    refs.write_bytes(b'cos\nsystem\n(S"true"\ntR.')
    with pytest.raises(ValueError, match='refused'):
        convert_refs('rrsis-d', made.source, tmp_path / 'x')
    refs.unlink()
    with pytest.raises(FileNotFoundError, match=r'no refs\(unc\).p, neither'):
        convert_refs('rrsis-d', made.source, tmp_path / 'x')


def test_options_of_other_formats(tmp_path):
    made = MAKERS['phrasecut'](tmp_path)
    with pytest.raises(ValueError, match='--skip-missing is not for phrasecut,'
                       ' which takes --split, --image-data, --draw'):
        convert_refs('phrasecut', made.source, 'x', skip_missing=True)
    with pytest.raises(ValueError, match="no format 'coco': choose of ris-cq"):
        convert_refs('coco', made.source, 'x')
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        convert_refs('phrasecut', tmp_path / 'nowhere', 'x')
    with pytest.raises(ValueError, match='is the source itself'):
        convert_refs('phrasecut', made.source, made.source)


def test_absence_in_lvis(tmp_path):
    source = dump(tmp_path / 'lvis.json', lvis_content())
    done = run('coco_to_refs.py', source, tmp_path / 'x', '--no-target', '.2')
    assert done.returncode == 1 and done.stderr.startswith('error: Of an im')
    done = run('coco_to_refs.py', source, tmp_path / 'x')
    assert done.returncode == 0, done.stderr
    assert '1 annotations of LVIS were left out' in done.stdout


def test_the_command_and_the_check_of_what_it_writes(tmp_path):
    made = MAKERS['ris-cq'](tmp_path / 'set')
    out = tmp_path / 'x.jsonl'
    done = run('convert_refs.py', 'ris-cq', made.source, out, '--split', 'val')
    assert done.returncode == 0, done.stderr
    # MMEngine may print what it could not import.
    report = done.stdout[done.stdout.index('4 sent'):]
    first, *left_out, last = report.splitlines()
    assert first == '4 sentences about 3 objects in 2 images (val 4)'
    assert len(left_out) == 2 and last.startswith(f'written to {out} in ')
    done = run('convert_refs.py', 'mdetr', made.source, out)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert done.stderr.startswith('error: ') and 'run python' in done.stderr
    done = run('check_dataset.py', out, '--images', made.images,
               '--read-images')
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'val +3 +4 +2 +0', done.stdout)


@pytest.mark.parametrize('name', FORMATS)
def test_the_check_accepts_every_format(name, tmp_path):
    made = MAKERS[name](tmp_path / 'set')
    out = tmp_path / 'x.jsonl'
    convert_refs(name, made.source, out, **made.options)
    for read in (False, True):
        report, = check_lines(
            str(out), images=str(made.images), read_images=read)
        assert report.faults == []
    dataset = JSONLinesRefDataset(
        ann_file=str(out), data_prefix=dict(img_path=str(made.images)))
    assert sum(x.sentences for x in report.counts.values()) == len(dataset)
    assert sum(x.refs for x in report.counts.values()) >= len(
        dataset.get_ref_groups())


SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


@pytest.mark.parametrize('line, kind', [
    (dict(text=''), 'unusable line'),
    (dict(image='b.jpg'), 'missing image'),
    (dict(height=31, width=40), 'image of another size'),
    (dict(segmentation=[[100, 100, 110, 100, 110, 110]]), 'empty mask'),
    (dict(segmentation=dict(size=[30, 40], counts='zz')),
     'mask that cannot be drawn'),
    (dict(segmentation=None, mask='no.png'), 'missing mask file'),
    (dict(segmentation=None, mask='two.png'), 'unusable mask file'),
    (dict(segmentation=None, mask='black.png'), 'empty mask'),
    (dict(ref_id=1), 'cannot be loaded'),
])
def test_the_check_of_json_lines(line, kind, tmp_path):
    photo(tmp_path / 'images/a.jpg')
    (tmp_path / 'masks').mkdir()
    for name, values in (('two', (0, 1, 2)), ('black', (0, 0, 0))):
        Image.fromarray(np.uint8([values])).save(
            tmp_path / f'masks/{name}.png')
    good = dict(image='a.jpg', text='one', ref_id=1, segmentation=SQUARE)
    bad = dict(image='a.jpg', text='two', split='val',
               segmentation=[[1, 1, 5, 1, 5, 5]]) | line
    bad = {key: x for key, x in bad.items() if x is not None}
    path = tmp_path / 'refs.jsonl'
    path.write_text(f'{json.dumps(good)}\n\n{json.dumps(bad)}\n')
    report, = check_lines(str(path))
    assert kind in {x.kind for x in report.faults}
    assert not report.is_whole()
    path.write_text(json.dumps(good))
    assert check_lines(str(path))[0].faults == []
