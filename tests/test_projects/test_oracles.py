# Licensed under the Apache License, Version 2.0.
"""The synthetic scenes cannot be solved without reading."""

import json
import pickle
import runpy
import sys
from pathlib import Path

import pytest

from mmrefseg.synthetic import KINDS, make_synthetic_refs
from oracles import (ORACLES, format_oracles, head_noun, measure_oracles,
                     noun_words)

TOOL = Path(__file__).parents[2] / (
    'projects/synthetic_oracles/run_oracles.py')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    root = str(tmp_path_factory.mktemp('oracles') / 'refs')
    make_synthetic_refs(root, train=0, val=150, testA=0, testB=0, size=128)
    return measure_oracles(root)


def test_weak_oracles_stay_weak(report):
    oiou = {k: v['all']['oIoU'] for k, v in report['oracles'].items()}
    assert oiou['random'] < 20 and oiou['largest'] < 30
    assert oiou['noun'] <= 50
    # Places and relations have to be read too.
    for kind in ('location', 'relation'):
        assert report['oracles']['words'][kind]['oIoU'] < 60
    assert report['oracles']['words']['appearance'] == {
        'oIoU': 100., 'P0.5': 100.}


def test_distractors_and_kinds(report):
    assert report['distractors'] >= 0.7
    assert set(report['kinds']) == set(KINDS)
    assert min(report['kinds'].values()) >= 0.25
    assert sum(report['kinds'].values()) == pytest.approx(1)


def test_areas_are_spread(report):
    areas = report['area_quantiles']
    assert 1 <= areas[0.] < 1.3 and 10 < areas[1.] <= 15.5
    assert areas[0.25] < 2.2 and areas[0.75] > 4


def test_table(report):
    lines = format_oracles(report).split('\n')
    assert lines[0].startswith('150 scenes')
    assert len(lines) == 6 + len(ORACLES)
    assert all(kind in lines[5] for kind in KINDS)


def test_words_of_a_sentence():
    assert noun_words('the big red star above the small blue cross') == {
        'size': 'large', 'colour': 'red', 'shape': 'star'}  # yapf: disable
    assert noun_words('one with stripes on the left') == {
        'pattern': 'striped'}
    assert noun_words('circle to the left of the plain square') == {
        'shape': 'circle'}
    assert head_noun('the red one right of the star') == 'one'
    assert head_noun('leftmost plain cross') == 'cross'


def test_scores_against_a_count_by_hand(tmp_path):
    """Three bars of 10, 20 and 30 pixels."""
    words = [('star', 'red'), ('star', 'blue'), ('cross', 'red')]
    annotations = [
        dict(
            id=i,
            image_id=1,
            area=10 * i,
            segmentation=[[0, i, 10 * i, i, 10 * i, i + 1, 0, i + 1]],
            attributes=dict(
                shape=shape, colour=colour, size='small', pattern='plain'))
        for i, (shape, colour) in enumerate(words, 1)
    ]
    sentences = [(2, 'blue star', 'appearance'), (2, 'star', 'location'),
            (3, 'thing below the star', 'relation')]
    refs = [
        dict(
            ref_id=i,
            ann_id=ann_id,
            image_id=1,
            split='val',
            sentences=[dict(sent=text, kind=kind)])
        for i, (ann_id, text, kind) in enumerate(sentences)
    ]
    (tmp_path / 'refs(synthetic).p').write_bytes(pickle.dumps(refs))
    (tmp_path / 'instances.json').write_text(
        json.dumps(
            dict(
                images=[dict(id=1, height=10, width=40)],
                annotations=annotations)))
    report = measure_oracles(str(tmp_path))
    assert (report['scenes'], report['refs'], report['sentences']) == (1, 3, 3)
    assert report['distractors'] == 1
    assert report['area_quantiles'][0.5] == pytest.approx(5)
    scores = {k: v['all'] for k, v in report['oracles'].items()}
    # Always the cross: right once, 30 of 20 + 30, 20 + 30, 30 pixels.
    assert scores['largest'] == pytest.approx({
        'oIoU': 100 * 30 / 130, 'P0.5': 100 / 3})
    # Always the first star, or for 'thing' the first object: never right.
    assert scores['noun'] == {'oIoU': 0., 'P0.5': 0.}
    # Only 'blue star' is found.
    assert scores['words'] == pytest.approx({
        'oIoU': 100 * 20 / (20 + 30 + 40), 'P0.5': 100 / 3})
    with pytest.raises(ValueError, match="no split 'test'"):
        measure_oracles(str(tmp_path), 'test')


def test_the_command(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / 'set')
    make_synthetic_refs(out, train=0, val=4, testA=0, testB=0, size=96)

    def call(folder):
        monkeypatch.setattr(sys, 'argv', ['run_oracles.py', folder])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out

    text = call(out)
    assert '4 scenes' in text and 'largest' in text
    with pytest.raises(SystemExit, match='^error: .*does not exist'):
        call(str(tmp_path))
