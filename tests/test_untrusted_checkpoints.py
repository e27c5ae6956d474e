# Licensed under the Apache License, Version 2.0.
"""No way of loading a checkpoint runs what the file asks for."""

import collections
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from mmrefseg.apis import RefSegInferencer, init_model
from mmrefseg.apis.checkpoints.checkpoint import read_checkpoint
from mmrefseg.engine.launch import build_runner
from mmrefseg.fileio import read_weights, secure_checkpoint_loading, weights
from mmrefseg.models.backbones.swin_weights import load_swin_weights
from mmrefseg.models.language_encoders.bert_weights import read_bert_weights
from mmrefseg.registry import MODELS


class _Runs:
    """A pickle of this makes a folder when it is loaded the standard way."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder), )


class _Nested(_Runs):
    """The same, asked for by a call within a call."""

    def __reduce__(self):
        call = f'__import__("os").mkdir({str(self.folder)!r})'
        return collections.OrderedDict, ([('x', _Eval(call))], )


class _Eval:

    def __init__(self, text):
        self.text = text

    def __reduce__(self):
        return eval, (self.text, )


@pytest.fixture
def canary(tmp_path):
    """A folder that comes into being when code of a file runs."""
    return tmp_path / 'it_ran'


@pytest.fixture(params=['reduce', 'nested', 'old format'])
def stranger(request, tmp_path, canary):
    """Path of a checkpoint that runs code where it is let."""
    kind = _Nested if request.param == 'nested' else _Runs
    path = tmp_path / 'stranger.pth'
    torch.save(
        dict(state_dict=dict(weight=torch.ones(1)), meta=dict(x=kind(canary))),
        path,
        _use_new_zipfile_serialization=request.param != 'old format')
    return str(path)


@pytest.fixture(autouse=True)
def loaders_as_before(monkeypatch):
    """Commands secure their process for good; this one goes on."""
    monkeypatch.setattr(CheckpointLoader, '_schemes',
                        CheckpointLoader._schemes.copy())


def _runner(tmp_path, **how):
    return build_runner(
        Config(
            dict(
                model=dict(type='torch.nn.Linear', in_features=1,
                           out_features=1),
                work_dir=str(tmp_path / 'work'),
                default_scope='mmrefseg',
                log_level='ERROR',
                experiment_name=tmp_path.name,
                **how)))


def _load_checkpoint(path):
    with secure_checkpoint_loading():
        load_checkpoint(nn.Linear(1, 1), path)


def _stranger_as_http(path, tmp_path, monkeypatch):
    """As it lies in PyTorch's cache after it was downloaded."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    folder = tmp_path / 'torch' / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    (folder / 'x.pth').write_bytes(open(path, 'rb').read())
    _load_checkpoint('http://localhost:1/x.pth')


def _as_init_cfg(path):
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        MODELS.build(
            dict(
                type='BertLanguageEncoder',
                vocab='synthetic',
                arch=dict(
                    hidden_size=8,
                    num_hidden_layers=1,
                    num_attention_heads=2,
                    intermediate_size=8),
                init_cfg=dict(type='Pretrained',
                              checkpoint=path))).init_weights()


def _as_bert(path, tmp_path):
    (tmp_path / 'bert').mkdir()
    os.link(path, tmp_path / 'bert' / 'pytorch_model.bin')
    read_bert_weights(str(tmp_path / 'bert'))


WAYS = {
    'load_checkpoint of MMEngine':
    lambda path, *_: _load_checkpoint(path),
    'load_from':
    lambda path, tmp_path, *_: _runner(
        tmp_path, load_from=path).load_or_resume(),
    'resume':
    lambda path, tmp_path, *_: _runner(
        tmp_path, load_from=path, resume=True).load_or_resume(),
    'an address':
    _stranger_as_http,
    'init_cfg':
    lambda path, *_: _as_init_cfg(path),
    'init_model':
    lambda path, tmp_path, _, tiny: init_model(tiny, path, 'cpu'),
    'init_model without a config':
    lambda path, *_: init_model(None, path, 'cpu'),
    'RefSegInferencer':
    lambda path, tmp_path, _, tiny: RefSegInferencer(tiny, path, 'cpu'),
    'publishing':
    lambda path, *_: read_checkpoint(path),
    'Swin':
    lambda path, *_: load_swin_weights(nn.Linear(1, 1), path),
    'BERT':
    lambda path, tmp_path, *_: _as_bert(path, tmp_path),
}


@pytest.fixture(scope='module')
def tiny_config(tmp_path_factory):
    path = tmp_path_factory.mktemp('tiny') / 'tiny.py'
    path.write_text('default_scope = "mmrefseg"\n'
                    'model = dict(type="ReferringEncoderDecoder")\n'
                    'test_pipeline = [dict(type="LoadRefImage")]\n')
    return str(path)


@pytest.mark.parametrize('way', WAYS)
def test_nothing_runs(way, stranger, canary, tmp_path, monkeypatch,
                      tiny_config):
    arguments = [stranger, tmp_path, monkeypatch, tiny_config]
    function = WAYS[way]
    count = function.__code__.co_argcount
    with pytest.raises(ValueError) as info:
        function(*arguments[:count] if count < 4 else arguments)
    assert not canary.exists()
    message = str(info.value)
    assert '.pth' in message or 'pytorch_model.bin' in message
    assert 'plain' in message or 'tensors' in message


