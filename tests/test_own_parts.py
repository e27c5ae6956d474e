# Licensed under the Apache License, Version 2.0.
"""A newcomer's parts: the very code of README.md, docs/own_parts.md and
docs/hf_encoders.md, so that the examples cannot drift from the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmrefseg.apis import packaged_models
from mmrefseg.fileio import read_weights
from mmrefseg.registry import MODELS
from mmrefseg.synthetic import make_synthetic_refs

ROOT = Path(__file__).parents[1]
# ```python blocks whose first line names the file that they are.
BLOCK = re.compile(r'^```python\n# (\w+\.py)\n(.*?)^```$', re.DOTALL | re.M)


def examples(document):
    """Files that a document shows: name to content, in their order."""
    text = (ROOT / document).read_text()
    return {match[1]: match[2] for match in BLOCK.finditer(text)}


# --------------------------------------------------- the example of README.md


@pytest.fixture(scope='module')
def newcomer(tmp_path_factory):
    """A folder with the files of README.md and a few scenes."""
    folder = tmp_path_factory.mktemp('newcomer')
    for name, content in examples('README.md').items():
        (folder / name).write_text(content)
    make_synthetic_refs(
        str(folder / 'data/synthetic_refs'),
        train=8,
        val=1,
        testA=1,
        testB=1,
        size=128)
    return folder


@pytest.fixture(scope='module')
def weights(newcomer):
    """What two iterations of training by README's command leave behind."""
    if not hasattr(torch.optim, 'Muon'):
        pytest.skip('this PyTorch has no Muon')
    command = 'PYTHONPATH=. python tools/train.py my_config.py\n'
    assert command in (ROOT / 'README.md').read_text()
    done = subprocess.run(
        [
            sys.executable, ROOT / 'tools/train.py', 'my_config.py',
            '--cfg-options', 'train_cfg.max_iters=2',
            'train_cfg.val_interval=2', 'train_dataloader.batch_size=4',
            'train_dataloader.num_workers=0',
            'train_dataloader.persistent_workers=False',
            'val_dataloader.num_workers=0',
            'val_dataloader.persistent_workers=False'
        ],
        cwd=newcomer,
        env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(['.', str(ROOT)]),
            'OMP_NUM_THREADS': '1',
            'CUDA_VISIBLE_DEVICES': '-1'
        },
        capture_output=True,
        text=True,
        timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    path = newcomer / 'work_dirs/my_config/iter_2.pth'
    return read_weights(path)


def test_the_config_has_ten_lines():
    lines = examples('README.md')['my_config.py'].splitlines()
    assert len(lines) <= 10
    assert lines[0].startswith("_base_ = 'mmrefseg::mpg_lqgnet/mpg-lqgnet_na")
    assert any('custom_imports' in line for line in lines)


def test_new_parts_are_in_and_learn(weights):
    assert weights['meta']['iter'] == 2
    names = set(weights['state_dict'])
    for stage in range(4):
        assert f'backbone.fusions.{stage}.to_map.weight' in names
        assert f'backbone.fusions.{stage}.to_query.weight' in names
    assert not [name for name in names if '.word_key.' in name]  # BSAM's
    factors = [
        value for name, value in weights['state_dict'].items()
        if name.startswith('backbone.gates.')
    ]
    assert len(factors) == 3
    for factor in factors:  # 0 before the first step
        assert (factor != 0).float().mean() > 0.5


def test_own_sentence(monkeypatch):
    if 'mpg-lqgnet_nano' not in packaged_models():
        pytest.skip('no model is packaged')
    text = (ROOT / 'README.md').read_text()
    [block] = re.findall(r'^```python\n(from mmrefseg.apis .*?)^```$', text,
                         re.DOTALL | re.M)
    monkeypatch.chdir(ROOT)
    names = {}
    exec(compile(block, 'README.md', 'exec'), names)
    first, second = names['result']['predictions'][0]
    assert first['mask'].shape == second['mask'].shape
    assert first['box'] and second['box'] and first['box'] != second['box']


# ------------------- the examples of docs/own_parts.md and docs/hf_encoders.md


def page_examples():
    return examples('docs/own_parts.md') | examples('docs/hf_encoders.md')


@pytest.fixture
def own_parts(tmp_path, monkeypatch):
    """A folder with the files of the pages; what they register is forgotten
    afterwards."""
    for name, content in page_examples().items():
        (tmp_path / name).write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    modules = {path.stem for path in tmp_path.glob('*.py')}
    for name, part in list(MODELS.module_dict.items()):
        if part.__module__ in modules:
            MODELS.module_dict.pop(name)
    for name in modules & set(sys.modules):
        sys.modules.pop(name)


def batch():
    """Two images of 64 x 64, each with a sentence and a mask."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for i, text in enumerate(('the red star', 'left blue circle')):
        inputs.append(
            torch.randint(
                0, 256, (3, 64, 64), generator=generator, dtype=torch.uint8))
        mask = torch.zeros(1, 64, 64, dtype=torch.long)
        mask[:, 8:40, 16:48 + 8 * i] = 1
        sample = SegDataSample(gt_sem_seg=PixelData(data=mask))
        sample.set_metainfo(
            dict(
                text=text,
                img_path=f'{i}.png',
                img_shape=(64, 64),
                ori_shape=(50, 60)))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


CONFIGS = [name for name in page_examples() if 'config' in name]


@pytest.mark.parametrize('name', CONFIGS)
def test_examples_train_and_predict(name, own_parts):
    init_default_scope('mmrefseg')
    cfg = Config.fromfile(own_parts / name)
    model = MODELS.build(cfg.model)
    data = model.train().data_preprocessor(batch(), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    idle = [
        name for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert not idle, 'distributed training would stop'
    with torch.no_grad():
        samples = model.eval().test_step(batch())
    assert [tuple(s.pred_sem_seg.data.shape) for s in samples] == [
        (1, 50, 60)
    ] * 2


def test_there_are_examples():
    assert len(CONFIGS) >= 6
