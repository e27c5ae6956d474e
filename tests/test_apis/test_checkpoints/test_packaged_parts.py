# Licensed under the Apache License, Version 2.0.
"""Weights of installed packages stay out of published files."""

import copy
import json
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from safetensors import safe_open
from safetensors.torch import save_file

from mmrefseg.apis import init_model, publish_model
from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.models.language_encoders.bert import BertLanguageEncoder
from mmrefseg.models.language_encoders.bert_files import find_vocabulary
from mmrefseg.registry import MODELS

ARCH = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=40,
    vocab_size=400)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two installed packages of weights: an EfficientNet and a BERT."""
    torch.manual_seed(0)
    folder = tmp_path / 'site' / 'weights_of_tests'
    (folder / 'bert').mkdir(parents=True)
    (folder / '__init__.py').write_text('')
    monkeypatch.syspath_prepend(str(folder.parent))
    vocab = find_vocabulary('synthetic', None)
    shutil.copy(vocab, folder / 'bert' / 'vocab.txt')
    bert = BertLanguageEncoder(
        vocab='synthetic', arch={k: v for k, v in ARCH.items()
                                 if k != 'vocab_size'})
    config = bert.bert.config.to_dict()
    (folder / 'bert' / 'config.json').write_text(json.dumps(config))
    save_file({k: v.contiguous() for k, v in bert.bert.state_dict().items()},
              folder / 'bert' / 'model.safetensors')
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        net = MODELS.build(dict(
            type='EfficientNetLite', arch='lite0', out_indices=(5, ),
            name_encoder=dict(type='x'), name_channels=16))
    torch.save(net.state_dict(), folder / 'net.pth')
    return folder


@pytest.fixture
def config(packages):
    encoder = dict(
        type='BertLanguageEncoder',
        pretrained='package:weights_of_tests/bert',
        max_tokens=20,
        frozen=True)
    return Config(
        dict(
            default_scope='mmrefseg',
            test_pipeline=[dict(type='LoadRefImage'),
                           dict(type='Resize', scale=(64, 64)),
                           dict(type='PackRefInputs')],
            model=dict(
                type='ReferringEncoderDecoder',
                data_preprocessor=dict(
                    type='RefSegDataPreProcessor', mean=[0.] * 3,
                    std=[255.] * 3),
                language_encoder=encoder,
                backbone=dict(
                    type='LateFusionBackbone',
                    backbone=dict(
                        type='EfficientNetLite',
                        arch='lite0',
                        out_indices=(3, 5),
                        name_encoder=encoder,
                        name_channels=16,
                        pretrained='package:weights_of_tests/net.pth'),
                    in_channels=[112, 16],
                    fusion=dict(type='BSAM'),
                    frozen=True,
                    query_channels=8),
                neck=dict(
                    type='ReferringPixelDecoder', in_channels=[112, 16],
                    channels=8, out_channels=8, out_indices=(0, 1),
                    out_norm_cfg=dict(type='GN', num_groups=2)),
                decode_head=dict(
                    type='LQPGHead', in_channels=8, channels=8, num_queries=2,
                    num_layers=1, num_heads=2, ffn_channels=8, num_scales=1),
                test_cfg=dict(mode='whole'))))


@pytest.fixture
def trained(config, tmp_path):
    """A model of training, and its checkpoint."""
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        model = MODELS.build(copy.deepcopy(config.model))
    model.init_weights()
    path = str(tmp_path / 'iter_1.pth')
    torch.save(
        dict(state_dict=model.state_dict(),
             meta=dict(cfg=config.pretty_text)), path)
    return model.eval(), path


def test_published_without_them(trained, tmp_path, packages):
    model, path = trained
    done = publish_model(path, str(tmp_path / 'out'), safetensors=True)
    with safe_open(tmp_path / 'out' / done['weights'], 'pt') as file:
        names = set(file.keys())
    assert done['left_to_packages'] > 100
    assert not any(name.startswith('language_encoder') for name in names)
    inner = {n for n in names if n.startswith('backbone.backbone')}
    assert inner == {'backbone.backbone.names'}  # made by training
    again = init_model(str(tmp_path / 'out'), device='cpu')
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_what_was_trained_further_stays(trained, tmp_path):
    model, path = trained
    content = torch.load(path, weights_only=True)
    content['state_dict']['backbone.backbone.conv_stem.weight'] += 1
    torch.save(content, path)
    done = publish_model(path, str(tmp_path / 'out'), safetensors=True)
    with safe_open(tmp_path / 'out' / done['weights'], 'pt') as file:
        names = set(file.keys())
    assert 'backbone.backbone.blocks.0.bn1.weight' in names
    again = init_model(str(tmp_path / 'out'), device='cpu')
    assert torch.equal(
        again.state_dict()['backbone.backbone.conv_stem.weight'],
        content['state_dict']['backbone.backbone.conv_stem.weight'])


def test_the_package_is_gone(trained, tmp_path, packages, monkeypatch):
    done = publish_model(trained[1], str(tmp_path / 'out'))
    assert done['left_to_packages']
    monkeypatch.setattr('mmrefseg.fileio.packages.find_spec',
                        lambda name: None)
    with pytest.raises(FileNotFoundError,
                       match='pip install weights-of-tests'):
        init_model(str(tmp_path / 'out'), device='cpu')


@pytest.mark.parametrize('safetensors', [False, True])
def test_the_commands_read_it_too(trained, config, tmp_path, safetensors):
    """MMEngine's own loading, as tools/test.py and ``load_from`` use it."""
    model, path = trained
    done = publish_model(path, str(tmp_path / 'out'), safetensors=safetensors)
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        own = MODELS.build(copy.deepcopy(config.model))
    with secure_checkpoint_loading():
        load_checkpoint(
            own, str(tmp_path / 'out' / done['weights']), strict=True,
            map_location='cpu')
    for name, tensor in model.state_dict().items():
        assert torch.equal(own.state_dict()[name], tensor), name
