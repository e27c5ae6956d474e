# Licensed under the Apache License, Version 2.0.
"""A frozen backbone with late fusion: modes, gradients, kept maps."""

import pytest
import torch
from torch import nn

from mmrefseg.models import LateFusionBackbone
from mmrefseg.models.layers.feature_cache import FeatureCache
from mmrefseg.structures import LanguageFeatures

LANGUAGE = LanguageFeatures(
    words=torch.rand(2, 5, 8), mask=torch.ones(2, 5).bool())


def build(**settings):
    torch.manual_seed(0)
    backbone = LateFusionBackbone(
        backbone=dict(
            type='mmseg.ResNet', depth=18, base_channels=4, stem_channels=4,
            num_stages=2, strides=(1, 2), dilations=(1, 1),
            out_indices=(0, 1)),
        in_channels=[4, 8],
        language_channels=8,
        fusion=dict(type='BSAM'),
        query_channels=4,
        **settings)
    return backbone.train()


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def count_runs(backbone):
    """Sizes of the batches that the backbone inside is run with."""
    runs = []
    backbone.backbone.register_forward_hook(
        lambda module, inputs, _: runs.append(len(inputs[0])))
    return runs


def test_frozen_stays_in_evaluation(images):
    backbone = build(frozen=True)
    assert backbone.training and backbone.fusions.training
    assert not any(m.training for m in backbone.backbone.modules())
    before = {k: v.clone() for k, v in backbone.backbone.state_dict().items()}
    sum(x.sum() for x in backbone(images, LANGUAGE)).backward()
    assert all(p.grad is None for p in backbone.backbone.parameters())
    assert any(p.grad is not None and p.grad.any()
               for p in backbone.fusions.parameters())
    for name, tensor in backbone.backbone.state_dict().items():
        assert torch.equal(before[name], tensor), name  # norms too


def test_cache_needs_frozen():
    with pytest.raises(ValueError, match='needs frozen=True'):
        build(cache=True)


@pytest.mark.parametrize('folder', [False, True])
def test_an_image_is_computed_once(images, folder, tmp_path):
    backbone = build(
        frozen=True, cache=str(tmp_path / 'maps') if folder else True)
    runs = count_runs(backbone)
    first = backbone.encode_images(images)
    second = backbone.encode_images(images.flip(0))
    assert runs == [1, 1]
    for a, b in zip(first.maps, second.maps):
        assert torch.equal(a, b.flip(0))
    plain = build(frozen=True).encode_images(images)
    for a, b in zip(first.maps, plain.maps):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3)
    backbone.encode_images(images + 0.1)
    assert runs == [1, 1, 1, 1]
    if folder:  # another run
        again = build(frozen=True, cache=str(tmp_path / 'maps'))
        runs = count_runs(again)
        again.encode_images(images)
        assert runs == []


@pytest.mark.parametrize('folder', [False, True])
def test_maps_of_other_weights_are_not_taken(images, folder, tmp_path):
    backbone = build(
        frozen=True, cache=str(tmp_path / 'maps') if folder else True)
    before = backbone.encode_images(images).maps[0]
    state = {k: v * 1.5 for k, v in backbone.state_dict().items()}
    backbone.load_state_dict(state)
    after = backbone.encode_images(images).maps[0]
    assert not torch.equal(before, after)


def test_tests_do_not_round(images):
    """Out of training nothing is kept and nothing rounded."""
    backbone = build(frozen=True, cache=True).eval()
    plain = build(frozen=True).eval()
    for a, b in zip(
            backbone.encode_images(images).maps,
            plain.encode_images(images).maps):
        assert torch.equal(a, b)
    assert len(backbone._cache) == 0


def test_coordinates_beside_the_maps(images):
    backbone = build(with_coords=True)
    maps = backbone.encode_images(images).maps
    assert [x.shape[1] for x in maps] == [6, 10]
    x, y = maps[0][1, 4:]
    assert x[0, 0] == -1 and x[3, -1] == 1 and torch.equal(x, y.t())
    assert [m.shape[1] for m in backbone(images, LANGUAGE)] == [6, 10]


def test_a_key_is_part_of_the_name():
    cache = FeatureCache()
    x = torch.rand(3, 3, 4, 4)
    calls = []

    def compute(images):
        calls.append(len(images))
        return (images * 2, nn.functional.avg_pool2d(images, 2))

    maps = cache.get(x, compute, key='a')
    assert [tuple(m.shape) for m in maps] == [(3, 3, 4, 4), (3, 3, 2, 2)]
    assert len(cache) == 3
    cache.get(x, compute, key='b')
    assert calls == [1] * 6
    cache.clear()
    assert len(cache) == 0


def test_maps_are_normed_before_fusion(images):
    """Of the batch in training, of what was seen in evaluation."""
    backbone = build(frozen=True, norm_cfg=dict(type='BN'))
    maps = backbone.encode_images(images).maps
    for x in maps:
        assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    maps[0].sum().backward()
    assert backbone.norms[0].bias.grad.any()
    plain = build(frozen=True).encode_images(images).maps[0]
    norm = backbone.norms[0].eval()
    wanted = norm(plain)
    torch.testing.assert_close(
        backbone.eval().encode_images(images).maps[0], wanted)
