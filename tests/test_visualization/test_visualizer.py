# Licensed under the Apache License, Version 2.0.
"""The visualizer: names, backends, panels on request; browsing a dataset."""

import logging
import os

import cv2
import numpy as np
import pytest
import torch
from dataset_pictures import browse_dataset, spread
from mmengine.logging import MMLogger
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.registry import VISUALIZERS
from mmrefseg.visualization import RefSegVisualizer, sample_name

IMAGE = np.full((60, 90, 3), 128, np.uint8)


def make_sample(size=(60, 90), tokens=('[CLS]', 'left', 'man'), **meta):
    sample = SegDataSample(
        metainfo=dict(
            dict(img_path='/data/COCO_1.jpg', text='left man'), **meta))
    mask = torch.zeros(1, *size, dtype=torch.int64)
    mask[:, 10:30, 20:50] = 1
    sample.pred_sem_seg = PixelData(data=mask)
    sample.gt_sem_seg = PixelData(data=mask.roll(5, 2))
    sample.mask_prior = PixelData(data=mask.float() * 0.9)
    sample.word_attention = PixelData(data=torch.rand(len(tokens), *size))
    sample.set_metainfo(dict(tokens=list(tokens)))
    return sample


def test_sentences_of_an_image_do_not_overwrite_each_other(tmp_path):
    visualizer = VISUALIZERS.build(
        dict(
            type='RefSegVisualizer',
            name='test_sentences',
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path)))
    samples = [
        make_sample(ref_id=4, sent_id=8),
        make_sample(ref_id=4, sent_id=9),
        make_sample(ref_id=5, sent_id='a/b'),
        make_sample(text='der Mann: links!'),
        make_sample(text='der Mann? links!'),
    ]
    for sample in samples:
        visualizer.add_datasample('val_COCO_1.jpg', IMAGE, sample, step=3)
    names = sorted(os.listdir(tmp_path / 'vis_data' / 'vis_image'))
    assert len(names) == 5
    assert 'val_COCO_1.jpg_ref4_sent8_3.png' in names
    picture = cv2.imread(
        str(tmp_path / 'vis_data' / 'vis_image' / names[0]))
    assert min(picture.shape[:2]) >= 448


def test_sample_name():
    sample = make_sample(ref_id=4, sent_id=8)
    assert sample_name(sample, 'val') == 'val_COCO_1_ref4_sent8'
    assert sample_name(SegDataSample()) == 'sample'
    name = sample_name(make_sample(text='größe ?/\\ ' * 30))
    assert len(name) < 80 and name.isascii() and '/' not in name


def test_colours_reach_the_file_as_drawn(tmp_path):
    path = str(tmp_path / 'x' / 'picture.png')
    visualizer = RefSegVisualizer()
    sample = make_sample(ref_id=1)
    visualizer.add_datasample('a', IMAGE, sample, out_file=path)
    stored = cv2.imread(path)[..., ::-1]
    assert (stored == visualizer.draw_sample(IMAGE, sample)).all()


def test_panels_on_request():
    sample = make_sample()
    visualizer = RefSegVisualizer()
    plain = visualizer.draw_sample(IMAGE, sample)
    prior = visualizer.draw_sample(IMAGE, sample, draw_prior=True)
    words = visualizer.draw_sample(IMAGE, sample, draw_attention=True)
    both = RefSegVisualizer(
        draw_prior=True, draw_attention=True).draw_sample(IMAGE, sample)
    assert (prior[:, :plain.shape[1]] == plain).all()
    assert prior.shape[1] > 1.9 * plain.shape[1]
    assert (words[:plain.shape[0]] == plain).all()
    assert words.shape[0] > plain.shape[0] + 50
    assert both.shape[1] == prior.shape[1]
    # at another size, without tokens and text
    sample = make_sample((30, 45), tokens=['x'] * 11)
    sample.set_metainfo(dict(tokens=None, text=None))
    visualizer.draw_sample(IMAGE, sample, True, True, True, True)


def test_tokens_may_stand_with_the_attention():
    sample = make_sample()
    other = make_sample(tokens=('other', 'two', 'words'))
    sample.word_attention.set_metainfo(dict(tokens=['other', 'two', 'words']))
    other.word_attention = sample.word_attention
    visualizer = RefSegVisualizer(draw_attention=True)
    assert (visualizer.draw_sample(IMAGE, sample) == visualizer.draw_sample(
        IMAGE, other)).all()


def test_absent_panels_are_told_once(caplog):
    sample = make_sample()
    del sample.mask_prior
    visualizer = RefSegVisualizer(draw_prior=True)
    logger = MMLogger.get_current_instance()
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger.addHandler(handler)
    try:
        for _ in range(3):
            visualizer.draw_sample(IMAGE, sample)
    finally:
        logger.removeHandler(handler)
    assert len(records) == 1
    assert 'return_prior=True' in records[0].getMessage()


def test_draws_what_there_is():
    visualizer = RefSegVisualizer()
    visualizer.draw_sample(IMAGE)
    sample = make_sample()
    all_of_it = visualizer.draw_sample(IMAGE, sample)
    no_truth = visualizer.draw_sample(IMAGE, sample, draw_gt=False)
    no_pred = visualizer.draw_sample(IMAGE, sample, draw_pred=False)
    assert (all_of_it != no_truth).any() and (all_of_it != no_pred).any()
    del sample.gt_sem_seg
    assert (visualizer.draw_sample(IMAGE, sample) == no_truth).all()


def test_half_precision_on_request():
    sample = make_sample()
    sample.mask_prior = PixelData(data=torch.rand(1, 60, 90).bfloat16())
    RefSegVisualizer(draw_prior=True).draw_sample(IMAGE, sample)


class Items:
    """Packed items as a dataset gives them."""

    def __init__(self, number):
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        inputs = torch.zeros(3, 60, 90, dtype=torch.uint8)
        inputs[0] = 200  # blue, in OpenCV's order
        sample = make_sample(ref_id=index, sent_id=index)
        return dict(inputs=inputs, data_samples=sample)


def test_browse_dataset(tmp_path):
    files = browse_dataset(Items(30), str(tmp_path), num=4)
    assert [os.path.basename(f) for f in files] == [
        'overview.png', '000003_COCO_1_ref3_sent3.png',
        '000011_COCO_1_ref11_sent11.png', '000018_COCO_1_ref18_sent18.png',
        '000026_COCO_1_ref26_sent26.png'
    ]
    picture = cv2.imread(files[1])
    corner = picture[-5, 5].astype(int)
    assert corner[0] > corner[2] + 50
    with pytest.raises(ValueError, match='empty'):
        browse_dataset(Items(0), str(tmp_path))


def test_spread():
    assert spread(3, 10) == spread(3, -1) == [0, 1, 2]
    assert spread(100, 4) == [12, 37, 62, 87]
    chosen = spread(100, 5, seed=1)
    assert chosen == sorted(set(chosen)) == spread(100, 5, seed=1)
    assert spread(100, 5, seed=2) != chosen
