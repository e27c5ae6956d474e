# Licensed under the Apache License, Version 2.0.
"""Data samples as they leave a model."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.evaluation import ReferringIoUMetric


def _make_sample(pred, gt, logits=None, **meta):
    meta = {**dict(text='left man', image_id=3, ref_id=1, sent_id=2), **meta}
    sample = SegDataSample(metainfo=meta)
    for name, data in (('pred_sem_seg', pred), ('gt_sem_seg', gt)):
        data = torch.as_tensor(np.asarray(data)).long()[None]
        sample.set_data({name: PixelData(data=data)})
    if logits is not None:
        sample.seg_logits = PixelData(data=torch.as_tensor(logits).float())
    return sample


def _evaluate(samples, **kwargs):
    evaluator = Evaluator(ReferringIoUMetric(**kwargs))
    for start in range(0, len(samples), 3):
        evaluator.process(samples[start:start + 3])
    return evaluator.evaluate(len(samples))


@pytest.fixture(scope='session')
def make_sample():
    """A data sample of two HxW arrays and metainfo."""
    return _make_sample


@pytest.fixture(scope='session')
def evaluate():
    """The metrics of some data samples, through MMEngine's evaluator."""
    return _evaluate
