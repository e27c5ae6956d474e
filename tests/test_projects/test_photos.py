# Licensed under the Apache License, Version 2.0.
import json
import sys

import cv2
import evaluate_photos
import numpy as np
import pytest
from blind import BlankImage, FixedSentence
from photo_scores import Answer, PhotoScores, Sentence, centre_box


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
