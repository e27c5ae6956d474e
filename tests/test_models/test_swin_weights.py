# Licensed under the Apache License, Version 2.0.
"""Swin files against a Swin written down in Microsoft's layout."""

import math
import os
import shutil
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from mmengine.config import Config
from mmseg.models.backbones import SwinTransformer
from safetensors.torch import save_file
from torch.nn import functional as F

from mmrefseg.models.backbones import LanguageSwinTransformer, swin_weights
from mmrefseg.models.backbones.swin_weights import (convert_swin_state_dict,
                                                    load_swin_weights,
                                                    merging_order,
                                                    resize_position_table)
from mmrefseg.models.meta import meta_device

ROOT = Path(__file__).parents[2]

DEPTHS, HEADS, WIDTH, WINDOW = (2, 2), (2, 4), 8, 4


def _swin(window=WINDOW, depths=DEPTHS, width=WIDTH):
    torch.manual_seed(0)
    swin = SwinTransformer(
        embed_dims=width,
        depths=depths,
        num_heads=HEADS,
        window_size=window,
        strides=(4, 2),
        out_indices=(0, 1),
        drop_path_rate=0.)
    swin.eval()  # gives None back
    return swin


def _language_swin(**kwargs):
    return LanguageSwinTransformer(
        language_channels=16,
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG'),
        query_channels=4,
        query_stages=(0, 1),
        embed_dims=WIDTH,
        depths=DEPTHS,
        num_heads=HEADS,
        window_size=WINDOW,
        **kwargs)


def _microsoft_shapes(window, depths, norms, channels=WIDTH, heads=HEADS):
    """Shapes by Microsoft's names, without buffers."""
    shapes = {
        'patch_embed.proj.weight': (channels, 3, 4, 4),
        'patch_embed.proj.bias': (channels, ),
    }

    def norm(name, width):
        shapes[f'{name}.weight'] = shapes[f'{name}.bias'] = (width, )

    def linear(name, inside, outside):
        shapes[f'{name}.weight'] = (outside, inside)
        shapes[f'{name}.bias'] = (outside, )

    norm('patch_embed.norm', channels)
    for i, depth in enumerate(depths):
        width = channels * 2**i
        for j in range(depth):
            block = f'layers.{i}.blocks.{j}'
            norm(f'{block}.norm1', width)
            linear(f'{block}.attn.qkv', width, 3 * width)
            linear(f'{block}.attn.proj', width, width)
            shapes[f'{block}.attn.relative_position_bias_table'] = ((
                2 * window - 1)**2, heads[i])
            norm(f'{block}.norm2', width)
            linear(f'{block}.mlp.fc1', width, 4 * width)
            linear(f'{block}.mlp.fc2', 4 * width, width)
        if i < len(depths) - 1:
            norm(f'layers.{i}.downsample.norm', 4 * width)
            shapes[f'layers.{i}.downsample.reduction.weight'] = (2 * width,
                                                                 4 * width)
    for i, name in enumerate(norms):
        norm(name, channels * 2**(i if len(norms) > 1 else len(depths) - 1))
    return shapes


def _microsoft(window=WINDOW, depths=DEPTHS, norms=('norm0', 'norm1')):
    """Random weights in Microsoft's names and shapes."""
    rng = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(shape, generator=rng, dtype=torch.float64) * 0.3
        for name, shape in _microsoft_shapes(window, depths, norms).items()
    }


def _layer_norm(weights, name, x):
    return F.layer_norm(x, x.shape[-1:], weights[f'{name}.weight'],
                        weights[f'{name}.bias'])


def _linear(weights, name, x):
    return F.linear(x, weights[f'{name}.weight'],
                    weights.get(f'{name}.bias'))


