# Licensed under the Apache License, Version 2.0.
"""Files of weights of all kinds, from here and from elsewhere."""

import threading

import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from mmrefseg.apis.checkpoints.lavt_names import LavtNames
from mmrefseg.apis.checkpoints.weights_file import serialize_weights
from mmrefseg.fileio import name_some, read_weights, secure_checkpoint_loading
from mmrefseg.fileio.weights import find_state_dict
from mmrefseg.models.backbones.swin_weights import MicrosoftSwin, OpenMMLabSwin
from mmrefseg.models.language_encoders.bert_weights import BertNames

WEIGHTS = {'a': torch.arange(3.), 'b.c': torch.ones(2, dtype=torch.half)}


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize('end', ['pth', 'pt', 'bin'])
def test_of_torch(tmp_path, end):
    torch.save(WEIGHTS, tmp_path / f'x.{end}')
    assert equal(read_weights(tmp_path / f'x.{end}'), WEIGHTS)


def test_of_safetensors(tmp_path):
    save_file(WEIGHTS, tmp_path / 'x.safetensors')
    read = read_weights(str(tmp_path / 'x.safetensors'))
    assert equal(read['state_dict'], WEIGHTS) and read['meta'] == {}
    meta = dict(cfg='x = 1\n', published=dict(name='y', metrics={'oIoU': 1.}))
    for kind in ('safetensors', 'pth'):
        path = tmp_path / f'own.{kind}'
        path.write_bytes(serialize_weights(WEIGHTS, meta, kind))
        read = read_weights(path)
        assert equal(read['state_dict'], WEIGHTS) and read['meta'] == meta


def test_what_to_do_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="'no.pth' do not exist: buy"):
        read_weights('no.pth', hint='buy some')
    torch.save(dict(x=test_of_torch), tmp_path / 'x.pth')
    with pytest.raises(
            ValueError, match="x.pth' hold more .*test_weights.* source, eat"):
        read_weights(tmp_path / 'x.pth', if_trusted='eat it')


def test_a_loader_may_call_another(tmp_path, monkeypatch):
    """As one of another package does that fetches a file and reads it."""
    monkeypatch.setattr(CheckpointLoader, '_schemes',
                        CheckpointLoader._schemes.copy())
    torch.save(WEIGHTS, tmp_path / 'x.pth')
    CheckpointLoader.register_scheme(
        'mine://', lambda name, map_location: CheckpointLoader.load_checkpoint(
            str(tmp_path / name[len('mine://'):]), map_location), force=True)
    with secure_checkpoint_loading():
        reading = threading.Thread(
            target=lambda: found.append(
                CheckpointLoader.load_checkpoint('mine://x.pth', 'cpu')),
            daemon=True)
        found: list[dict] = []
        reading.start()
        reading.join(30)
    assert found and equal(found[0], WEIGHTS)


class _Plain:
    """A class without any behaviour."""


def test_a_class_can_be_admitted(tmp_path, monkeypatch):
    monkeypatch.setattr(_Plain, '__module__', __name__)
    torch.save(dict(x=_Plain()), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='_Plain'):
        read_weights(tmp_path / 'x.pth')
    read = read_weights(tmp_path / 'x.pth', admit=[_Plain])
    assert isinstance(read['x'], _Plain)


@pytest.mark.parametrize('content, names', [
    (WEIGHTS, ['a', 'b.c']),
    (dict(state_dict=WEIGHTS, meta=3), ['a', 'b.c']),
    (dict(model=dict(WEIGHTS, steps=3)), ['a', 'b.c']),
    ({f'module.{k}': x for k, x in WEIGHTS.items()}, ['a', 'b.c']),
    ({'module.a': WEIGHTS['a'], 'b': WEIGHTS['a']}, ['module.a', 'b']),
    (dict(epoch=3), []),
    ([WEIGHTS], []),
])
def test_tensors_are_found(content, names):
    assert list(find_state_dict(content)) == names


def test_adapters_know_their_own():
    names = {
        'Microsoft': ['layers.0.blocks.0.attn.qkv.weight'],
        'OpenMMLab': ['stages.0.blocks.0.attn.w_msa.qkv.weight'],
        'BERT': ['bert.embeddings.word_embeddings.weight'],
        'LAVT': ['backbone.layers.0.blocks.0.attn.qkv.weight'],
    }
    target = {'backbone.stages.0.downsample.reduction.weight': torch.ones(1)}
    adapters = {
        'Microsoft': MicrosoftSwin(),
        'OpenMMLab': OpenMMLabSwin(),
        'BERT': BertNames(),
        'LAVT': LavtNames(target),
    }
    for known, adapter in adapters.items():
        for kind, own in names.items():
            assert adapter.matches(own) == (kind == known), (known, kind)


def test_adapters_rename():
    x = torch.arange(8.)
    assert BertNames().rename('module.bert.a.LayerNorm.gamma', x) == (
        'a.LayerNorm.weight', x)
    assert BertNames().rename('cls.predictions.bias', x) is None
    assert MicrosoftSwin().rename('layers.0.mlp.fc1.bias', x)[0] == (
        'stages.0.ffn.layers.0.0.bias')
    assert MicrosoftSwin().rename('layers.0.attn_mask', x) is None
    # Whole pixels, down the columns, become channels, along the rows.
    _, merged = MicrosoftSwin().rename('layers.0.downsample.norm.weight', x)
    assert merged.tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    lavt = LavtNames({'backbone.stages.0.downsample.norm.weight': x})
    name, same = lavt.rename('backbone.layers.0.downsample.norm.weight', x)
    assert name == 'backbone.stages.0.downsample.norm.weight'
    assert torch.equal(same, merged)
    assert lavt.rename('backbone.layers.9.x', x) is None


def test_some_names():
    assert name_some([]) == ''
    assert name_some(['a', 'b', 'c']) == 'a, b, c'
    assert name_some(['a', 'b', 'c', 'd'], 1) == 'a, and 3 more'
