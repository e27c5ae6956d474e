# Licensed under the Apache License, Version 2.0.
import copy
import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch
from complexity import attention_flops, count_complexity
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.models.backbones import SwinTransformer
from torch import nn
from torch.nn import functional as F

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.models.hf import files as hf_files

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs/_base_/models/mpg-lqgnet_swin-b.py')
SMALL = dict(
    embed_dims=16,
    depths=[1, 2, 1, 1],
    num_heads=[1, 2, 2, 4],
    init_cfg=None)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmrefseg')


@pytest.fixture
def small():
    """The model of the paper with all widths small."""
    model = Config.fromfile(CONFIG).model
    model.backbone.update(SMALL, query_channels=32)
    model.neck.update(
        in_channels=[16, 32, 64, 128], channels=32, out_channels=32)
    model.decode_head.update(in_channels=32, channels=32, ffn_channels=48)
    return model


class _Fused(nn.Module):

    def forward(self, query, key, value, mask=None):
        return F.scaled_dot_product_attention(query, key, value, mask)


class _Explicit(nn.Module):

    def forward(self, query, key, value, mask=None):
        logits = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        if mask is not None:
            logits = logits + mask
        return logits.softmax(-1) @ value


def _count(module, inputs):
    analyzer = FlopAnalyzer(module, inputs)
    analyzer.set_op_handle(
        **{'aten::scaled_dot_product_attention': attention_flops})
    analyzer.unsupported_ops_warnings(False)
    return analyzer.total()


@pytest.mark.parametrize('batch, queries, keys, width, value_width, masked', [
    ((2, 3), 5, 5, 8, 8, False),
    ((2, 3), 5, 7, 8, 8, True),
    ((4, ), 1, 9, 16, 16, False),
    ((2, 2, 2), 6, 4, 8, 24, True),
])
def test_fused_attention_counts_as_explicit(batch, queries, keys, width,
                                            value_width, masked):
    inputs = (torch.randn(*batch, queries, width),
              torch.randn(*batch, keys, width),
              torch.randn(*batch, keys, value_width))
    if masked:
        inputs += (torch.randn(queries, keys), )
    torch.testing.assert_close(_Fused()(*inputs), _Explicit()(*inputs))
    expected = math.prod(batch) * queries * keys * (width + value_width)
    assert _count(_Fused(), inputs) == expected
    assert _count(_Explicit(), inputs) == expected


def test_published_size(bert_sized_vocab):
    """Table 7 of the paper says 125.75 M and 205.01 G."""
    model = Config.fromfile(CONFIG).model
    model.language_encoder.vocab = bert_sized_vocab
    complexity = count_complexity(model, shape=(480, 480), tokens=20)
    assert complexity.params / 1e6 == pytest.approx(125.75, rel=0.01)
    assert complexity.flops / 1e9 == pytest.approx(205.01, rel=0.01)
    parts = {part.name: part for part in complexity.parts}
    for name, params, flops in [
        ('backbone, the rest', 86.74, 79.7),
        ('backbone.fusions', 9.81, 4.1),
        ('backbone.gates', 0.09, 0.01),
        ('neck, the rest', 20.65, 106.2),
        ('neck.projections', 0.66, 2.6),
        ('decode_head.prior_generator', 6.73, 3.5),
        ('decode_head, the rest', 0.60, 8.6),
    ]:
        part = parts.pop(name)
        assert part.params / 1e6 == pytest.approx(params, abs=0.01), name
        assert part.flops / 1e9 == pytest.approx(flops, abs=0.06), name
    assert parts == {}
    assert complexity.language_params == 108_891_648


def test_published_size_of_lavt(bert_sized_vocab):
    """The same table: 118.71 M and 191.44 G, both met to two decimals."""
    model = Config.fromfile(
        ROOT / 'configs/lavt/lavt_swin-b_8xb4-40e_refcoco-480x480.py',
        format_python_code=False).model
    model.language_encoder.vocab = bert_sized_vocab
    complexity = count_complexity(model, shape=(480, 480), tokens=20)
    assert f'{complexity.params / 1e6:.2f}' == '118.71'
    assert f'{complexity.flops / 1e9:.2f}' == '191.44'


