# Licensed under the Apache License, Version 2.0.
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmrefseg.apis import publish_model

ROOT = Path(__file__).parents[2]
SCENE = ROOT / 'demo' / 'scene.png'

# As small as the whole method can be.
CONFIG = f'''
_base_ = [{str(ROOT / 'configs/_base_/models/mpg-lqgnet_nano.py')!r}]
default_scope = 'mmrefseg'
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'text'))]
'''


def _publish(folder, config):
    import torch

    from mmrefseg.apis import init_model
    (folder / 'config.py').write_text(config)
    torch.manual_seed(0)
    own = init_model(str(folder / 'config.py'), device='cpu')
    torch.save(dict(state_dict=own.state_dict()), folder / 'w.pth')
    publish_model(
        str(folder / 'w.pth'),
        str(folder / 'random'),
        config=str(folder / 'config.py'))
    return str(folder / 'random')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Folder of a published model with random weights."""
    return _publish(tmp_path_factory.mktemp('model'), CONFIG)


def test_table_and_files(model, tmp_path):
    """As a command of its own, in an empty folder."""
    done = subprocess.run([
        sys.executable, ROOT / 'demo' / 'image_demo.py', SCENE, 'white star',
        'the dog', '--model', model, '--prior', '--words', '--masks',
        '--out-dir', 'found'
    ],
                          cwd=tmp_path,
                          env={
                              **os.environ, 'PYTHONPATH': str(ROOT),
                              'OMP_NUM_THREADS': '1',
                              'CUDA_VISIBLE_DEVICES': '-1'
                          },
                          capture_output=True,
                          text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    [star] = [line for line in lines if line.startswith('| white star')]
    [dog] = [line for line in lines if line.startswith('| the dog')]
    summary = json.loads((tmp_path / 'found/predictions.json').read_text())
    for line, own in zip((star, dog), summary):
        assert f"{own['score']:.2f}" in line
        share = own['area'] / (own['height'] * own['width'])
        assert f'{100 * share:.1f} %' in line
        assert own['picture'] in line
        assert (tmp_path / 'found' / own['picture']).is_file()
    assert "'dog'" in done.stderr + done.stdout
    # mmcv's remark on an operator that nothing here needs
    stderr = re.sub(r'.*MultiScaleDeformableAttention.*\n', '', done.stderr)
    assert 'Warning' not in stderr
    assert 'The pictures are in found.' in lines[-1]


@pytest.fixture
def call(monkeypatch, tmp_path):
    """A function that runs the demo in this process, in an empty folder."""
    spec = importlib.util.spec_from_file_location(
        'image_demo', ROOT / 'demo' / 'image_demo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['image_demo.py', *arguments])
        module.main()

    return run


def test_folder_of_images(call, model, tmp_path):
    (tmp_path / 'in').mkdir()
    for name in ('b.png', 'a.png'):
        (tmp_path / 'in' / name).write_bytes(SCENE.read_bytes())
    call('in', 'white star', 'diamond', '--model', model, '--device', 'cpu')
    pictures = sorted(path.name for path in (tmp_path / 'outputs').iterdir())
    assert [name.split('_')[0] for name in pictures] == ['a', 'a', 'b', 'b']


def test_a_model_that_predicts_existence(call, tmp_path, capsys):
    """Its own score has a column; others have none."""
    model = _publish(
        tmp_path, CONFIG + "model = dict(decode_head=dict("
        "existence=dict(threshold=1.)))\n")
    call(str(SCENE), 'white star', '--model', model, '--device', 'cpu')
    [head] = [x for x in capsys.readouterr().out.splitlines()
              if x.startswith('| sentence')]
    assert head.split('|')[2].strip() == 'existence'


@pytest.mark.parametrize('arguments, message', [
    (('none.png', 'star', '--model', 'MODEL'),
     'error: Image none.png does not exist'),
    ((str(SCENE), '  ', '--model', 'MODEL'), 'error: A sentence for'),
    ((str(SCENE), 'star', '--model', 'what'),
     "error: There is no model 'what'"),
    ((str(SCENE), 'star', '--model', 'MODEL', '--weights', 'no.pth'),
     "error: The weights 'no.pth' do not exist"),
])
def test_errors_are_one_sentence(call, model, arguments, message):
    arguments = [model if x == 'MODEL' else x for x in arguments]
    with pytest.raises(SystemExit, match=message):
        call(*arguments, '--device', 'cpu')
