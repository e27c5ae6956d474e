# Licensed under the Apache License, Version 2.0.
"""Official checkpoints of LAVT: a file of random tensors in their layout is
converted, and the model must compute what the original architecture does.

The original is written here once more, as functions that take the official
tensors by their names: attention window by window, one image at a time.
"""

import argparse
import importlib.util
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.apis import (RefSegInferencer, convert_lavt_checkpoint,
                           init_model, publish_model)
from mmrefseg.apis.checkpoints.lavt_checkpoints import (
    convert_lavt_state_dict, read_lavt_checkpoint)
from mmrefseg.registry import MODELS

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / 'configs/lavt/lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'
DEPTHS, HEADS, WIDTH, WINDOW = (2, 1, 2, 1), (1, 2, 4, 8), 8, 3
BERT_WIDTH, BERT_LAYERS, BERT_HEADS, POSITIONS, VOCABULARY = 12, 2, 3, 24, 63
DECODER = 16
TEXTS = ('the red circle', 'small blue square on the left of the large star')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmrefseg')


@pytest.fixture
def cfg():
    cfg = Config.fromfile(CONFIG)
    cfg.model.language_encoder.update(
        pretrained=None,
        vocab='synthetic',
        trainable_layers=None,
        arch=dict(
            hidden_size=BERT_WIDTH,
            num_hidden_layers=BERT_LAYERS,
            num_attention_heads=BERT_HEADS,
            intermediate_size=20,
            max_position_embeddings=POSITIONS))
    cfg.model.backbone.update(
        embed_dims=WIDTH,
        depths=list(DEPTHS),
        num_heads=list(HEADS),
        window_size=WINDOW,
        init_cfg=None)
    widths = [WIDTH * 2**i for i in range(4)]
    cfg.model.neck.update(in_channels=widths, channels=DECODER)
    cfg.model.decode_head.in_channels = DECODER
    return cfg


# ------------------------------------------------ files as they are published


class _Tensors(OrderedDict):
    """Random tensors by name."""

    def __init__(self, seed):
        super().__init__()
        self.rng = torch.Generator().manual_seed(seed)

    def add(self, name, *shape, mean=0.):
        scale = 0.2 if len(shape) == 1 else math.prod(shape[1:])**-0.5
        self[name] = mean + scale * torch.randn(*shape, generator=self.rng)

    def linear(self, name, width, out, bias=True):
        self.add(f'{name}.weight', out, width)
        if bias:
            self.add(f'{name}.bias', out)

    def conv1d(self, name, width, out):
        self.add(f'{name}.weight', out, width, 1)
        self.add(f'{name}.bias', out)

    def norm(self, name, width):
        self.add(f'{name}.weight', width, mean=1.)
        self.add(f'{name}.bias', width)

    def batch_norm(self, name, width):
        self.norm(name, width)
        self.add(f'{name}.running_mean', width)
        self[f'{name}.running_var'] = 0.5 + torch.rand(
            width, generator=self.rng)
        self[f'{name}.num_batches_tracked'] = torch.tensor(53000)


def _pair(a, b):
    """Row of the position table: pixel a of a window looks at pixel b."""
    rows, columns = a // WINDOW - b // WINDOW, a % WINDOW - b % WINDOW
    return (rows + WINDOW - 1) * (2 * WINDOW - 1) + columns + WINDOW - 1