def test_backbone_counts_as_mmsegs_swin(small):
    """Its attention is written with matmul, so no handle is needed."""
    settings = {k: v for k, v in SMALL.items() if k != 'init_cfg'}
    swin = SwinTransformer(**settings, out_indices=(), window_size=7)

    class Blocks(nn.Module):

        def __init__(self):
            super().__init__()
            self.swin = swin

        def forward(self, x):
            x, hw_shape = self.swin.patch_embed(x)
            for stage in self.swin.stages:
                x, hw_shape, _, _ = stage(x, hw_shape)
            return x

    analyzer = FlopAnalyzer(Blocks().eval(), (torch.randn(1, 3, 96, 128), ))
    analyzer.unsupported_ops_warnings(False).tracer_warnings('none')
    complexity = count_complexity(small, shape=(96, 128))
    parts = {part.name: part for part in complexity.parts}
    assert parts['backbone, the rest'].flops == analyzer.total()
    assert parts['backbone, the rest'].params == sum(
        p.numel() for p in swin.parameters())
    assert 'between the parts' not in parts


def test_tokens_and_size_matter(small):
    few = count_complexity(small, shape=(64, 64), tokens=5)
    many = count_complexity(small, shape=(64, 64), tokens=25)
    large = count_complexity(small, shape=(128, 64), tokens=5)
    assert few.flops < many.flops < large.flops
    assert few.params == many.params == large.params
    fusions = [
        next(p for p in x.parts if p.name == 'backbone.fusions').flops
        for x in (few, many)
    ]
    assert many.flops - few.flops == fusions[1] - fusions[0]
    assert small.language_encoder.type == 'BertLanguageEncoder'  # untouched


def test_sync_bn_needs_no_gpu(small):
    plain = count_complexity(small, shape=(64, 64))
    for part in (small.neck, small.decode_head, small.backbone.gate):
        part.norm_cfg = dict(type='SyncBN', requires_grad=True)
    assert count_complexity(small, shape=(64, 64)).flops == plain.flops


@pytest.mark.parametrize('arch, width', [(None, 768),
                                         (dict(hidden_size=64), 64)])
def test_no_hub_is_needed(small, monkeypatch, arch, width):

    def out_of_reach(name, files, what, remedy):
        raise FileNotFoundError(name)

    monkeypatch.setattr(hf_files, '_find_on_hub', out_of_reach)
    expected = copy.deepcopy(small)
    expected.language_encoder.arch = dict(
        hidden_size=width, num_attention_heads=4)
    small.language_encoder.update(pretrained='some/bert', arch=arch)
    got = count_complexity(small, shape=(64, 64))
    assert got.language_params is None
    assert got.parts == count_complexity(expected, shape=(64, 64)).parts


def test_stock_backbone(small):
    stock = dict(
        type='ResNetV1c',
        depth=18,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        base_channels=8,
        norm_cfg=dict(type='BN'))
    small.backbone = dict(
        type='LateFusionBackbone',
        backbone=stock,
        in_channels=[8, 16, 32, 64],
        fusion=dict(type='BSAM'),
        query_channels=32)
    small.neck.in_channels = [8, 16, 32, 64]
    parts = {p.name: p for p in count_complexity(small, shape=(64, 64)).parts}
    assert parts['backbone, the rest'].flops > 0
    assert parts['backbone.fusions'].flops > 0
    assert 'backbone.gates' not in parts


def _tool():
    spec = importlib.util.spec_from_file_location(
        'get_flops', ROOT / 'tools/analysis_tools/get_flops.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_command_line(capsys):
    _tool().main([
        CONFIG, '--shape', '64', '--tokens', '7', '--cfg-options',
        'model.backbone.embed_dims=16', 'model.backbone.depths=[1,1,1,1]',
        'model.backbone.num_heads=[1,1,2,2]',
        'model.neck.in_channels=[16,32,64,128]', 'model.neck.channels=16'
    ])
    lines = capsys.readouterr().out.strip().split('\n')
    assert any('backbone.gates' in line for line in lines)
    result = json.loads(lines[-1])
    assert result['shape'] == [64, 64] and result['tokens'] == 7
    assert 'language_encoder' in result['excludes']
    total = next(line for line in lines if line.startswith('| sum'))
    assert total.split()[3] == f"{result['params_m']:.3f}"
    assert total.split()[5] == f"{result['gflops']:.3f}"


@pytest.mark.parametrize('options', [['--shape', '1', '2', '3'],
                                     ['--shape', '0'], ['--tokens', '0']])
def test_bad_command_line(options, capsys):
    with pytest.raises(SystemExit):
        _tool().main([CONFIG, *options])
    assert '--' in capsys.readouterr().err
