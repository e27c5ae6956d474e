# Licensed under the Apache License, Version 2.0.
"""The nano config, which counts iterations and trains with Muon in bfloat16
on shared images, repeats a run that it resumes in the middle of an epoch."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmrefseg.engine.launch import build_runner

ITERS, CHECKPOINT, STOP = 7, 4, 5


class Stop(Exception):
    """Stands for whatever ends a run."""


class Recorder(Hook):
    """Notes the losses of each iteration; stops before one on request."""

    def __init__(self, stop=None):
        self.losses, self.stop = {}, stop

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.stop:
            raise Stop

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.losses[runner.iter] = {
            name: torch.as_tensor(value).item()
            for name, value in outputs.items()
        }


def _config(configs, place, work_dir):
    path = sorted(configs.glob('mpg_lqgnet/*_nano_*.py'))[0]
    cfg = Config.fromfile(path, format_python_code=False)
    small = Config.fromfile(place.config)
    # Narrow parts, with dropout and drop path; the rest is the nano config.
    share_images = cfg.model.train_cfg.share_images
    cfg.model = small.model
    cfg.model.train_cfg = dict(share_images=share_images)
    assert share_images and cfg.train_dataloader.sampler.refs_per_image > 1
    for part in ('train', 'val'):
        loader = small[f'{part}_dataloader']
        loader.sampler = cfg[f'{part}_dataloader'].sampler
        cfg[f'{part}_dataloader'] = loader
    cfg.train_dataloader.batch_size = 6
    assert cfg.train_cfg.type == 'IterBasedTrainLoop'
    cfg.train_cfg.update(max_iters=ITERS, val_interval=ITERS)
    cfg.default_hooks.checkpoint.update(
        interval=CHECKPOINT, save_best=None, by_epoch=False)
    cfg.default_hooks.visualization.draw = False
    cfg.work_dir = str(place.folder / work_dir)
    return cfg


def _run(cfg, name, stop=None):
    cfg.experiment_name = cfg.visualizer.name = name
    runner = build_runner(cfg)
    recorder = Recorder(stop)
    runner.register_hook(recorder)
    if stop is None:
        runner.train()
    else:
        with pytest.raises(Stop):
            runner.train()
    return recorder.losses, runner.model.state_dict()


@pytest.mark.skipif(
    not hasattr(torch.optim, 'Muon'), reason='this PyTorch has no Muon')
def test_resumed_in_mid_epoch(place, configs):
    whole, weights = _run(
        _config(configs, place, 'iterations'), 'uninterrupted')
    assert list(whole) == list(range(ITERS))
    cfg = _config(configs, place, 'iterations_cut')
    before, _ = _run(cfg, 'interrupted', stop=STOP)
    assert before == {i: whole[i] for i in range(STOP)}
    cfg.resume = True
    after, resumed_weights = _run(cfg, 'resumed')
    assert list(after) == list(range(CHECKPOINT, ITERS))
    assert after == {i: whole[i] for i in after}
    assert len({losses['loss'] for losses in whole.values()}) == ITERS
    for name, value in weights.items():
        assert torch.equal(resumed_weights[name], value)
