# Licensed under the Apache License, Version 2.0.
"""The files of docs/own_data.md, as they stand there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.models.meta import meta_device
from mmrefseg.registry import DATASETS, MODELS

PAGE = Path(__file__).parents[1] / 'docs' / 'own_data.md'
BLOCK = re.compile(r'^```python\n# (\w+\.py)\n(.*?)^```$', re.DOTALL | re.M)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files of the page and the data that they make."""
    for name, content in BLOCK.findall(PAGE.read_text()):
        (tmp_path / name).write_text(content)
    subprocess.run([sys.executable, 'make_my_refs.py'],
                   cwd=tmp_path,
                   check=True,
                   timeout=120)
    monkeypatch.chdir(tmp_path)
    init_default_scope('mmrefseg')
    return tmp_path


def test_data_are_as_the_page_says(place):
    lines = (place / 'data/my_refs/train.jsonl').read_text().splitlines()
    assert len(lines) == 60 * 4
    assert set(json.loads(lines[0])) == {'image', 'text', 'mask'}
    assert len(list((place / 'data/my_refs/images').iterdir())) == 80


def test_the_plates_train(place):
    if not hasattr(torch.optim, 'Muon'):
        pytest.skip('this PyTorch has no Muon')
    cfg = Config.fromfile('my_refs.py', format_python_code=False)
    assert len(DATASETS.build(cfg.val_dataloader.dataset)) == 20 * 4
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 4
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.val_dataloader.dataset.indices = 4
    cfg.work_dir = str(place / 'run')
    cfg.experiment_name = cfg.visualizer.name = 'plates'
    runner = Runner.from_cfg(cfg)
    encoder = runner.model.language_encoder
    assert encoder.unknown_words('the blue plate') == ['blue']
    runner.train()
    assert runner.iter == 2
    assert list((place / 'run').glob('best_oIoU_iter_2.pth'))
    assert len(list((place / 'run').glob('*/vis_data/vis_image/*.png'))) == 4


def test_photographs_build(place):
    cfg = Config.fromfile('my_photos.py', format_python_code=False)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset[0]['inputs'].shape == (3, 448, 448)
    assert cfg.train_dataloader.drop_last
    assert cfg.model.language_encoder.pretrained == 'bert-base-uncased'
    # the vocabulary of this one is on the hub
    cfg.model.language_encoder.vocab = 'synthetic'
    with meta_device():
        assert MODELS.build(cfg.model).backbone.num_features[-1] == 768


def test_mistakes_are_told_as_the_page_says(place):
    said = re.search(r'`data/my_refs/train.jsonl:17: (.*)`$', PAGE.read_text(),
                     re.M)[1]
    path = place / 'data/my_refs/train.jsonl'
    lines = path.read_text().splitlines()
    lines[16] = json.dumps({**json.loads(lines[16]), 'text': ' '})
    path.write_text('\n'.join(lines))
    cfg = Config.fromfile('my_refs.py', format_python_code=False)
    with pytest.raises(ValueError, match=r'train\.jsonl:17: ') as error:
        DATASETS.build(cfg.train_dataloader.dataset)
    assert said in str(error.value)