def _attend(weights, name, x, heads, shift):
    """Window attention of one image, window by window: H x W x C."""
    height, width, channels = x.shape
    table = weights[f'{name}.relative_position_bias_table']
    places = [(r, c) for r in range(WINDOW) for c in range(WINDOW)]
    bias = torch.stack([
        torch.stack([
            table[(a[0] - b[0] + WINDOW - 1) * (2 * WINDOW - 1) + a[1] - b[1] +
                  WINDOW - 1] for b in places
        ]) for a in places
    ])  # query, key, head
    result = torch.zeros_like(x)
    for top in range(0, height, WINDOW):
        for left in range(0, width, WINDOW):
            # Where the pixels of this window come from after the shift.
            rows = [(top + r + shift) % height for r, _ in places]
            columns = [(left + c + shift) % width for _, c in places]
            # Pixels that wrapped around do not meet those that did not.
            side = torch.tensor([
                2 * (r < top) + (c < left) for r, c in zip(rows, columns)
            ])
            apart = side[:, None] != side[None]
            qkv = _linear(weights, f'{name}.qkv', x[rows, columns])
            q, k, v = qkv.view(len(places), 3, heads, -1).unbind(1)
            logits = torch.einsum('qhc,khc->qkh', q, k)
            logits = logits / math.sqrt(channels // heads) + bias
            logits = logits.masked_fill(apart[..., None], -math.inf)
            mixed = torch.einsum('qkh,khc->qhc', logits.softmax(1), v)
            result[rows, columns] = _linear(weights, f'{name}.proj',
                                            mixed.flatten(1))
    return result


def _reference(weights, image):
    """Maps of a Swin with Microsoft's weights: image 3 x H x W."""
    x = F.conv2d(
        image[None],
        weights['patch_embed.proj.weight'],
        weights['patch_embed.proj.bias'],
        stride=4)[0].permute(1, 2, 0)
    x = _layer_norm(weights, 'patch_embed.norm', x)
    maps = []
    for i, depth in enumerate(DEPTHS):
        for j in range(depth):
            block = f'layers.{i}.blocks.{j}'
            shift = WINDOW // 2 if j % 2 else 0
            x = x + _attend(weights, f'{block}.attn',
                            _layer_norm(weights, f'{block}.norm1', x),
                            HEADS[i], shift)
            hidden = _linear(weights, f'{block}.mlp.fc1',
                             _layer_norm(weights, f'{block}.norm2', x))
            x = x + _linear(weights, f'{block}.mlp.fc2', F.gelu(hidden))
        maps.append(_layer_norm(weights, f'norm{i}', x).permute(2, 0, 1))
        if i < len(DEPTHS) - 1:
            x = torch.cat(
                [x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]],
                dim=-1)
            x = _layer_norm(weights, f'layers.{i}.downsample.norm', x)
            x = _linear(weights, f'layers.{i}.downsample.reduction', x)
    return maps


def _with_extras(weights):
    """What else real files hold."""
    return {
        **weights,
        'layers.0.blocks.0.attn.relative_position_index':
        torch.zeros(WINDOW**2, WINDOW**2, dtype=torch.int64),
        'layers.0.blocks.1.attn_mask':
        torch.zeros(4, WINDOW**2, WINDOW**2),
        'head.weight':
        torch.zeros(10, 16),
        'head.bias':
        torch.zeros(10),
    }


def _prefixed(prefix, weights):
    return {f'{prefix}{name}': value for name, value in weights.items()}


