# Licensed under the Apache License, Version 2.0.
"""Which sentences are drawn, under which names, and where."""

import os
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.engine import RefVisualizationHook
from mmrefseg.visualization import RefSegVisualizer


def make_sample(path, index):
    mask = torch.zeros(1, 20, 30, dtype=torch.int64)
    mask[:, 5:10, index % 20:index % 20 + 8] = 1
    sample = SegDataSample(
        metainfo=dict(
            img_path=path,
            text=f'sentence {index}',
            ref_id=index // 3,
            sent_id=index))
    sample.pred_sem_seg = PixelData(data=mask)
    sample.gt_sem_seg = PixelData(data=mask)
    return sample


@pytest.fixture
def image(tmp_path):
    path = str(tmp_path / 'photo.png')
    mmcv.imwrite(np.full((20, 30, 3), 99, np.uint8), path)
    return path


def drawn_by(hook, image, tmp_path, length=17, batch=4, mode='val',
             iteration=5):
    visualizer = RefSegVisualizer(
        vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    loader = SimpleNamespace(dataset=range(length))
    runner = SimpleNamespace(
        visualizer=visualizer,
        iter=iteration,
        val_dataloader=loader,
        test_dataloader=loader)
    getattr(hook, f'before_{mode}_epoch')(runner)
    samples = [make_sample(image, i) for i in range(length)]
    for idx, start in enumerate(range(0, length, batch)):
        getattr(hook, f'after_{mode}_iter')(
            runner, idx, outputs=samples[start:start + batch])
    folder = hook.out_dir or tmp_path / 'vis_data' / 'vis_image'
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def test_draws_evenly_spread_sentences(image, tmp_path):
    hook = RefVisualizationHook(num_val_samples=3)
    names = drawn_by(hook, image, tmp_path)
    assert names == [
        'val_photo_ref0_sent2_5.png', 'val_photo_ref2_sent8_5.png',
        'val_photo_ref4_sent14_5.png'
    ]
    # the same ones at the next validation, under their own step
    again = drawn_by(hook, image, tmp_path, batch=1, iteration=9)
    assert again == sorted(names + [n.replace('_5.', '_9.') for n in names])


def test_draws_all_to_a_folder(image, tmp_path):
    hook = RefVisualizationHook(
        num_test_samples=-1, out_dir=str(tmp_path / 'out'))
    names = drawn_by(hook, image, tmp_path, length=5, mode='test')
    assert len(names) == 5 and names[0] == 'test_photo_ref0_sent0.png'
    picture = mmcv.imread(str(tmp_path / 'out' / names[0]))
    assert min(picture.shape[:2]) >= 448


@pytest.mark.parametrize('options', [
    dict(draw=False), dict(num_val_samples=0)
])
def test_draws_nothing(image, tmp_path, options):
    assert drawn_by(RefVisualizationHook(**options), image, tmp_path) == []


def test_tensorboard(image, tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import \
        EventAccumulator
    visualizer = RefSegVisualizer(
        vis_backends=[dict(type='TensorboardVisBackend')],
        save_dir=str(tmp_path))
    hook = RefVisualizationHook(num_val_samples=1)
    runner = SimpleNamespace(
        visualizer=visualizer,
        iter=3,
        val_dataloader=SimpleNamespace(dataset=range(1)))
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, outputs=[make_sample(image, 0)])
    visualizer.close()
    events = EventAccumulator(str(tmp_path / 'vis_data'))
    events.Reload()
    assert events.Tags()['images'] == ['val_photo_ref0_sent0']
