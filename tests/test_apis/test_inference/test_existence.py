# Licensed under the Apache License, Version 2.0.
"""What the inferencer says when a model says that nothing is there."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmrefseg.apis import RefSegInferencer
from mmrefseg.registry import MODELS

TEXTS = ['red square', 'the blue circle on the left', 'star']


@pytest.fixture(scope='module')
def inferencer(tiny_model, tmp_path_factory):
    cfg = Config.fromfile(tiny_model.config)
    cfg.model.decode_head.existence = dict(channels=8)
    torch.manual_seed(1)
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        model = MODELS.build(cfg.model)
    # A mask that is everywhere, unless it is emptied.
    model.decode_head.conv_seg.bias.data = torch.tensor([-9., 9.])
    path = str(tmp_path_factory.mktemp('existence') / 'weights.pth')
    torch.save(model.state_dict(), path)
    return RefSegInferencer(cfg, path, 'cpu', show_progress=False)


def _call(inferencer, photo, threshold, **kwargs):
    inferencer.model.decode_head.existence.threshold = threshold
    return inferencer(photo, TEXTS, **kwargs)['predictions'][0]


def test_scores_and_flags(inferencer, photo, tmp_path):
    scores = []
    for result in _call(inferencer, photo, 0.):
        assert result['no_target'] is False
        assert result['mask'].all() and result['score'] > 0.9
        scores.append(result['existence_score'])
    assert len(set(scores)) == 3 and all(0 < x < 1 for x in scores)
    gone = _call(
        inferencer, photo, 1., out_dir=str(tmp_path), save_predictions=True)
    for result, score in zip(gone, scores):
        assert result['no_target'] is True
        assert result['existence_score'] == pytest.approx(score)
        assert not result['mask'].any() and result['box'] is None
        assert result['score'] == 0
    lines = json.loads((tmp_path / 'predictions.json').read_text())
    assert [x['no_target'] for x in lines] == [True] * 3
    assert [x['existence_score'] for x in lines] == pytest.approx(scores)
    # Only some of them: the threshold lies between the scores.
    some = _call(inferencer, photo, sorted(scores)[1])
    assert sorted(x['no_target'] for x in some) == [False, False, True]


def test_a_threshold_of_pixels_does_not_bring_it_back(inferencer, photo):
    for existence, found in ((1., False), (0., True)):
        inferencer.model.decode_head.existence.threshold = existence
        for result in inferencer(
                photo, TEXTS, threshold=0.1)['predictions'][0]:
            assert result['mask'].any() == found
            assert result['no_target'] is not found


def test_models_that_cannot_say_so_say_nothing(tiny_model, photo):
    plain = RefSegInferencer(
        tiny_model.config, tiny_model.weights, 'cpu', show_progress=False)
    result = plain(photo, 'red square')['predictions'][0][0]
    assert 'no_target' not in result and 'existence_score' not in result
