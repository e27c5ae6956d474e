# Licensed under the Apache License, Version 2.0.
"""The masks that `tools/test.py --out` writes give the metric's own numbers,
also of a model that says that nothing is there."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.apis.mask_evaluation import evaluate_masks, open_split
from mmrefseg.datasets.transforms import LoadRefMask
from mmrefseg.evaluation import PredictionDump, ReferringIoUMetric
from mmrefseg.evaluation.conventions import resolve_convention
from mmrefseg.synthetic import make_synthetic_refs


def _sample(item, rng):
    """A prediction: half of the true mask and some noise; now and then the
    model says that nothing is there, and the mask is emptied."""
    true = LoadRefMask()(dict(item, ori_shape=(item['height'],
                                               item['width'])))['gt_seg_map']
    drawn = (true == 1) & (rng.random(true.shape) < 0.7)
    drawn |= rng.random(true.shape) < 0.05
    nothing = bool(rng.random() < 0.4)
    sample = SegDataSample(
        metainfo=dict(
            text=item['text'], image_id=item['image_id'],
            ref_id=item['ref_id'], sent_id=item['sent_id'],
            img_path=item['img_path'], ori_shape=true.shape,
            no_target=item.get('no_target', False), pred_no_target=nothing))
    drawn = torch.from_numpy(drawn)
    sample.seg_logits = PixelData(data=torch.stack([~drawn, drawn]).float())
    sample.pred_sem_seg = PixelData(data=(drawn & (not nothing))[None].long())
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(true)[None].long())
    return sample


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Folder of a few scenes, with no-target sentences."""
    folder = str(tmp_path_factory.mktemp('scenes') / 'any')
    make_synthetic_refs(
        folder, train=2, val=6, testA=1, testB=1, targets='any')
    return folder


@pytest.mark.parametrize('rule', ['rela', 'rris', None])
def test_same_numbers(scenes, tmp_path, rule):
    dataset = open_split(scenes, split=['val'], images=f'{scenes}/images')
    rng = np.random.default_rng(0)
    samples = [
        _sample(dataset.get_data_info(i), rng) for i in range(len(dataset))
    ]
    rules = () if rule is None else (rule, )
    out = str(tmp_path / 'masks.jsonl')
    evaluator = Evaluator([
        PredictionDump(out_file=out),
        ReferringIoUMetric(no_target=rules)
    ])
    evaluator.process(samples)
    expected = evaluator.evaluate(len(samples))
    result = evaluate_masks(
        dataset, out, convention=resolve_convention(no_target=rules))
    assert {key: result.metrics[key] for key in expected} == expected
    said = [x for x in result.sentences if x.counts.pred_no_target]
    assert any(x.counts.predicted for x in said)
