# Licensed under the Apache License, Version 2.0.
"""Settings and arguments that docs/training.md shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmrefseg.registry import DATASETS, MODELS, VISUALIZERS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'training.md').read_text()
CONFIG = ('mmrefseg::mpg_lqgnet/'
          'mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py')
BLOCKS = re.findall(r'^```python\n(.*?)^```$', PAGE, re.DOTALL | re.M)


@pytest.fixture
def load(tmp_path):
    """A function that loads the block with a word in it as a config."""
    init_default_scope('mmrefseg')

    def load(word):
        [block] = [x for x in BLOCKS if word in x]
        if '_base_' not in block:
            block = f"_base_ = 'CONFIG'\n{block}"
        path = tmp_path / f'{word}.py'
        path.write_text(block.replace('CONFIG', CONFIG))
        return Config.fromfile(path, format_python_code=False)

    return load


def test_rates_by_path(load):
    cfg = load('lr_mult')
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=1.0)
    del cfg.optim_wrapper.paramwise_cfg['muon_lr']
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {
        id(p): group['lr']
        for group in wrapper.param_groups for p in group['params']
    }
    word = model.language_encoder.bert.embeddings.word_embeddings.weight
    assert rates[id(word)] == 0.1
    assert rates[id(model.backbone.patch_embed.projection.weight)] == 0.5
    assert rates[id(model.decode_head.conv_seg.weight)] == 1.0


def test_pictures(load, tmp_path):
    cfg = load('TensorboardVisBackend')
    assert cfg.default_hooks.visualization.num_val_samples == 16
    assert cfg.model.test_cfg.return_prior
    cfg.visualizer.update(name='page', save_dir=str(tmp_path))
    visualizer = VISUALIZERS.build(cfg.visualizer)
    assert visualizer.draw_prior and visualizer.draw_attention


def test_control(load, tiny_refer_root):
    cfg = load('ExchangedSentences')
    inner = cfg.test_dataloader.dataset.dataset
    inner.update(
        data_root=str(tiny_refer_root), split_by='unc', split='train')
    assert len(DATASETS.build(cfg.test_dataloader.dataset)) == 4


def test_every_block_is_tried():
    assert len(BLOCKS) == 3


@pytest.mark.parametrize('tool, heading',
                         [('train', '## Train'), ('test', '## Test')])
def test_arguments_are_those_of_the_command(tool, heading):
    section = PAGE.split(f'\n{heading}\n')[1].split('\n## ')[0]
    shown = set(re.findall(r'`(--[a-z-]+)|, `(--[a-z-]+)', section))
    shown = {x or y for x, y in shown}
    done = subprocess.run(
        [sys.executable, ROOT / f'tools/{tool}.py', '--help'],
        capture_output=True,
        text=True,
        check=True,
        env={'PYTHONPATH': str(ROOT)},
        timeout=120)
    assert shown and shown <= set(re.findall(r'--[a-z-]+', done.stdout))
