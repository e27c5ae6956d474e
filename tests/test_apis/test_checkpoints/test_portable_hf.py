# Licensed under the Apache License, Version 2.0.
"""Models with parts of transformers, given away: no hub and no folder of the
machine they were trained on is needed to build them again."""

import shutil

import pytest
import torch
from mmengine.config import Config
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (HieraConfig, HieraModel, PreTrainedTokenizerFast,
                          RobertaConfig, RobertaModel)

from mmrefseg.apis.checkpoints.portable_config import make_portable
from mmrefseg.registry import MODELS


@pytest.fixture
def folders(tmp_path):
    words = ['<s>', '<pad>', '</s>', '<unk>', 'red', 'star']
    backend = Tokenizer(
        models.WordLevel({x: i for i, x in enumerate(words)}, '<unk>'))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    text, image = tmp_path / 'text', tmp_path / 'image'
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token='<pad>',
        unk_token='<unk>').save_pretrained(text)
    RobertaModel(
        RobertaConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            max_position_embeddings=40,
            vocab_size=10)).save_pretrained(text)
    HieraModel(
        HieraConfig(
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 2, 4],
            image_size=[64, 64])).save_pretrained(image)
    return text, image


@pytest.mark.parametrize('whole', [False, True])
def test_architecture_and_tokenizer_go_along(folders, tmp_path, whole):
    text, image = folders
    arch = {}
    if whole:  # in the config, but for the number of tokens
        arch = dict(
            model_type='roberta', hidden_size=8, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=8,
            max_position_embeddings=40)
    encoder = dict(
        type='HFTextEncoder', pretrained=str(text), arch=arch, frozen=True)
    backbone = dict(
        type='EarlyFusionBackbone',
        backbone=dict(
            type='HFBackbone', pretrained=str(image),
            arch=dict(drop_path_rate=0.1)),
        fusion=dict(type='BSAM'))
    cfg = Config(dict(model=dict(language_encoder=encoder,
                                 backbone=backbone)))
    portable = make_portable(cfg)
    assert str(tmp_path) not in portable.config.pretty_text
    assert any('became its architecture' in x for x in portable.changes)
    published = tmp_path / 'published'
    for name, path in portable.files.items():
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, published / name)
    (published / 'config.py').write_text(portable.config.pretty_text)
    before = MODELS.build(encoder)
    before_backbone = MODELS.build(backbone | dict(language_channels=8))
    shutil.rmtree(text)
    shutil.rmtree(image)
    model = Config.fromfile(published / 'config.py').model
    after = MODELS.build(model.language_encoder)
    after.load_state_dict(before.state_dict())
    assert after.tokens('red star') == before.tokens('red star')
    with torch.no_grad():
        torch.testing.assert_close(
            after(['red star']).words, before(['red star']).words)
    after_backbone = MODELS.build(
        model.backbone.to_dict() | dict(language_channels=8))
    after_backbone.load_state_dict(before_backbone.state_dict())
    config = after_backbone.backbone.config
    assert config.drop_path_rate == 0.1 and list(config.depths) == [1] * 4
