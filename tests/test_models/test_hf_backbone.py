# Licensed under the Apache License, Version 2.0.
"""HFBackbone against the models of transformers that it is made of: tiny
random ones of every family, saved to disk and read again."""

import importlib.util
import inspect

import pytest
import torch
import transformers
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel
from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

from mmrefseg.models import EarlyFusionBackbone, HFBackbone, LateFusionBackbone
from mmrefseg.models.backbones.hf_stages import reroll, unroll
from mmrefseg.models.meta import meta_device
from mmrefseg.structures import LanguageFeatures

SWIN = dict(
    embed_dim=8,
    depths=[2, 2, 1, 1],
    num_heads=[1, 2, 2, 4],
    window_size=4,
    image_size=64,
    drop_path_rate=0.)
CONV = dict(depths=[1, 2, 1, 1], hidden_sizes=[8, 16, 32, 64])
VIT = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    image_size=56)
FAMILIES = dict(
    swin=SWIN,
    swinv2=SWIN,
    convnext=CONV,
    convnextv2=CONV,
    dinov3_convnext=CONV,
    hiera=dict(
        embed_dim=8,
        depths=[1, 2, 2, 1],
        num_heads=[1, 1, 2, 4],
        image_size=[64, 64]),
    dinov2=VIT | dict(patch_size=14),
    dinov2_with_registers=VIT | dict(patch_size=14, num_register_tokens=2),
    dinov3_vit=VIT | dict(patch_size=16, num_register_tokens=3),
    vit=VIT | dict(patch_size=16, image_size=64),
)
STAGED = ('swin', 'swinv2', 'convnext', 'convnextv2', 'dinov3_convnext',
          'hiera')
PLAIN = ('dinov2', 'dinov2_with_registers', 'dinov3_vit', 'vit')


def _arch(name):
    if name not in transformers.CONFIG_MAPPING:
        pytest.skip(f'this transformers has no {name}')
    return dict(model_type=name, **FAMILIES[name])


@pytest.fixture(scope='module')
def save(tmp_path_factory):
    """A function that saves a family, once: (folder, model)."""
    made = {}

    def make(name):
        if name not in made:
            arch = _arch(name)
            config = AutoConfig.for_model(**arch)
            torch.manual_seed(0)
            kind = transformers.MODEL_MAPPING[type(config)]
            options = {}
            if 'add_pooling_layer' in inspect.signature(
                    kind.__init__).parameters:
                options['add_pooling_layer'] = False
            model = kind(config, **options).eval()
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            made[name] = (str(folder), model)
        return made[name]

    return make


def _backbone(folder, **options):
    torch.manual_seed(1)
    backbone = HFBackbone(pretrained=folder, **options)
    backbone.init_weights()
    return backbone


def _reference(folder, out_features):
    config = AutoConfig.from_pretrained(folder)
    if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
        pytest.skip(f'no backbone of {config.model_type} in transformers')
    kind = MODEL_FOR_BACKBONE_MAPPING[type(config)]
    return kind.from_pretrained(folder, out_features=out_features).eval()


def _language(channels=8, rows=2):
    return LanguageFeatures(
        words=torch.rand(rows, 5, channels),
        mask=torch.ones(rows, 5, dtype=torch.bool))


