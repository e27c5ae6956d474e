# Licensed under the Apache License, Version 2.0.
import copy
import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest
import torch

from mmrefseg.apis import init_model
from mmrefseg.apis.checkpoints.init_model import scope_of
from mmrefseg.registry import DATASETS
from unseen_words import (CONTROLS, Line, clustered_mean, format_unseen_words,
                          measure_unseen_words)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def model(tiny_model):
    return init_model(tiny_model.config, tiny_model.weights, 'cpu')


@pytest.fixture
def dataset(model, tiny_refer_root):
    config = copy.deepcopy(model.cfg.test_dataloader.dataset)
    config.data_root = str(tiny_refer_root)
    with scope_of(model.cfg):
        return DATASETS.build(config)


GROUPS = dict(
    colour={'red': 'crimson'}, place={
        'left': 'right',
        'lower right': 'upper'
    })


@pytest.fixture
def lines(model, dataset):
    return list(measure_unseen_words(model, dataset, GROUPS, batch_size=3))


def test_groups_and_what_is_shown(lines):
    shown = ['seen', 'unseen', *CONTROLS]
    assert [(line.group, line.shown) for line in lines] == [
        (group, x) for group in ('colour', 'place', 'all') for x in shown
    ]
    assert {line.group: line.sentences
            for line in lines} == dict(colour=1, place=4, all=5)


def _areas(model, dataset, texts):
    """Areas of intersection and union, one sentence at a time."""
    areas = []
    for index, text in texts.items():
        item = dataset.get_data_info(index)
        item['text'] = text
        item = dataset.pipeline(item)
        [sample] = model.test_step(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))
        predicted = sample.pred_sem_seg.data.bool()
        true = sample.gt_sem_seg.data.bool()
        areas.append(((predicted & true).sum().item(),
                      (predicted | true).sum().item()))
    return areas


def test_numbers_one_by_one(lines, model, dataset):
    texts = {
        i: dataset.get_data_info(i)['text']
        for i in range(len(dataset))
    }
    before = {
        i: text
        for i, text in texts.items()
        if any(x in text.lower().split() for x in ('left', 'lower'))
    }
    after = {
        i: text.replace('LEFT', 'right').replace('left', 'right').replace(
            'lower right', 'upper')
        for i, text in before.items()
    }
    assert before != after and len(before) == 4
    for shown, wanted in (('seen', before), ('unseen', after)):
        [line] = [x for x in lines if x[:2] == ('place', shown)]
        areas = _areas(model, dataset, wanted)
        ious = [i / u for i, u in areas]
        assert line.scores['oIoU'] == pytest.approx(
            100 * sum(i for i, _ in areas) / sum(u for _, u in areas))
        assert line.scores['mIoU'] == pytest.approx(25 * sum(ious))
        assert line.scores['P0.5'] == 25 * sum(x >= 0.5 for x in ious)
    [seen] = [x for x in lines if x[:2] == ('place', 'seen')]
    assert seen.change == seen.error == 0
    assert line.change == pytest.approx(line.scores['mIoU'] -
                                        seen.scores['mIoU'])
    assert line.change != 0


def test_one_sentence_of_two_things(model, dataset):
    """The same tokens with another image are another prediction."""
    texts = [dataset.get_data_info(i)['text'] for i in range(len(dataset))]
    shown = {
        texts.index('The LEFT thing'): 'The a tall thing',
        texts.index('left one'): 'a tall one',
        texts.index('top left box'): 'top a tall tall one',
        texts.index('a box'): 'a tall one',
    }
    areas = _areas(model, dataset, shown)
    assert areas[1] != areas[3]
    lines = measure_unseen_words(
        model, dataset, dict(x={
            'left': 'a tall',
            'box': 'tall one'
        }))
    [line] = [x for x in lines if x.shown == 'unseen']
    assert line.scores['oIoU'] == pytest.approx(
        100 * sum(i for i, _ in areas) / sum(u for _, u in areas))


def test_sentences_of_one_word_are_skipped(model, dataset):
    """Without the word they are empty."""
    lines = list(
        measure_unseen_words(model, dataset, dict(x={
            'left': 'tall',
            'one': 'thing'
        })))
    # 'The LEFT thing' and 'top left box', not 'left one'
    assert {line.sentences for line in lines} == {2}


def test_words_outside_of_the_vocabulary_are_all_alike(lines):
    """To this vocabulary of whole words they are one token."""
    unseen, _, nonsense, unknown = [
        line for line in lines if line.group == 'colour'
    ][1:]
    assert unseen.scores == nonsense.scores == unknown.scores


def test_what_has_the_same_tokens_is_predicted_once(model, dataset,
                                                    monkeypatch):
    seen = []
    real = model.test_step
    monkeypatch.setattr(
        model, 'test_step', lambda data: seen.extend(
            x.metainfo['text'] for x in data['data_samples']) or real(data))
    list(
        measure_unseen_words(model, dataset,
                             dict(colour={'red': 'crimson'})))
    assert seen == ['big red thing', 'big crimson thing', 'big thing']
    assert not torch.is_inference_mode_enabled()


def test_clustered_mean():
    # Two observations, each counted twice, are two and not four.
    mean, error = clustered_mean([1., 1., 3., 3.], 'aabb')
    assert mean == 2
    assert error == pytest.approx(math.sqrt(2 / 2))  # s / sqrt(2), s^2 = 2
    # Each its own: the usual standard error of a mean.
    values = torch.tensor([1., 4., 2., 9.])
    mean, error = clustered_mean(values.tolist(), range(4))
    assert error == pytest.approx(values.std().item() / 2)
    assert math.isnan(clustered_mean([1., 2.], 'aa')[1])


def test_table():
    scores = dict(oIoU=50.04, mIoU=51., **{'P0.5': 60.})
    assert format_unseen_words([
        Line('size', 'seen', 12, scores, 0., 0.),
        Line('size', 'unseen', 12, dict(scores, mIoU=41.), -10., 1.26),
    ]).splitlines()[2:] == [
        '| size | 12 | seen | 50.0 | 51.0 | 60.0 |  |',
        '|  |  | unseen | 50.0 | 41.0 | 60.0 | -10.0 ± 1.3 |',
    ]


@pytest.fixture
def command(monkeypatch, tiny_model, tiny_refer_root, tmp_path):
    """A function that runs the command in this process."""
    path = ROOT / 'projects/unseen_words/run_unseen_words.py'
    spec = importlib.util.spec_from_file_location('run_unseen_words', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [
            'run_unseen_words.py', tiny_model.config, tiny_model.weights,
            '--device', 'cpu', *arguments, '--cfg-options',
            f'test_dataloader.dataset.data_root={tiny_refer_root}'
        ])
        module.main()

    return run


def test_the_command(command, capsys, tmp_path):
    out = tmp_path / 'lines.json'
    command('--words', 'red=crimson', 'left=right', '--each', '--out',
            str(out))
    printed = capsys.readouterr().out
    assert '  red → crimson: [UNK]\n  left → right: right\n' in printed
    lines = json.loads(out.read_text())
    assert [x['group'] for x in lines[::5]
            ] == ['red → crimson', 'left → right', 'all']
    assert '| red → crimson | 1 | seen |' in printed


@pytest.mark.parametrize('words, message', [
    ('red', 'error: --words red: write OLD=NEW'),
    ('mauve=pink', 'error: No sentence .* words mauve'),
])
def test_errors_of_the_command(command, words, message):
    with pytest.raises(SystemExit, match=message):
        command('--words', words)