def _segmentor(seed=0):
    """What ``lavt`` files hold as 'model'."""
    t = _Tensors(seed)
    t.add('backbone.patch_embed.proj.weight', WIDTH, 3, 4, 4)
    t.add('backbone.patch_embed.proj.bias', WIDTH)
    t.norm('backbone.patch_embed.norm', WIDTH)
    pixels = range(WINDOW**2)
    for i, depth in enumerate(DEPTHS):
        c, layer = WIDTH * 2**i, f'backbone.layers.{i}'
        for j in range(depth):
            block = f'{layer}.blocks.{j}'
            t.norm(f'{block}.norm1', c)
            t.linear(f'{block}.attn.qkv', c, 3 * c)
            t.linear(f'{block}.attn.proj', c, c)
            t.add(f'{block}.attn.relative_position_bias_table',
                  (2 * WINDOW - 1)**2, HEADS[i])
            t[f'{block}.attn.relative_position_index'] = torch.tensor(
                [[_pair(a, b) for b in pixels] for a in pixels])
            t.norm(f'{block}.norm2', c)
            t.linear(f'{block}.mlp.fc1', c, 4 * c)
            t.linear(f'{block}.mlp.fc2', 4 * c, c)
        fusion = f'{layer}.fusion'
        t.conv1d(f'{fusion}.vis_project.0', c, c)
        for name, width in (('f_key', BERT_WIDTH), ('f_query', c),
                            ('f_value', BERT_WIDTH), ('W', c)):
            t.conv1d(f'{fusion}.image_lang_att.{name}.0', width, c)
        t.conv1d(f'{fusion}.project_mm.0', c, c)
        t.linear(f'{layer}.res_gate.0', c, c, bias=False)
        t.linear(f'{layer}.res_gate.2', c, c, bias=False)
        if i < 3:
            t.norm(f'{layer}.downsample.norm', 4 * c)
            t.linear(f'{layer}.downsample.reduction', 4 * c, 2 * c, False)
        t.norm(f'backbone.norm{i}', c)
    below = WIDTH * 8
    for step in (4, 3, 2):
        width = below + WIDTH * 2**(step - 2)
        for place in (1, 2):
            t.add(f'classifier.conv{place}_{step}.weight', DECODER, width, 3,
                  3)
            t.batch_norm(f'classifier.bn{place}_{step}', DECODER)
            width = DECODER
        below = DECODER
    t.add('classifier.conv1_1.weight', 2, DECODER, 1, 1)
    t.add('classifier.conv1_1.bias', 2)
    return t


def _bert(seed=1, pooler=True):
    """What ``lavt`` files hold as 'bert_model'."""
    t = _Tensors(seed)
    t['embeddings.position_ids'] = torch.arange(POSITIONS)[None]
    for kind, rows in (('word', VOCABULARY), ('position', POSITIONS),
                       ('token_type', 2)):
        t.add(f'embeddings.{kind}_embeddings.weight', rows, BERT_WIDTH)
    t.norm('embeddings.LayerNorm', BERT_WIDTH)
    for i in range(BERT_LAYERS):
        layer = f'encoder.layer.{i}'
        for name in ('query', 'key', 'value'):
            t.linear(f'{layer}.attention.self.{name}', BERT_WIDTH, BERT_WIDTH)
        t.linear(f'{layer}.attention.output.dense', BERT_WIDTH, BERT_WIDTH)
        t.norm(f'{layer}.attention.output.LayerNorm', BERT_WIDTH)
        t.linear(f'{layer}.intermediate.dense', BERT_WIDTH, 20)
        t.linear(f'{layer}.output.dense', 20, BERT_WIDTH)
        t.norm(f'{layer}.output.LayerNorm', BERT_WIDTH)
    if pooler:
        t.linear('pooler.dense', BERT_WIDTH, BERT_WIDTH)
    return t


def _prefixed(tensors, prefix):
    return OrderedDict((prefix + k, v) for k, v in tensors.items())


def _checkpoint(kind, wrapped=False):
    """A checkpoint as LAVT's training writes it."""
    model = OrderedDict(_segmentor())
    bert = OrderedDict(_bert(pooler=not wrapped))
    content = dict(model=model)
    if kind == 'lavt_one':
        model.update(_prefixed(bert, 'text_encoder.'))
    else:
        content['bert_model'] = bert
    if wrapped:
        for key in content:
            content[key] = _prefixed(content[key], 'module.')
    args = argparse.Namespace(
        model=kind, window12=True, lr=5e-5, mha='', resume=None)
    content.update(
        optimizer=dict(state={0: dict(exp_avg=torch.ones(2))},
                       param_groups=[dict(lr=5e-5, params=[0])]),
        epoch=39,
        args=args,
        lr_scheduler=dict(last_epoch=53000, lr_lambdas=[None]))
    return content