@pytest.mark.parametrize('size', [(64, 64), (64, 96), (70, 51)])
@pytest.mark.parametrize('name', STAGED)
def test_equals_auto_backbone(name, size, save):
    """Its maps are those of AutoBackbone, where that is right: it drops the
    border of a size that does not fit ConvNeXt, and its Hiera is wrong."""
    folder, model = save(name)
    images = torch.randn(2, 3, *size)
    backbone = _backbone(folder).eval()
    if name == 'hiera' and size != (64, 64):
        if size == (70, 51):
            with pytest.raises(ValueError, match='to 64 x 64 say'):
                backbone(images)
        return
    with torch.no_grad():
        maps = backbone(images)
        if name == 'hiera':
            found = model(images, output_hidden_states=True)
            wanted = [
                x.movedim(-1, 1) for x in found.reshaped_hidden_states[1:]
            ]
        else:
            reference = _reference(
                folder, ['stage1', 'stage2', 'stage3', 'stage4'])
            wanted = reference(images).feature_maps
    assert len(maps) == 4
    assert backbone.out_channels == [8, 16, 32, 64]
    for i, (own, theirs) in enumerate(zip(maps, wanted)):
        stride = 4 * 2**i
        assert own.shape[2:] == tuple(-(-side // stride) for side in size)
        if 'conv' in name and size == (70, 51):
            continue
        if name in ('swin', 'convnext', 'convnextv2'):
            # A norm of each map, fresh, that ours has with output_norm.
            eps = 1e-6 if 'conv' in name else 1e-5
            own = F.layer_norm(
                own.movedim(1, -1), own.shape[1:2], eps=eps).movedim(-1, 1)
        assert_close(own, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('size', [(64, 64), (32, 96)])
def test_unrolling_is_undone(size):
    x = torch.arange(2 * 3 * size[0] * size[1]).view(2, 3, *size).float()
    strides = [(2, 2)] * 3
    tokens = unroll(x, strides)
    assert_close(reroll(tokens, size, strides), x)
    # What is pooled together are the four pixels of a square.
    pooled = tokens.unflatten(1, (4, -1)).max(dim=1).values
    small = reroll(pooled, [side // 2 for side in size], strides[1:])
    assert_close(small, F.max_pool2d(x, 2))


@pytest.mark.parametrize('name', ['hiera'])
def test_hiera_of_other_sizes(name, save):
    """HieraModel with the same weights, built for that size."""
    folder, model = save(name)
    backbone = _backbone(folder).eval()
    images = torch.randn(1, 3, 128, 128)
    config = AutoConfig.for_model(
        **_arch(name) | dict(image_size=[128, 128]))
    large = transformers.HieraModel(config, add_pooling_layer=False).eval()
    weights = model.state_dict()
    table = weights['embeddings.position_embeddings']
    table = F.interpolate(
        table.view(1, 16, 16, 8).movedim(-1, 1), size=(32, 32),
        mode='bicubic', align_corners=False)
    weights['embeddings.position_embeddings'] = table.flatten(2).mT
    large.load_state_dict(weights)
    with torch.no_grad():
        wanted = large(images, output_hidden_states=True)
        for own, theirs in zip(
                backbone(images), wanted.reshaped_hidden_states[1:]):
            assert_close(own, theirs.movedim(-1, 1), atol=1e-5, rtol=1e-4)
        assert backbone(torch.randn(1, 3, 64, 96))[3].shape[2:] == (2, 3)


@pytest.mark.parametrize('name', PLAIN)
def test_plain_transformers(name, save):
    """The map is that of the model; the pyramid makes four of it."""
    folder, model = save(name)
    backbone = _backbone(folder, pyramid_channels=24).eval()
    patch = FAMILIES[name]['patch_size']
    size = (6 * patch, 4 * patch)
    images = torch.randn(2, 3, *size)
    options = dict(interpolate_pos_encoding=True) if name == 'vit' else {}
    with torch.no_grad():
        tokens = model(images, **options).last_hidden_state[:, -24:]
        assert_close(
            backbone.run_stage(0, images),
            tokens.mT.unflatten(2, (6, 4)), atol=1e-5, rtol=1e-4)
        maps = backbone(images)
    assert backbone.out_channels == [24] * 4
    base = [-(-side // 16) for side in size]
    for x, factor in zip(maps, (4, 2, 1, 0.5)):
        assert x.shape[1] == 24
        assert list(x.shape[2:]) == [-(-int(2 * factor * side) // 2)
                                     for side in base]
    with pytest.raises(ValueError, match=f'multiples of {patch} x {patch}'):
        backbone(torch.randn(1, 3, size[0] + 1, size[1]))
    with pytest.raises(ValueError, match='take LateFusionBackbone'):
        EarlyFusionBackbone(
            backbone=dict(type='HFBackbone', arch=_arch(name)),
            language_channels=8,
            fusion=dict(type='BSAM'))


def test_levels_of_the_pyramid(save):
    folder, _ = save('vit')
    images = torch.randn(1, 3, 64, 64)
    maps = _backbone(folder, out_indices=(1, 3))(images)
    assert [tuple(x.shape[2:]) for x in maps] == [(8, 8), (2, 2)]


@pytest.mark.parametrize('name', STAGED)
def test_early_fusion_runs_the_backbone(name, save):
    folder, _ = save(name)
    early = EarlyFusionBackbone(
        backbone=dict(type='HFBackbone', pretrained=folder),
        language_channels=8,
        fusion=[None, None, None, dict(type='BSAM')])
    early.init_weights()
    images = torch.randn(2, 3, 64, 64)
    plain = _backbone(folder).eval()
    with torch.no_grad():
        found = early.eval()(images, _language(), keep_visual=True)
        for own, wanted in zip(found.visual, plain(images)):
            assert_close(own, wanted)


@pytest.mark.parametrize('fusion', ['early', 'late'])
@pytest.mark.parametrize('name', FAMILIES)
def test_gradients_reach_what_trains(name, fusion):
    arch = _arch(name)
    if fusion == 'early' and name in PLAIN:
        return
    torch.manual_seed(0)
    backbone = dict(type='HFBackbone', arch=arch, pyramid_channels=16)
    if fusion == 'early':
        part = EarlyFusionBackbone(
            backbone=backbone,
            language_channels=8,
            fusion=dict(type='BSAM'),
            gate=dict(type='CAFG', reduction=2))
    else:
        part = LateFusionBackbone(
            backbone=backbone,
            in_channels=HFBackbone(arch=arch, pyramid_channels=16)
            .out_channels,
            language_channels=8,
            fusion=dict(type='BSAM'))
    # 7 x 16 and 8 x 14: what fits every family but Hiera.
    side = 64 if name == 'hiera' else 112
    found = part(torch.randn(2, 3, side, side), _language())
    loss = sum((x * torch.rand_like(x)).sum() for x in found)
    (loss + found.queries.square().sum()).backward()
    still = [
        name for name, x in part.backbone.named_parameters()
        if x.requires_grad and (x.grad is None or not x.grad.any())
    ]
    assert not still
    fixed = [name for name, x in part.named_parameters()
             if not x.requires_grad]
    assert all('k_proj.bias' in x or 'key.bias' in x or 'mask_token' in x
               or 'word_key' in x for x in fixed), fixed


@pytest.mark.parametrize('name', ['swin', 'hiera', 'convnextv2', 'dinov2'])
def test_recomputing_changes_nothing(name, save):
    folder, _ = save(name)
    images, gradients = torch.randn(1, 3, 56, 56), []
    if name == 'hiera':
        images = torch.randn(1, 3, 64, 64)
    for with_cp in (False, True):
        backbone = _backbone(folder, with_cp=with_cp).train()
        sum(x.square().sum() for x in backbone(images)).backward()
        gradients.append(
            [x.grad for x in backbone.parameters() if x.requires_grad])
    assert_close(gradients[0], gradients[1])


def test_a_frozen_one_stays_as_it_is(save):
    backbone = _backbone(save('vit')[0], frozen=True).train()
    assert backbone.training and backbone.pyramid.training
    assert not backbone.model.training
    assert not any(x.requires_grad for x in backbone.model.parameters())
    assert all(x.requires_grad for x in backbone.pyramid.parameters())
    assert backbone(torch.randn(1, 3, 64, 64))[0].requires_grad


def test_gradients_pass_frozen_stages(save):
    """To the fusions before them."""
    early = EarlyFusionBackbone(
        backbone=dict(
            type='HFBackbone', pretrained=save('swin')[0], frozen=True),
        language_channels=8,
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG', reduction=2),
        query_stages=())
    early(torch.randn(2, 3, 64, 64), _language())[3].square().sum().backward()
    assert any(x.grad is not None and x.grad.any()
               for x in early.fusions[0].parameters())
    assert all(x.grad is None for x in early.backbone.parameters())


def test_bfloat16_and_attention_pass_through(save):
    folder, _ = save('dinov2')
    images = torch.randn(1, 3, 56, 56)
    half = _backbone(
        folder, frozen=True, dtype='bfloat16', attn_implementation='eager')
    assert half.model.config._attn_implementation == 'eager'
    assert {x.dtype for x in half.model.parameters()} == {torch.bfloat16}
    full = _backbone(folder, frozen=True, attn_implementation='sdpa')
    assert full.model.config._attn_implementation == 'sdpa'
    found, wanted = half.run_stage(0, images), full.run_stage(0, images)
    assert found.dtype == half(images)[0].dtype == torch.float32
    assert_close(found, wanted, atol=0.02, rtol=0.1)
    assert (found != wanted).any()
    stages = _backbone(save('convnextv2')[0], frozen=True, dtype='bfloat16')
    assert stages(images)[0].dtype == torch.float32


def test_fewer_maps_and_norms(save):
    folder, _ = save('swin')
    images = torch.randn(1, 3, 64, 64)
    whole, part = _backbone(folder), _backbone(folder, out_indices=(0, 2))
    assert part.out_channels == [8, 32]
    assert sum(x.numel() for x in part.parameters()) < sum(
        x.numel() for x in whole.parameters()) / 2
    maps = whole.eval()(images)
    for own, wanted in zip(part.eval()(images), (maps[0], maps[2])):
        assert_close(own, wanted)
    normed = _backbone(folder, output_norm=True).eval()(images)
    assert_close(normed[1].mean(1), torch.zeros(1, 8, 8), atol=1e-5, rtol=0.)
    with pytest.raises(ValueError, match='name a map beyond the 4'):
        _backbone(folder, out_indices=(0, 4))
    with pytest.raises(ValueError, match='leave out output_norm'):
        EarlyFusionBackbone(
            backbone=dict(type='HFBackbone', pretrained=folder,
                          output_norm=True),
            language_channels=8,
            fusion=dict(type='BSAM'))


def test_what_else_auto_backbone_knows(tmp_path):
    """A ResNet, run as a whole."""
    arch = dict(
        model_type='resnet',
        embedding_size=8,
        hidden_sizes=[8, 16, 32, 64],
        depths=[1, 1, 1, 1])
    config = AutoConfig.for_model(**arch)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    backbone = _backbone(str(tmp_path), out_indices=(1, 2)).eval()
    assert backbone.out_channels == [16, 32]
    reference = _reference(tmp_path, ['stage2', 'stage3'])
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert_close(backbone(images), reference(images).feature_maps)
    with pytest.raises(ValueError, match='take LateFusionBackbone'):
        backbone.stage_channels  # noqa: B018
    with pytest.raises(ValueError, match="no backbone of 'bert'"):
        HFBackbone(arch=dict(model_type='bert'))


def test_its_own_checkpoint_loads(save, tmp_path):
    backbone = _backbone(save('hiera')[0])
    torch.save(backbone.state_dict(), tmp_path / 'x.pth')
    other = HFBackbone(pretrained=save('hiera')[0])
    images = torch.randn(1, 3, 64, 64)
    before = other.eval()(images)[3]
    other.load_state_dict(torch.load(tmp_path / 'x.pth'))
    assert_close(other(images), backbone.eval()(images))
    assert not torch.allclose(before, other(images)[3]), (
        'the constructor loads nothing')


def test_no_memory_until_it_is_wanted():
    with meta_device():
        for name in STAGED[:1] + PLAIN[:1]:
            backbone = HFBackbone(arch=_arch(name))
            assert {x.device.type for x in backbone.parameters()} == {'meta'}
            maps = backbone.eval()(torch.empty(1, 3, 112, 112))
            assert maps[0].shape[2:] == (28, 28)


def test_faults_have_a_sentence(save, tmp_path):
    folder, model = save('convnextv2')
    with pytest.raises(ValueError, match='needs an architecture'):
        HFBackbone()
    with pytest.raises(ValueError, match='do you mean depths'):
        HFBackbone(arch=dict(model_type='swin', depth=[1]))
    with pytest.raises(FileNotFoundError, match='The architecture of'):
        HFBackbone(pretrained='nobody/nothing', local_files_only=True)
    with pytest.raises(ValueError, match='do not fit the architecture'):
        _backbone(folder, arch=dict(hidden_sizes=[16, 16, 32, 64]))
    with pytest.raises(ValueError, match='lack 10 tensors'):
        _backbone(folder, arch=dict(depths=[2, 2, 1, 1]))
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / 'pytorch_model.bin')
    with pytest.raises(FileNotFoundError, match='A file of pickles'):
        _backbone(str(tmp_path))
    with pytest.raises(ValueError, match='run as a whole'):
        _backbone(save('vit')[0], output_norm=True)


def test_images_that_are_too_small_for_a_fusion(save):
    early = EarlyFusionBackbone(
        backbone=dict(type='HFBackbone', pretrained=save('hiera')[0]),
        language_channels=8,
        fusion=dict(type='BSAM'))
    with pytest.raises(ValueError, match='give it at least 64 x 64'):
        early(torch.randn(2, 3, 32, 32), _language())


def test_lora_trains_adapters_alone(save):
    pytest.importorskip('peft')
    folder, _ = save('dinov2')
    images = torch.randn(1, 3, 56, 56)
    backbone = _backbone(folder, lora=dict(r=2))
    assert_close(backbone.eval()(images), _backbone(folder).eval()(images))
    trained = [n for n, x in backbone.model.named_parameters()
               if x.requires_grad]
    assert trained and all('.lora_' in name for name in trained)
    assert all(x.requires_grad for x in backbone.pyramid.parameters())


def test_lora_without_peft(save, monkeypatch):
    if importlib.util.find_spec('peft'):
        monkeypatch.setitem(__import__('sys').modules, 'peft', None)
    with pytest.raises(ImportError, match='pip install peft'):
        _backbone(save('swin')[0], lora=dict(r=2))
