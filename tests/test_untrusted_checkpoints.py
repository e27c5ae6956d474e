# Licensed under the Apache License, Version 2.0.
"""No way of loading a checkpoint runs what the file asks for."""

import collections
import json
import os

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint
from torch import nn

from mmrefseg._safe_globals import load_plain_checkpoint
from mmrefseg.apis import RefSegInferencer, init_model
from mmrefseg.apis.checkpoints.checkpoint import read_checkpoint
from mmrefseg.models.backbones.swin_weights import load_swin_weights
from mmrefseg.models.language_encoders.bert_weights import read_state_dict
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


def _runner(tmp_path, **how):
    return Runner(
        model=nn.Linear(1, 1),
        work_dir=str(tmp_path / 'work'),
        default_scope='mmrefseg',
        log_level='ERROR',
        experiment_name=tmp_path.name,
        **how)


def _stranger_as_http(path, tmp_path, monkeypatch):
    """As it lies in PyTorch's cache after it was downloaded."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    folder = tmp_path / 'torch' / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    (folder / 'x.pth').write_bytes(open(path, 'rb').read())
    load_checkpoint(nn.Linear(1, 1), 'http://localhost:1/x.pth')


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
    read_state_dict(str(tmp_path / 'bert'))


WAYS = {
    'load_checkpoint of MMEngine':
    lambda path, tmp_path, *_: load_checkpoint(nn.Linear(1, 1), path),
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


@pytest.mark.parametrize('strict', [True, False])
def test_checkpoints_of_training_load(tmp_path, strict):
    """By both readers: that of PyTorch since 2.6, and ours for older ones."""
    if strict and not hasattr(torch.serialization, 'add_safe_globals'):
        pytest.skip('this PyTorch is too old')
    path = _training_checkpoint(str(tmp_path / 'epoch_1.pth'))
    read = load_plain_checkpoint(path, 'cpu', strict=strict)
    assert torch.equal(read['state_dict']['weight'], torch.ones(2, 3))
    assert read['state_dict']['half'].dtype == torch.bfloat16
    hub = read['message_hub']
    assert hub['log_scalars']['train/loss'].mean(2) == 1.5
    assert json.dumps(hub['runtime_info']['best']) == '2.5'
    assert read['optimizer']['param_groups'] == [
        dict(lr=0.1, betas=(0.9, 0.99))
    ]


def test_the_reader_for_old_pytorch_runs_nothing(stranger, canary):
    with pytest.raises(ValueError, match='more than plain data.*it asks for'):
        load_plain_checkpoint(stranger, 'cpu', strict=False)
    assert not canary.exists()


@pytest.mark.parametrize('name', [
    'builtins eval', 'torch load', 'torch.storage _load_from_bytes',
    'torch hub', 'os system', 'torch._utils _import_dotted_name'
])
def test_the_reader_for_old_pytorch_knows_few_names(name, tmp_path):
    module, attribute = name.split()
    path = tmp_path / 'x.pth'
    # PyTorch's old format is a row of pickles.
    path.write_bytes(f'c{module}\n{attribute}\n(S"1"\ntR.'.encode())
    with pytest.raises(ValueError, match='more than plain data'):
        load_plain_checkpoint(str(path), 'cpu', strict=False)


def test_cut_off(tmp_path):
    path = _training_checkpoint(str(tmp_path / 'epoch_1.pth'))
    content = open(path, 'rb').read()
    for length in (0, 10, len(content) // 2, len(content) - 5):
        with open(path, 'wb') as file:
            file.write(content[:length])
        for strict in (True, False):
            with pytest.raises(ValueError, match='epoch_1.pth'):
                load_plain_checkpoint(path, 'cpu', strict=strict)


def test_a_trusted_file_can_be_made_plain(stranger, canary):
    """The way out that the message names."""
    assert read_checkpoint(stranger, trusted=True)['state_dict']
    assert canary.exists()


def test_a_config_in_a_checkpoint_is_not_run(tmp_path, canary):
    path = tmp_path / 'x.pth'
    text = f'import os\nos.mkdir({str(canary)!r})\nmodel = dict()\n'
    torch.save(
        dict(state_dict=dict(x=torch.ones(1)), meta=dict(cfg=text)), path)
    with pytest.raises(ValueError, match='more than plain values'):
        init_model(None, str(path), 'cpu')
    assert not canary.exists()
    Config.fromstring(text, '.py')  # a config file is code
    assert canary.exists()