def test_the_file_would_run(stranger, canary):
    """Else the tests above would show nothing."""
    torch.load(stranger, weights_only=False)
    assert canary.exists()


@pytest.fixture(params=['of PyTorch 2.6', 'for older ones'])
def reader(request, monkeypatch):
    """Each of the two ways in which plain data are read."""
    old = request.param == 'for older ones'
    if not old and not weights._is_strict():
        pytest.skip('this PyTorch is too old')
    monkeypatch.setattr(weights, '_is_strict', lambda: not old)


def _training_checkpoint(path):
    history = HistoryBuffer([1., 2.], [1, 1])
    torch.save(
        dict(
            state_dict=collections.OrderedDict(
                weight=nn.Parameter(torch.ones(2, 3)),
                half=torch.ones(2, dtype=torch.bfloat16),
                steps=torch.tensor(3)),
            optimizer=dict(
                state={0: dict(step=torch.tensor(1.))},
                param_groups=[dict(lr=0.1, betas=(0.9, 0.99))]),
            message_hub=dict(
                log_scalars={'train/loss': history},
                runtime_info=dict(iter=3, best=np.float64(2.5)),
                resumed_keys={})), path)
    return path


def test_checkpoints_of_training_load(tmp_path, reader):
    path = _training_checkpoint(str(tmp_path / 'epoch_1.pth'))
    read = read_weights(path)
    assert torch.equal(read['state_dict']['weight'], torch.ones(2, 3))
    assert read['state_dict']['half'].dtype == torch.bfloat16
    hub = read['message_hub']
    assert hub['log_scalars']['train/loss'].mean(2) == 1.5
    assert json.dumps(hub['runtime_info']['best']) == '2.5'
    assert read['optimizer']['param_groups'] == [
        dict(lr=0.1, betas=(0.9, 0.99))
    ]


def test_both_readers_run_nothing(stranger, canary, reader):
    with pytest.raises(ValueError, match='more than plain data.*it asks for'):
        read_weights(stranger)
    assert not canary.exists()


@pytest.mark.parametrize('name', [
    'builtins eval', 'torch load', 'torch.storage _load_from_bytes',
    'torch hub', 'os system', 'torch._utils _import_dotted_name'
])
def test_both_readers_know_few_names(name, tmp_path, reader):
    module, attribute = name.split()
    path = tmp_path / 'x.pth'
    # PyTorch's old format is a row of pickles.
    path.write_bytes(f'c{module}\n{attribute}\n(S"1"\ntR.'.encode())
    with pytest.raises(ValueError, match='more than plain data'):
        read_weights(path)


def test_cut_off(tmp_path, reader):
    path = _training_checkpoint(str(tmp_path / 'epoch_1.pth'))
    content = open(path, 'rb').read()
    for length in (0, 10, len(content) // 2, len(content) - 5):
        with open(path, 'wb') as file:
            file.write(content[:length])
        with pytest.raises(ValueError, match='epoch_1.pth'):
            read_weights(path)


def test_a_trusted_file_can_be_made_plain(stranger, canary):
    """The way out that the message names."""
    assert read_checkpoint(stranger, trusted=True)['state_dict']
    assert canary.exists()


def test_a_config_in_a_checkpoint_is_not_run(tmp_path, canary):
    path = tmp_path / 'x.pth'
    text = f'__import__("os").mkdir({str(canary)!r})\nmodel = dict()\n'
    torch.save(
        dict(state_dict=dict(x=torch.ones(1)), meta=dict(cfg=text)), path)
    with pytest.raises(ValueError, match='more than plain values'):
        init_model(None, str(path), 'cpu')
    assert not canary.exists()
    Config.fromstring(text, '.py')  # a config file is code
    assert canary.exists()


class _Statistic:
    """Pickles as a call of ``getattr`` that has no place in a history."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


def test_getattr_answers_for_statistics_only(tmp_path, reader):
    torch.save(dict(harmless=_Statistic()), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match="it asks for '__init__'"):
        read_weights(tmp_path / 'x.pth')


def test_what_is_admitted_is_forgotten_again(tmp_path):
    path = _training_checkpoint(str(tmp_path / 'epoch_1.pth'))
    read_weights(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


def test_other_loaders_of_mmengine_run_nothing(stranger, canary):
    """Those of s3://, openmmlab:// and so on: bytes read by torch.load."""

    def load_from_elsewhere(filename, map_location=None):
        return torch.load(stranger, map_location, weights_only=False)

    CheckpointLoader.register_scheme('elsewhere://', load_from_elsewhere)
    with secure_checkpoint_loading(), secure_checkpoint_loading():
        with pytest.raises(ValueError, match='elsewhere://x.* plain data'):
            load_checkpoint(nn.Linear(1, 1), 'elsewhere://x')
    assert not canary.exists()
    assert CheckpointLoader._schemes['elsewhere://'] is load_from_elsewhere
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.mark.parametrize('value, secured', [('1', True), ('0', False)])
def test_an_environment_variable_asks_for_it(value, secured):
    code = """
import mmrefseg
from mmengine.runner import CheckpointLoader
print(CheckpointLoader._schemes[''].__module__.startswith('mmrefseg'))
"""
    done = subprocess.run([sys.executable, '-c', code],
                          env=dict(
                              os.environ, MMREFSEG_SECURE_CHECKPOINTS=value),
                          capture_output=True,
                          text=True,
                          timeout=120)
    assert done.stdout.split() == [str(secured)], done.stderr