def _tensors(checkpoint):
    """Official tensors, BERT under 'text_encoder.', by plain names."""
    given = dict(checkpoint['model'])
    given.update(
        _prefixed(checkpoint.get('bert_model', {}), 'text_encoder.'))
    return {k.replace('module.', ''): v.double() for k, v in given.items()}


# ------------------------------------------------------- the original, slowly


def _layer_norm(x, t, name, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], t[f'{name}.weight'],
                        t[f'{name}.bias'], eps)


def _linear(x, t, name):
    return F.linear(x, t[f'{name}.weight'], t.get(f'{name}.bias'))


def _conv1d(x, t, name):
    """Over a sequence, C x N."""
    return F.conv1d(x[None], t[f'{name}.weight'], t[f'{name}.bias'])[0]


def _gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _original_bert(t, ids, mask):
    """Word features of one sentence, T x C, padding included."""
    e = 'text_encoder.embeddings'
    x = (t[f'{e}.word_embeddings.weight'][ids] +
         t[f'{e}.position_embeddings.weight'][:len(ids)] +
         t[f'{e}.token_type_embeddings.weight'][0])
    x = _layer_norm(x, t, f'{e}.LayerNorm', 1e-12)
    width = BERT_WIDTH // BERT_HEADS
    for i in range(BERT_LAYERS):
        layer = f'text_encoder.encoder.layer.{i}'
        q, k, v = (_linear(x, t, f'{layer}.attention.self.{name}')
                   for name in ('query', 'key', 'value'))
        heads = []
        for h in range(BERT_HEADS):
            own = slice(h * width, (h + 1) * width)
            logits = q[:, own] @ k[:, own].t() / math.sqrt(width)
            logits = logits + (1 - mask) * -10000
            heads.append(logits.softmax(-1) @ v[:, own])
        heads = _linear(
            torch.cat(heads, 1), t, f'{layer}.attention.output.dense')
        x = _layer_norm(x + heads, t, f'{layer}.attention.output.LayerNorm',
                        1e-12)
        hidden = _gelu(_linear(x, t, f'{layer}.intermediate.dense'))
        x = _layer_norm(x + _linear(hidden, t, f'{layer}.output.dense'), t,
                        f'{layer}.output.LayerNorm', 1e-12)
    return x


def _region(place, size, shift):
    """Of a shifted map: what lay beyond the edge is apart from the rest."""
    return (place >= size - WINDOW) + (place >= size - shift)


