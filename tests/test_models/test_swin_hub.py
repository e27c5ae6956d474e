# Licensed under the Apache License, Version 2.0.
"""Swin files of transformers in our own backbone: equal maps."""

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import (SwinConfig, SwinForImageClassification, SwinModel,
                          Swinv2Config, Swinv2Model)

from mmrefseg.models import LanguageSwinTransformer
from mmrefseg.models.backbones.swin_hub import find_swin, from_transformers
from mmrefseg.models.backbones.swin_weights import load_swin_weights
from mmrefseg.models.meta import meta_device
from mmrefseg.structures import LanguageFeatures

SETTINGS = dict(depths=[2, 2, 2, 1], num_heads=[1, 2, 4, 8], window_size=4)


def _swin(kind=SwinModel, **settings):
    torch.manual_seed(0)
    model = kind(
        SwinConfig(embed_dim=8, image_size=64, **SETTINGS | settings)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def _ours(checkpoint, **settings):
    torch.manual_seed(1)
    backbone = LanguageSwinTransformer(
        language_channels=8,
        fusion=[None, None, None, dict(type='BSAM')],
        embed_dims=8,
        **SETTINGS | settings,
        init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    backbone.init_weights()
    return backbone.eval()


@pytest.mark.parametrize('size', [(64, 64), (96, 64), (70, 51)])
def test_maps_are_those_of_swin_model(size, tmp_path):
    """Before any fusion; sizes that need padding too."""
    model = _swin()
    model.save_pretrained(tmp_path)
    images = torch.randn(2, 3, *size)
    language = LanguageFeatures(
        words=torch.rand(2, 3, 8), mask=torch.ones(2, 3).bool())
    with torch.no_grad():
        maps = _ours(tmp_path)(images, language, keep_visual=True).visual
        found = _stages(model, images)
    assert len(maps) == len(found) == 4
    for own, theirs in zip(maps, found):
        assert own.abs().max() > 0.1
        assert_close(own, theirs, atol=1e-5, rtol=1e-5)


def _stages(model, images):
    """Maps of each stage before merging, as SwinBackbone takes them."""
    tokens, size = model.embeddings(images)
    found = model.encoder(
        tokens,
        size,
        output_hidden_states=True,
        output_hidden_states_before_downsampling=True,
        always_partition=True)
    # The last is what SwinModel norms and gives out.
    last = model.layernorm(found.last_hidden_state)
    assert_close(
        F.layer_norm(
            found.reshaped_hidden_states[-1].flatten(2).mT, last.shape[-1:],
            model.layernorm.weight, model.layernorm.bias), last)
    return found.reshaped_hidden_states[1:]


def test_a_classifier_and_a_name_of_the_hub(tmp_path, monkeypatch):
    model = _swin(SwinForImageClassification)
    model.save_pretrained(tmp_path)
    asked = []

    def download(name, file, **_):
        asked.append(name)
        return str(tmp_path / file)

    monkeypatch.setattr('huggingface_hub.hf_hub_download', download)
    backbone = _ours('microsoft/swin-nano')
    assert asked == ['microsoft/swin-nano']
    report = load_swin_weights(backbone, str(tmp_path))
    assert report.layout == 'transformers'
    assert sorted(report.skipped) == [
        'head.bias', 'head.weight', 'norm.bias', 'norm.weight'
    ]
    assert all(x.startswith('fusions.') for x in report.missing)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert_close(
            backbone.encode_images(images).maps[3],
            _stages(model.swin, images)[3], atol=1e-5, rtol=1e-5)


def test_names_of_both_releases(tmp_path):
    """What a file says, and what the model in memory says: transformers 5
    renames when it reads and writes."""
    model = _swin()
    model.save_pretrained(tmp_path)
    on_disk = from_transformers(load_file(tmp_path / 'model.safetensors'))
    in_memory = from_transformers(model.state_dict())
    learnt = {k for k in on_disk if not k.endswith('position_index')}
    assert learnt == {
        k for k in in_memory if not k.endswith('position_index')
    }
    assert all(torch.equal(on_disk[k], in_memory[k]) for k in learnt)
    assert 'layers.0.blocks.1.attn.qkv.bias' in learnt
    table = 'layers.3.blocks.0.attn.relative_position_bias_table'
    assert table in learnt


def test_another_window_resizes_tables(tmp_path):
    _swin().save_pretrained(tmp_path)
    backbone = _ours(tmp_path, window_size=6)
    report = load_swin_weights(backbone, str(tmp_path))
    assert len(report.resized) == sum(SETTINGS['depths'])


def test_full_size_fits():
    """The tiny Swin of the hub and that of our configs; without memory."""
    with meta_device():
        given = SwinForImageClassification(
            SwinConfig(num_labels=1000)).state_dict()
        ours = LanguageSwinTransformer(
            language_channels=8, fusion=dict(type='BSAM')).state_dict()
    renamed = from_transformers(given)
    assert not any('attention' in x or 'encoder' in x for x in renamed)
    assert sum(x.numel() for k, x in renamed.items()
               if not k.endswith('position_index')) == 28288354
    assert 'stages.2.blocks.5.attn.w_msa.qkv.weight' in ours
    assert renamed['layers.2.blocks.5.attn.qkv.weight'].shape == ours[
        'stages.2.blocks.5.attn.w_msa.qkv.weight'].shape


def test_faults_have_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match='has no model.safetensors'):
        _ours(tmp_path)
    with pytest.raises(FileNotFoundError, match='can be had neither'):
        _ours('nobody/nothing')
    with pytest.raises(FileNotFoundError, match='do not exist'):
        _ours('nowhere/swin.pth')
    assert find_swin('https://a.b/c.pth') == 'https://a.b/c.pth'
    Swinv2Model(Swinv2Config(
        embed_dim=8, image_size=64, **SETTINGS)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match='it is a Swin V2.* take HFBackbone'):
        _ours(tmp_path)
