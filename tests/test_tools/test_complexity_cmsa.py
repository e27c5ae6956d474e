# Licensed under the Apache License, Version 2.0.
"""Multiply-adds of CMSA-Net: counted on a small map, computed from the same
formula at full size."""

from pathlib import Path

import pytest
from complexity import count_complexity
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')

ROOT = Path(__file__).parents[2]
MODELS = ROOT / 'configs/_base_/models'


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmrefseg')


def _level(height, width, words, *, channels, word, dim, out, lateral=None,
           reduce=None):
    """Of one CMSA, by its equations: projections in parts, attention,
    attention out, fused map."""
    pixels = height * width
    pairs = (height + 1) // 2 * ((width + 1) // 2) * ((words + 1) // 2)
    attention = words * pixels * pairs * 2 * dim
    total, wide = attention, channels
    if lateral:
        total, wide = total + pixels * channels * lateral, lateral
    inner = wide + word + 8

    def in_parts(to):
        return (pixels * (wide + 8) + words * word) * to

    if reduce:
        total += in_parts(reduce) + 3 * words * pixels * reduce * dim
        inner = reduce
    else:
        total += 3 * in_parts(dim)
    total += words * pixels * dim * inner + pixels * inner * out
    return total, attention


def _formula(model, height, width, words):
    backbone, word = model.backbone, model.language_encoder.channels
    levels = [
        _level(
            height,
            width,
            words,
            channels=channels,
            word=word,
            dim=fusion.dim,
            out=fusion.out_channels,
            lateral=fusion.get('lateral_channels'),
            reduce=fusion.get('reduce_to'))
        for channels, fusion in zip(backbone.in_channels, backbone.fusion)
    ]
    return [sum(x) for x in zip(*levels)]


@pytest.mark.parametrize('words', [1, 4, 5])
def test_counts_follow_the_formula(words):
    model = Config.fromfile(MODELS / 'cmsa_nano.py').model
    parts = {
        part.name: part.flops for part in count_complexity(
            model, shape=(40, 56), tokens=words).parts
    }
    assert parts['backbone.fusions'] == _formula(model, 5, 7, words)[0]
    assert parts['neck'] == 3 * 35 * 64 * (3 * 64) * 9
    assert parts['decode_head'] == 35 * 64 * 2 * 9


def test_figures_of_the_page():
    """configs/cmsa/README.md, 40 x 40 maps; parameters are counted."""
    page = (ROOT / 'configs/cmsa/README.md').read_text()
    model = Config.fromfile(MODELS / 'cmsa_r101-d8.py').model
    fusions, in_all = [], []
    rest = 1600 * (3 * 500 * 1500 * 9 + 500 * 2 * 9)
    for words in (4, 10, 20):
        total, attention = _formula(model, 40, 40, words)
        fusions.append(f'{total / 1e9:.2f} G')
        in_all.append(f'{(total + rest) / 1e9:.2f} G')
    assert f'(`CMSA`) | {" | ".join(fusions)} |' in page
    assert f'head in all | {" | ".join(in_all)} |' in page
    assert f'attention are {attention / 1e9:.2f} G' in page
    model.language_encoder.vocab = 'gone'  # not needed, nor there
    complexity = count_complexity(model, shape=(32, 32), tokens=1)
    assert complexity.language_params is None
    params = {part.name: part.params for part in complexity.parts}
    head = sum(params.values()) - params['backbone, the rest']
    one_logit = head - (500 * 9 + 1)
    assert f'{(head + 12112 * 1000) / 1e6:.2f} M' in page
    assert f'{(one_logit + 12112 * 1000) / 1e6:.2f}' == '40.61'
    assert f"{params['backbone, the rest'] / 1e6:.1f}" == '42.5'