def _window_attention(x, t, name, heads, shift):
    """Of a map, H x W x C, whose sides are multiples of the window."""
    height, width, c = x.shape
    x = torch.roll(x, (-shift, -shift), (0, 1))
    result = torch.empty_like(x)
    table = t[f'{name}.relative_position_bias_table']
    index = t[f'{name}.relative_position_index'].long()
    for top in range(0, height, WINDOW):
        for left in range(0, width, WINDOW):
            places = [(top + r, left + s) for r in range(WINDOW)
                      for s in range(WINDOW)]
            regions = [(_region(r, height, shift), _region(s, width, shift))
                       for r, s in places]
            apart = x.new_tensor([[-100. * (a != b) for b in regions]
                                  for a in regions]) if shift else 0
            pixels = torch.stack([x[r, s] for r, s in places])
            qkv = _linear(pixels, t, f'{name}.qkv').view(
                len(places), 3, heads, c // heads)
            mixed = []
            for h in range(heads):
                q, k, v = qkv[:, :, h].unbind(1)
                logits = q @ k.t() * (c // heads)**-0.5
                logits = logits + table[index, h] + apart
                mixed.append(logits.softmax(-1) @ v)
            mixed = _linear(torch.cat(mixed, 1), t, f'{name}.proj')
            for n, (r, s) in enumerate(places):
                result[r, s] = mixed[n]
    return torch.roll(result, (shift, shift), (0, 1))


def _block(x, t, name, heads, shift):
    height, width, _ = x.shape
    y = _layer_norm(x, t, f'{name}.norm1')
    # Zeros right and below, after the norm.
    y = F.pad(y, (0, 0, 0, -width % WINDOW, 0, -height % WINDOW))
    y = _window_attention(y, t, f'{name}.attn', heads, shift)
    x = x + y[:height, :width]
    y = _linear(_layer_norm(x, t, f'{name}.norm2'), t, f'{name}.mlp.fc1')
    return x + _linear(_gelu(y), t, f'{name}.mlp.fc2')


def _instance_norm(x):
    """C x N, over N."""
    mean = x.mean(1, keepdim=True)
    variance = ((x - mean)**2).mean(1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def _fusion(x, words, mask, t, name):
    """PWAM of a map, H x W x C, with words, T x C_l."""
    height, width, c = x.shape
    pixels, words = x.reshape(-1, c).t(), words.t()
    attention = f'{name}.image_lang_att'
    vision = _gelu(_conv1d(pixels, t, f'{name}.vis_project.0'))
    query = _instance_norm(_conv1d(pixels, t, f'{attention}.f_query.0'))
    key = _conv1d(words, t, f'{attention}.f_key.0') * mask
    value = _conv1d(words, t, f'{attention}.f_value.0') * mask
    similarity = c**-0.5 * (query.t() @ key) + (1e4 * mask - 1e4)
    attended = (similarity.softmax(-1) @ value.t()).t()
    attended = _instance_norm(_conv1d(attended, t, f'{attention}.W.0'))
    mixed = _gelu(_conv1d(vision * attended, t, f'{name}.project_mm.0'))
    return mixed.t().view(height, width, c)


def _merge(x, t, name):
    height, width, _ = x.shape
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    x = torch.cat(
        [x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]], -1)
    return _linear(_layer_norm(x, t, f'{name}.norm'), t, f'{name}.reduction')


def _resize(x, size):
    return F.interpolate(
        x[None], size=size, mode='bilinear', align_corners=True)[0]


def _original(t, image, ids, mask):
    """Logits, 2 x H x W, of one image (normalised) and one sentence."""
    size = image.shape[1:]
    words = _original_bert(t, ids, mask)
    image = F.pad(image, (0, -size[1] % 4, 0, -size[0] % 4))
    x = F.conv2d(
        image[None],
        t['backbone.patch_embed.proj.weight'],
        t['backbone.patch_embed.proj.bias'],
        stride=4)[0]
    x = _layer_norm(x.permute(1, 2, 0), t, 'backbone.patch_embed.norm')
    maps = []
    for i, depth in enumerate(DEPTHS):
        layer = f'backbone.layers.{i}'
        for j in range(depth):
            x = _block(x, t, f'{layer}.blocks.{j}', HEADS[i],
                       WINDOW // 2 if j % 2 else 0)
        residual = _fusion(x, words, mask, t, f'{layer}.fusion')
        maps.append(
            _layer_norm(residual, t, f'backbone.norm{i}').permute(2, 0, 1))
        if i < 3:
            gate = _linear(residual, t, f'{layer}.res_gate.0').clamp(min=0)
            gate = torch.tanh(_linear(gate, t, f'{layer}.res_gate.2'))
            x = _merge(x + gate * residual, t, f'{layer}.downsample')
    y = maps[3]
    for step in (4, 3, 2):
        skip = maps[step - 2]
        y = torch.cat([_resize(y, skip.shape[1:]), skip])
        for place in (1, 2):
            norm = f'classifier.bn{place}_{step}'
            y = F.conv2d(
                y[None],
                t[f'classifier.conv{place}_{step}.weight'],
                padding=1)
            y = F.batch_norm(y, t[f'{norm}.running_mean'],
                             t[f'{norm}.running_var'], t[f'{norm}.weight'],
                             t[f'{norm}.bias'], False)[0].clamp(min=0)
    y = F.conv2d(y[None], t['classifier.conv1_1.weight'],
                 t['classifier.conv1_1.bias'])[0]
    return _resize(y, size)


# ------------------------------------------------------------------- the tests


def _load(cfg, weights):
    model = MODELS.build(cfg.model)
    model.load_state_dict(weights, strict=True)
    return model.eval()


@pytest.mark.parametrize('kind', ['lavt', 'lavt_one'])
@pytest.mark.parametrize('size', [
    (96, 96),
    (71, 90),  # patches, windows and patch merging all need padding
    (33, 52),
])
def test_computes_the_same_function(kind, size, cfg):
    checkpoint = _checkpoint(kind)
    weights, _ = convert_lavt_state_dict(checkpoint, cfg)
    model, tensors = _load(cfg, weights), _tensors(checkpoint)
    images = torch.randn(2, 3, *size, generator=torch.manual_seed(3))
    ids = [model.language_encoder.tokenizer.encode(text) for text in TEXTS]
    expected = []
    for image, row in zip(images.double(), ids):
        mask = torch.zeros(20, dtype=torch.float64)
        mask[:len(row)] = 1
        row = torch.tensor(row + [0] * (20 - len(row)))
        expected.append(_original(tensors, image, row, mask))
    expected = torch.stack(expected)
    assert 0.1 < expected.std() < 100
    assert (expected[0] - expected[1]).abs().max() > 0.1
    metas = [dict(text=text) for text in TEXTS]
    with torch.no_grad():
        got = model.encode_decode(images, metas)
        exact = model.double().encode_decode(images.double(), metas)
    assert got.dtype == torch.float32 and got.shape == (2, 2, *size)
    # The original in float32 is as far off.
    torch.testing.assert_close(got.double(), expected, atol=5e-5, rtol=0)
    torch.testing.assert_close(exact, expected, atol=1e-10, rtol=0)


def _mapping():
    """Our name of each official one, spelled out."""
    pairs = {
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'patch_embed.proj.bias': 'patch_embed.projection.bias',
        'patch_embed.norm.weight': 'patch_embed.norm.weight',
        'patch_embed.norm.bias': 'patch_embed.norm.bias',
    }
    block = {
        'norm1.weight': 'norm1.weight',
        'norm1.bias': 'norm1.bias',
        'attn.qkv.weight': 'attn.w_msa.qkv.weight',
        'attn.qkv.bias': 'attn.w_msa.qkv.bias',
        'attn.proj.weight': 'attn.w_msa.proj.weight',
        'attn.proj.bias': 'attn.w_msa.proj.bias',
        'attn.relative_position_bias_table':
        'attn.w_msa.relative_position_bias_table',
        'attn.relative_position_index': 'attn.w_msa.relative_position_index',
        'norm2.weight': 'norm2.weight',
        'norm2.bias': 'norm2.bias',
        'mlp.fc1.weight': 'ffn.layers.0.0.weight',
        'mlp.fc1.bias': 'ffn.layers.0.0.bias',
        'mlp.fc2.weight': 'ffn.layers.1.weight',
        'mlp.fc2.bias': 'ffn.layers.1.bias',
    }
    fusion = {
        'vis_project.0': 'visual_branch',
        'image_lang_att.f_key.0': 'word_key',
        'image_lang_att.f_query.0': 'visual_query',
        'image_lang_att.f_value.0': 'word_value',
        'image_lang_att.W.0': 'heard_out',
        'project_mm.0': 'out',
    }
    both = ('weight', 'bias')
    for i, depth in enumerate(DEPTHS):
        for j in range(depth):
            for official, ours in block.items():
                pairs[f'layers.{i}.blocks.{j}.{official}'] = (
                    f'stages.{i}.blocks.{j}.{ours}')
        for official, ours in fusion.items():
            for end in both:
                pairs[f'layers.{i}.fusion.{official}.{end}'] = (
                    f'fusions.{i}.{ours}.{end}')
        pairs[f'layers.{i}.res_gate.0.weight'] = f'gates.{i}.hidden.weight'
        pairs[f'layers.{i}.res_gate.2.weight'] = f'gates.{i}.out.weight'
        if i < 3:
            for end in ('norm.weight', 'norm.bias', 'reduction.weight'):
                pairs[f'layers.{i}.downsample.{end}'] = (
                    f'stages.{i}.downsample.{end}')
        for end in both:
            pairs[f'norm{i}.{end}'] = f'norm{i}.{end}'
    pairs = {f'backbone.{k}': f'backbone.{v}' for k, v in pairs.items()}
    for step, i in ((4, 2), (3, 1), (2, 0)):
        for place, j in ((1, 0), (2, 1)):
            pairs[f'classifier.conv{place}_{step}.weight'] = (
                f'neck.blocks.{i}.{j}.conv.weight')
            for end in (*both, 'running_mean', 'running_var',
                        'num_batches_tracked'):
                pairs[f'classifier.bn{place}_{step}.{end}'] = (
                    f'neck.blocks.{i}.{j}.bn.{end}')
    for end in both:
        pairs[f'classifier.conv1_1.{end}'] = f'decode_head.conv_seg.{end}'
    return pairs


@pytest.mark.parametrize('kind', ['lavt', 'lavt_one'])
def test_every_tensor_is_where_it_belongs(kind, cfg):
    checkpoint = _checkpoint(kind)
    weights, report = convert_lavt_state_dict(checkpoint, cfg)
    mapping = _mapping()
    prefix = 'bert_model: ' if kind == 'lavt' else 'text_encoder.'
    for name in _bert():
        if 'pooler' not in name and 'position_ids' not in name:
            mapping[prefix + name] = f'language_encoder.bert.{name}'
    assert report.kind == kind and report.added == []
    assert report.names == mapping
    assert set(weights) == set(mapping.values())
    assert set(weights) == set(MODELS.build(cfg.model).state_dict())
    assert set(report.dropped) == {
        f'{prefix}{name}'
        for name in ('pooler.dense.weight', 'pooler.dense.bias',
                     'embeddings.position_ids')
    }
    given = dict(checkpoint['model'])
    given.update(_prefixed(checkpoint.get('bert_model', {}), prefix))
    assert set(given) == set(report.names) | set(report.dropped)
    for official, ours in mapping.items():
        expected, got = given[official], weights[ours]
        if '.downsample.' in official:
            # mmseg: channel by channel, in each the pixels row by row.
            c = expected.shape[-1] // 4
            expected = torch.stack([
                expected[..., (2 * column + row) * c + channel]
                for channel in range(c) for row in (0, 1)
                for column in (0, 1)
            ], -1)
        elif '.fusion.' in official and official.endswith('weight'):
            assert expected.shape[-1] == 1
            expected = expected.squeeze(-1)
        assert torch.equal(got, expected), official
        assert got.dtype == expected.dtype and got.is_contiguous()


@pytest.mark.parametrize('kind', ['lavt', 'lavt_one'])
def test_names_of_several_gpus(kind, cfg):
    """``module.`` before each name, and no pooler."""
    plain, _ = convert_lavt_state_dict(_checkpoint(kind), cfg)
    weights, report = convert_lavt_state_dict(
        _checkpoint(kind, wrapped=True), cfg)
    assert {k: v.tolist() for k, v in weights.items()
            } == {k: v.tolist() for k, v in plain.items()}
    assert len(report.dropped) == 1


def test_what_is_not_learned_may_be_absent(cfg):
    checkpoint = _checkpoint('lavt')
    plain, _ = convert_lavt_state_dict(checkpoint, cfg)
    for name in list(checkpoint['model']):
        if name.endswith(('relative_position_index', 'num_batches_tracked')):
            del checkpoint['model'][name]
    weights, report = convert_lavt_state_dict(checkpoint, cfg)
    assert len(report.added) == sum(DEPTHS) + 6
    _load(cfg, weights)
    for name in report.added:
        if 'index' in name:
            assert torch.equal(weights[name], plain[name])


FILE = 'official.pth'
reads_files = pytest.mark.skipif(
    not hasattr(torch.serialization, 'safe_globals'),
    reason='this PyTorch takes the command line in a file for code')


@pytest.fixture
def files(tmp_path, cfg):
    """An official file, the config's, and where to write."""
    path = tmp_path / 'tiny_lavt.py'
    cfg.dump(path)
    return str(tmp_path / FILE), str(path), str(tmp_path / 'converted.pth')


@reads_files
def test_the_file_is_usable(files, tmp_path, photo, monkeypatch):
    official, config, out = files
    torch.save(_checkpoint('lavt'), official)
    report = convert_lavt_checkpoint(official, out, config=config)
    assert report.kind == 'lavt'
    content = torch.load(out, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    # MMEngine's own way, which tools/test.py goes.
    model = MODELS.build(Config.fromfile(config).model)
    load_checkpoint(model, out, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, content['state_dict'][name])
    # With and without its config, and published.
    inferencer = RefSegInferencer(config, out, 'cpu')
    found = inferencer(photo, 'the red circle')['predictions'][0][0]
    alone = RefSegInferencer(weights=out, device='cpu')
    other = alone(photo, 'the red circle')['predictions'][0][0]
    assert np.array_equal(found['mask'], other['mask'])
    assert found['score'] == other['score']
    publish_model(out, str(tmp_path / 'published'))
    init_model(str(tmp_path / 'published'), device='cpu')


def _spoil(checkpoint, how):
    model = checkpoint['model']
    if how == 'missing':
        del model['classifier.bn2_3.running_mean']
        del checkpoint['bert_model']['encoder.layer.1.output.dense.bias']
    elif how == 'unexpected':
        model['classifier.conv3_2.weight'] = torch.zeros(1)
        checkpoint['bert_model']['cls.bias'] = torch.zeros(1)
    elif how == 'shape':
        name = 'backbone.layers.1.fusion.project_mm.0.weight'
        model[name] = model[name].squeeze(-1)
    elif how == 'window':
        for name in model:
            if name.endswith('bias_table'):
                model[name] = torch.zeros(23 * 23, model[name].shape[1])
    elif how == 'index':
        name = 'backbone.layers.0.blocks.1.attn.relative_position_index'
        model[name] = model[name].t()
    elif how == 'position ids':
        checkpoint['bert_model']['embeddings.position_ids'] += 1
    elif how == 'deeper':
        model['backbone.layers.2.blocks.2.norm1.bias'] = torch.zeros(32)
    elif how == 'no BERT':
        del checkpoint['bert_model']
    elif how == 'two BERTs':
        model['text_encoder.pooler.dense.bias'] = torch.zeros(BERT_WIDTH)
    elif how == 'heads':
        checkpoint['args'].mha = '1-1-4-4'
    elif how == 'no model':
        checkpoint['state_dict'] = checkpoint.pop('model')


@reads_files
@pytest.mark.parametrize('how, message', [
    ('missing', r'2 missing: classifier\.bn2_3\.running_mean, '
     r'bert_model: encoder\.layer\.1\.output\.dense\.bias\.$'),
    ('unexpected', r'2 unexpected: classifier\.conv3_2\.weight, '
     r'bert_model: cls\.bias\.$'),
    ('shape', r'1 of another shape: backbone\.layers\.1\.fusion\.project_mm'
     r'\.0\.weight \(16 x 16 in the file, 16 x 16 x 1 in the model\)\.$'),
    ('window', r'6 of another shape: .*\(529 x 1 in the file, 25 x 1 in the '
     r'model\).* windows are of 12: give a config with window_size=12\.'),
    ('index', r"1 not Swin's: backbone\.layers\.0\.blocks\.1\.attn"),
    ('position ids', r'1 unexpected: bert_model: embeddings\.position_ids'),
    ('deeper', r'1 unexpected: backbone\.layers\.2\.blocks\.2\.norm1\.bias'),
    ('no BERT', r"no BERT: neither 'bert_model'"),
    ('two BERTs', 'two BERTs'),
    ('heads', 'mha=1-1-4-4'),
    ('no model', r"no checkpoint of LAVT: it has no 'model' \(it has "
     "'bert_model', 'optimizer'"),
])
def test_what_does_not_fit_is_listed(how, message, files):
    official, config, out = files
    checkpoint = _checkpoint('lavt')
    _spoil(checkpoint, how)
    torch.save(checkpoint, official)
    with pytest.raises(ValueError, match=message) as error:
        convert_lavt_checkpoint(official, out, config=config)
    assert FILE in str(error.value)
    assert not Path(out).exists()


class _Code:

    def __reduce__(self):
        return print, ('this ran', )


@reads_files
def test_files_that_are_no_checkpoints(files, capsys):
    official, config, out = files
    with pytest.raises(FileNotFoundError, match='official.* do not exist'):
        convert_lavt_checkpoint(official, out, config=config)
    Path(official).write_text('<html>not found</html>')
    with pytest.raises(
            ValueError, match='cannot be read .* no weights at all'):
        convert_lavt_checkpoint(official, out, config=config)
    torch.save([1, 2], official)
    with pytest.raises(ValueError, match='holds a list'):
        convert_lavt_checkpoint(official, out, config=config)
    torch.save(dict(_checkpoint('lavt'), args=_Code()), official)
    with pytest.raises(ValueError, match="asks for '.*print'.*--trusted"):
        convert_lavt_checkpoint(official, out, config=config)
    assert 'this ran' not in capsys.readouterr().out
    # Nor may what is admitted for the command line be called on to run any.
    torch.save(dict(_checkpoint('lavt'), args=argparse.Namespace(x=_Code())),
               official)
    with pytest.raises(ValueError, match="asks for '.*print'"):
        read_lavt_checkpoint(official)
    assert 'this ran' not in capsys.readouterr().out
    assert not Path(out).exists()
    torch.save(_checkpoint('lavt'), official)
    with pytest.raises(ValueError, match='itself'):
        convert_lavt_checkpoint(official, official, config=config)


@reads_files
def test_nothing_stays_admitted(files):
    official, config, out = files
    torch.save(_checkpoint('lavt'), official)
    convert_lavt_checkpoint(official, out, config=config)
    with pytest.raises(Exception, match='Namespace'):
        torch.load(official, weights_only=True)


def test_other_configs_are_refused(cfg):
    model = cfg.model
    model.backbone.fusion = dict(type='BSAM')
    model.backbone.query_stages = (0, )
    with pytest.raises(ValueError, match='config is none of LAVT: its .*BSAM|'
                       r"none of LAVT: its 'backbone\.fusions"):
        convert_lavt_state_dict(_checkpoint('lavt'), cfg)


def _tool():
    spec = importlib.util.spec_from_file_location(
        'lavt2mmrefseg', ROOT / 'tools/model_converters/lavt2mmrefseg.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@reads_files
def test_command_line(files, monkeypatch, capsys):
    official, config, out = files
    torch.save(_checkpoint('lavt_one'), official)
    command = ['lavt2mmrefseg.py', official, out, '--config', config]
    monkeypatch.setattr(
        'sys.argv',
        [*command, '--cfg-options', 'model.language_encoder.max_tokens=16'])
    _tool().main()
    printed = capsys.readouterr().out
    assert 'is a lavt_one file' in printed
    assert 'left out: text_encoder.' in printed
    assert RefSegInferencer(
        weights=out, device='cpu').model.language_encoder.max_tokens == 16
    checkpoint = _checkpoint('lavt_one')
    del checkpoint['model']['backbone.norm3.bias']
    torch.save(checkpoint, official)
    with pytest.raises(SystemExit, match='error: .*backbone.norm3.bias'):
        _tool().main()