@pytest.mark.parametrize('wrap', [
    lambda weights: weights,
    lambda weights: dict(model=weights, epoch=3),
    lambda weights: dict(
        state_dict={
            **_prefixed('backbone.', weights), 'decode_head.conv.weight':
            torch.ones(1)
        },
        meta={}),
    lambda weights: dict(state_dict=_prefixed('module.backbone.', weights)),
    lambda weights: _prefixed('module.', weights),
], ids=['plain', 'model', 'segmentor', 'module.backbone', 'module'])
def test_microsoft_computes_the_same(wrap):
    weights = _microsoft()
    swin = _swin().double()
    converted, report = convert_swin_state_dict(
        wrap(_with_extras(weights)), target=swin.state_dict())
    result = swin.load_state_dict(converted, strict=False)
    assert all('relative_position_index' in k for k in result.missing_keys)
    assert result.unexpected_keys == []
    assert report.layout == 'Microsoft'
    assert sorted(report.loaded) == sorted(converted)
    assert report.resized == [] and report.missing == []
    assert {name.split('.')[0] for name in report.skipped} <= {
        'head', 'decode_head', 'module'
    }
    image = torch.randn(3, 64, 96, dtype=torch.float64)
    for got, expected in zip(swin(image[None]), _reference(weights, image)):
        torch.testing.assert_close(got[0], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize('wrap', [
    lambda weights: weights,
    lambda weights: dict(
        meta={},
        state_dict={
            **_prefixed('backbone.', weights), 'head.fc.weight':
            torch.ones(1),
            'auxiliary_head.conv_seg.bias': torch.ones(1)
        }),
], ids=['plain', 'checkpoint'])
def test_openmmlab_is_taken_as_it_is(wrap):
    swin = _swin()
    state_dict = {
        k: v
        for k, v in swin.state_dict().items() if k != 'norm0.weight'
    }
    converted, report = convert_swin_state_dict(
        wrap(state_dict), target=swin.state_dict())
    assert report.layout == 'OpenMMLab'
    assert report.missing == ['norm0.weight']
    for name, tensor in converted.items():
        assert tensor is state_dict[name]
    assert set(state_dict) - set(converted) == {
        k
        for k in state_dict if k.endswith('relative_position_index')
    }


def test_merging_order_by_loops():
    width = 3
    microsoft = [(row, column, channel)
                 for row, column in [(0, 0), (1, 0), (0, 1), (1, 1)]
                 for channel in range(width)]
    unfolded = [(row, column, channel) for channel in range(width)
                for row in range(2) for column in range(2)]
    assert merging_order(4 * width).tolist() == [
        microsoft.index(place) for place in unfolded
    ]


def _bicubic(grid, size):
    """Resize a square by the cubic convolution kernel (a = -0.75)."""

    def kernel(x):
        x, a = abs(x), -0.75
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.

    old = len(grid)
    result = torch.zeros(size, size, dtype=torch.float64)
    for r in range(size):
        for c in range(size):
            y = (r + 0.5) * old / size - 0.5
            x = (c + 0.5) * old / size - 0.5
            for i in range(math.floor(y) - 1, math.floor(y) + 3):
                for j in range(math.floor(x) - 1, math.floor(x) + 3):
                    result[r, c] += kernel(y - i) * kernel(x - j) * grid[
                        min(max(i, 0), old - 1)][min(max(j, 0), old - 1)]
    return result


@pytest.mark.parametrize('old, new', [(7, 12), (12, 7), (4, 7)])
def test_tables_are_resized_bicubically(old, new):
    old, new = 2 * old - 1, 2 * new - 1
    table = torch.randn(old * old, 3)
    resized = resize_position_table(table, new * new)
    assert resized.shape == (new * new, 3)
    for head in range(3):
        torch.testing.assert_close(
            resized[:, head].double().view(new, new),
            _bicubic(table[:, head].double().view(old, old), new),
            atol=1e-5,
            rtol=0)
    assert resize_position_table(table.half(), new * new).dtype == torch.half


@pytest.mark.parametrize('old, new', [(7, 12), (12, 7)])
def test_other_window(old, new):
    source = _microsoft(window=old)
    swin = _swin(window=new)
    converted, report = convert_swin_state_dict(
        source, target=swin.state_dict())
    assert len(report.resized) == 4
    name = 'layers.1.blocks.1.attn.relative_position_bias_table'
    torch.testing.assert_close(
        converted['stages.1.blocks.1.attn.w_msa.relative_position_bias_table'],
        resize_position_table(source[name], (2 * new - 1)**2))
    swin.load_state_dict(converted, strict=False)
    assert swin(torch.randn(1, 3, 64, 64))[0].shape == (1, 8, 16, 16)


@pytest.mark.parametrize('checkpoint, message', [
    ({}, 'nothing in it matches .* none at all'),
    (dict(model={}), 'nothing in it matches'),
    (dict(epoch=3), 'nothing in it matches'),
    ({
        'conv1.weight': torch.ones(1),
        'fc.bias': torch.ones(1)
    }, 'nothing in it matches .*conv1.weight, fc.bias'),
    (_microsoft(depths=(4, 2)), 'no place for 26 .*layers.0.blocks.2.norm1'),
])
def test_files_that_do_not_fit(checkpoint, message):
    with pytest.raises(ValueError, match=message):
        convert_swin_state_dict(checkpoint, target=_swin().state_dict())


def test_wider_backbone():
    with pytest.raises(
            ValueError,
            match=r"'patch_embed.proj.weight' has shape \(8, 3, 4, 4\), where "
            r"the backbone's 'patch_embed.projection.weight' has \(16,"):
        convert_swin_state_dict(
            _microsoft(), target=_swin(width=16).state_dict())


# Parameters of the classifiers with 1,000 classes, as published.
PUBLISHED = dict(t=28288354, s=49606258, b=87768224, l=196532476)
NAMES = dict(t='tiny', s='small', b='base', l='large')


@pytest.mark.parametrize('size, window, file_window',
                         [('t', 7, 7), ('s', 7, 7), ('b', 12, 12),
                          ('l', 7, 7), ('t', 7, 12)])
def test_files_of_full_size(size, window, file_window):
    """Names and shapes of Microsoft's files, of 1,000 or 21,841 classes, and
    the models that our configs build for them; without memory."""
    model = Config.fromfile(
        ROOT / f'configs/_base_/models/mpg-lqgnet_swin-{size}.py').model
    settings = model.backbone
    shapes = _microsoft_shapes(file_window, settings.depths, ('norm', ),
                               settings.embed_dims, settings.num_heads)
    coarsest = settings.embed_dims * 8
    shapes['head.weight'] = (1000, coarsest)
    shapes['head.bias'] = (1000, )
    if file_window == 7:
        assert sum(math.prod(x) for x in shapes.values()) == PUBLISHED[size]
    shapes['head.weight'] = (21841, coarsest)
    shapes['head.bias'] = (21841, )
    settings.pop('type')
    settings.window_size = window
    with meta_device():
        backbone = LanguageSwinTransformer(language_channels=768, **settings)
        converted, report = convert_swin_state_dict(
            dict(model={k: torch.empty(v) for k, v in shapes.items()}),
            target=backbone.state_dict())
    assert report.skipped == [
        'norm.weight', 'norm.bias', 'head.weight', 'head.bias'
    ]
    assert len(converted) == len(shapes) - 4
    assert all(x.startswith(('fusions.', 'gates.')) for x in report.missing)
    blocks = sum(settings.depths)
    assert len(report.resized) == (0 if window == file_window else blocks)
    # The rest of the model fits the backbone.
    assert model.neck.in_channels == [coarsest // 2**i for i in (3, 2, 1, 0)]
    assert model.neck.channels == coarsest // 2
    assert f'/swin_{NAMES[size]}_patch4_window7_224' in (
        settings.init_cfg.checkpoint)


class TestLoading:

    @pytest.fixture
    def save(self, tmp_path):

        def save(checkpoint, name='swin.pth'):
            path = str(tmp_path / name)
            if name.endswith('.safetensors'):
                save_file(checkpoint, path)
            else:
                torch.save(checkpoint, path)
            return path

        return save

    @pytest.mark.parametrize('name', ['swin.pth', 'swin.safetensors'])
    def test_into_language_swin(self, save, name, monkeypatch):
        log = []
        monkeypatch.setattr(swin_weights, 'print_log',
                            lambda message, *_: log.append(message))
        path = save(_with_extras(_microsoft(norms=('norm', ))), name)
        torch.manual_seed(1)
        backbone = _language_swin()
        before = {k: v.clone() for k, v in backbone.state_dict().items()}
        report = load_swin_weights(backbone, path)
        after = backbone.state_dict()
        for key in after:
            if key.startswith(('fusions.', 'gates.')):
                assert key in report.missing
                assert torch.equal(after[key], before[key]), key
            elif not key.endswith('relative_position_index'):
                assert key in report.loaded
                assert not torch.equal(after[key], before[key]), key
        assert sorted(report.skipped) == [
            'head.bias', 'head.weight', 'norm.bias', 'norm.weight'
        ]
        assert len(log) == 1
        assert path in log[0] and '59 tensors loaded' in log[0]
        assert '4 skipped' in log[0] and 'start fresh' in log[0]

    def test_by_init_weights(self, save):
        path = save(dict(model=_microsoft()))
        backbone = _language_swin(
            init_cfg=dict(type='Pretrained', checkpoint=path))
        backbone.init_weights()
        expected, _ = convert_swin_state_dict(
            _microsoft(), target=backbone.state_dict())
        assert len(expected) == 59
        for name, tensor in expected.items():
            torch.testing.assert_close(backbone.state_dict()[name],
                                       tensor.float())

    def test_output_norms_may_be_missing(self, save):
        path = save(_microsoft(norms=('norm', )))
        report = load_swin_weights(_swin(), path)
        assert report.missing == [
            'norm0.weight', 'norm0.bias', 'norm1.weight', 'norm1.bias'
        ]

    def test_half_precision_file(self, save):
        path = save({k: v.half() for k, v in _microsoft(window=7).items()})
        swin = _swin()
        load_swin_weights(swin, path)
        assert all(p.dtype == torch.float32 for p in swin.parameters())

    def test_fewer_blocks(self, save):
        path = save(_microsoft(depths=(1, 2)))
        with pytest.raises(ValueError, match='lack 13 .*make depths fit'):
            load_swin_weights(_swin(), path)

    def test_the_file_is_named(self, save):
        path = save({'conv1.weight': torch.ones(1)})
        with pytest.raises(ValueError, match=f"'{path}' do not fit .*nothing"):
            load_swin_weights(_swin(), path)

    def test_no_file(self):
        with pytest.raises(
                FileNotFoundError,
                match="'no/such.pth' do not exist: set .*init_cfg.checkpoint"):
            load_swin_weights(_swin(), 'no/such.pth')

    @pytest.mark.parametrize('name', ['swin.pth', 'swin.safetensors'])
    def test_truncated(self, save, name):
        path = save(_microsoft(), name)
        with open(path, 'r+b') as file:
            file.truncate(500)
        with pytest.raises(ValueError, match=f"{name}' cannot be read"):
            load_swin_weights(_swin(), path)

    def test_code_does_not_run(self, save, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        class RunsCode:

            def __reduce__(self):
                return os.mkdir, ('it_ran', )

        path = save(dict(model=_microsoft(), extra=RunsCode()))
        with pytest.raises(ValueError, match='hold more than plain data'):
            load_swin_weights(_swin(), path)
        assert not (tmp_path / 'it_ran').exists()

    def test_download(self, save, tmp_path, monkeypatch):
        path = save(_microsoft())
        monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'h'))
        fetched = []

        def download(url, to):
            fetched.append(url)
            shutil.copy(path, to)

        monkeypatch.setattr('mmrefseg.fileio.download._fetch', download)
        url = 'https://example.org/weights/swin.pth'
        for _ in range(2):
            assert len(load_swin_weights(_swin(), url).loaded) == 63
        assert fetched == [url]

    def test_no_network(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

        def download(url, to):
            raise URLError('Name or service not known')

        monkeypatch.setattr('mmrefseg.fileio.download._fetch', download)
        with pytest.raises(
                FileNotFoundError,
                match='cannot be downloaded .*not known.*init_cfg.checkpoint'):
            load_swin_weights(_swin(), 'https://example.org/swin.pth')
