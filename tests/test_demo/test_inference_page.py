# Licensed under the Apache License, Version 2.0.
"""The examples of docs/inference.md run as they stand."""

import re
from pathlib import Path

import pytest
import torch

from mmrefseg.apis import init_model, publish_model
from mmrefseg.apis.checkpoints import model_zoo

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'inference.md').read_text()


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A model with random weights in the place of the packaged one."""
    config = tmp_path / 'config.py'
    base = str(ROOT / 'configs/_base_/models/mpg-lqgnet_nano.py')
    config.write_text(
        f'_base_ = [{base!r}]\n'
        'default_scope = "mmrefseg"\n'
        'test_pipeline = [dict(type="LoadRefImage"),\n'
        '    dict(type="Resize", scale=(64, 64), keep_ratio=False),\n'
        '    dict(type="PackSegInputs", meta_keys=("ori_shape", ))]\n')
    model = init_model(str(config), device='cpu')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
    publish_model(
        str(tmp_path / 'w.pth'),
        str(tmp_path / 'zoo' / 'mpg-lqgnet_nano'),
        config=str(config))
    monkeypatch.setattr(model_zoo, '_PACKAGED', tmp_path / 'zoo')


def test_python(packaged, tmp_path, monkeypatch):
    (tmp_path / 'demo').symlink_to(ROOT / 'demo')
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
    assert len(blocks) == 6
    names: dict = {}
    for block in blocks:
        exec(compile(block, 'docs/inference.md', 'exec'), names)
    assert names['picture'].shape[2] == 3
    assert len(list((tmp_path / 'outputs').iterdir())) == 5


def test_keys_of_results_are_those_of_the_page(packaged):
    from mmrefseg.apis import RefSegInferencer
    inferencer = RefSegInferencer('mpg-lqgnet_nano', device='cpu')
    [[own]] = inferencer(str(ROOT / 'demo/scene.png'), 'star')['predictions']
    table = PAGE[PAGE.index('### Results'):PAGE.index('### Preparation')]
    assert set(own) == set(re.findall(r'^\| `(\w+)` \|', table, re.MULTILINE))


def test_options_are_those_of_the_command():
    source = (ROOT / 'demo' / 'image_demo.py').read_text()
    known = set(re.findall(r"'(--[a-z-]+)'", source))
    section = PAGE[:PAGE.index('## From Python')]
    assert set(re.findall(r'`(--[a-z-]+)', section)) == known
