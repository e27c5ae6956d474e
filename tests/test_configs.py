# Licensed under the Apache License, Version 2.0.
"""Every config of every method: it is built at its full size without memory,
trained for one step and tested once in small, and held to the conventions.
One that only tests pretrained weights is tested once with tiny ones.

A new config is found by itself.
"""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from transformers import CONFIG_MAPPING

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.models.language_encoders.text_families import config_class
from mmrefseg.models.meta import meta_device
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ('configs/*/**/*.py', 'projects/*/configs/**/*.py')
    for path in ROOT.glob(pattern) if '_base_' not in path.parts)
# Those that name pretrained weights and test: they inherit a set of photos.
READY = [
    name for name in CONFIGS
    if '_base_/unresized/' in (ROOT / name).read_text()
]
CONFIGS = [name for name in CONFIGS if name not in READY]
# Batch of each method's recipe for real data, over all GPUs.
PAPER_BATCH = dict(
    mpg_lqgnet=8, lavt=32, cmsa=8, lda=8, refsegformer=48, two_stage=8)
MASKED_BATCH = 16  # of MaskRIS, whatever it trains
# How much of the method's name, GPUs and batch, then what differs, the data.
NAME = re.compile(r'[a-z0-9]+(-[a-z0-9]+)*_[a-z0-9-]+_(\d+)xb(\d+)'
                  r'(-[a-z0-9]+)+_[a-z0-9-]+-(\d+)x(\d+)\.py')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmrefseg')


def _load(name):
    # Every checkpoint holds the config as text; formatting it takes longer
    # than training here.
    cfg = Config.fromfile(ROOT / name, format_python_code=False)
    # What MMEngine makes of the argument for a file that inherits.
    cfg.__dict__['_format_python_code'] = False
    return cfg


def _arch(part):
    """Settings of an architecture of transformers; of a named one, none."""
    arch = part.get('arch', {})
    return arch if isinstance(arch, dict) else {}


def _skip_what_transformers_lacks(cfg):
    for part in (cfg.model.language_encoder,
                 cfg.model.backbone.get('backbone', {})):
        kind = _arch(part).get('model_type', 'bert')
        if kind not in CONFIG_MAPPING and config_class(kind) is None:
            pytest.skip(f'this transformers has no {kind}')


def _pipelines(cfg):
    datasets = {
        part: cfg[f'{part}_dataloader'].dataset
        for part in ('train', 'val', 'test')
    }
    # The parts of a joint set have one pipeline.
    return {
        part: dataset.get('datasets', [dataset])[-1].pipeline
        for part, dataset in datasets.items()
    }


def _size(cfg):
    """(height, width) of the network's input."""
    for transform in _pipelines(cfg)['train']:
        if transform['type'] == 'Resize':
            return tuple(reversed(transform['scale']))
    raise AssertionError('The training pipeline has no Resize.')


# ---------------------------------------------------------------- full size

SEEN: set[str] = set()


@pytest.mark.parametrize('name', CONFIGS)
def test_full_size_without_memory(name, bert_sized_vocab, monkeypatch):
    """Built on the meta device, and run there from image to logits."""
    cfg = _load(name)
    _skip_what_transformers_lacks(cfg)
    is_hf = cfg.model.language_encoder.type == 'HFTextEncoder'
    vocab = 'tokenizer' if is_hf else 'vocab'
    if cfg.model.language_encoder.get(
            vocab) is None or is_own_vocabulary(cfg.model.language_encoder):
        cfg.model.language_encoder[vocab] = bert_sized_vocab
    if cfg.model.language_encoder.get('pretrained', '').startswith(
            ('data/', 'package:')):
        cfg.model.language_encoder.pretrained = None  # what one has or not
    height, width = _size(cfg)
    # The same model with other data, schedule or way of training.
    whole = str((dict(cfg.model, train_cfg=None), height, width))
    if whole in SEEN:
        return
    SEEN.add(whole)
    with meta_device():
        model = MODELS.build(cfg.model)
        image = torch.empty(2, 3, height, width)
        tokens = model.language_encoder.max_tokens
        language = LanguageFeatures(
            words=torch.empty(2, tokens, model.language_encoder.out_channels),
            mask=torch.ones(2, tokens, dtype=torch.bool))
    assert {p.device.type for p in model.parameters()} == {'meta'}
    model.language_encoder.forward = lambda texts: language
    # DINOv3 of transformers 4 turns it off on the device of the image, and
    # the meta device has none.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    with torch.no_grad():
        features = model.eval().extract_feat(image, ['a', 'b'])
        logits = model.decode_head(features)
    stride = min(image.shape[2] // x.shape[2] for x in features)
    assert tuple(logits.shape) == (2, 2, height // stride, width // stride)
    at_8 = re.search('EfficientNetLite|ResNet|CMSA', str(cfg.model))
    assert stride == (8 if at_8 else 4)


def is_own_vocabulary(encoder):
    """Whether the words are in a file that one makes of one's data."""
    return str(encoder.get('vocab')).startswith('data/')


# ----------------------------------------------------------------- in small

# What makes each part small. A part that is new here wants a line of its own:
# widths that fit each other, no files, all other settings as the config has
# them.
WIDTH = 32  # of queries and decoded maps, so that 32 groups of a norm fit
STAGES = [8, 16, 32, 64]  # channels of the maps of the backbone
SMALL = dict(
    BertLanguageEncoder=dict(
        pretrained=None,
        vocab='synthetic',
        arch=dict(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64)),
    WordEmbeddingEncoder=dict(vocab='synthetic', channels=16),
    HFTextEncoder=dict(pretrained=None, tokenizer='synthetic'),
    EarlyFusionBackbone=dict(query_channels=WIDTH),
    LateFusionBackbone=dict(query_channels=WIDTH, in_channels=STAGES),
    ResNet=dict(
        depth=18,
        base_channels=STAGES[0],
        init_cfg=None,
        # Else all but the last norm of a block waits for the second step.
        zero_init_residual=False),
    CMSA=dict(dim=8, out_channels=WIDTH),
    HFBackbone=dict(pretrained=None, pyramid_channels=STAGES[-1]),
    EfficientNetLite=dict(
        arch='lite0',
        pretrained=None,
        name_channels=16,
        name_encoder=dict(
            type='BertLanguageEncoder',
            pretrained=None,
            vocab='synthetic',
            arch=dict(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=1,
                intermediate_size=16))),
    LanguageSwinTransformer=dict(
        embed_dims=STAGES[0],
        depths=[2, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        query_channels=WIDTH,
        # Else a block may be left out for both images and get no gradient.
        drop_path_rate=0.,
        init_cfg=None),
    SwinTransformer=dict(
        embed_dims=STAGES[0],
        depths=[2, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        drop_path_rate=0.,
        init_cfg=None),
    # A dilated one: levels 3 to 5
    ResNetV1c=dict(
        depth=18,
        stem_channels=STAGES[0],
        base_channels=STAGES[0],
        # From scratch, else, a block's convolutions have no gradient in the
        # first step.
        zero_init_residual=False,
        init_cfg=None),
    ReferringPixelDecoder=dict(
        in_channels=STAGES, channels=16, out_channels=WIDTH),
    ASPPNeck=dict(channels=WIDTH),
    MultiLevelInteraction=dict(
        in_channels=STAGES, channels=WIDTH, num_heads=2, ffn_channels=32),
    GatedMultiLevelFusion=dict(channels=WIDTH),
    LQPGHead=dict(in_channels=WIDTH, channels=16, ffn_channels=32),
    CoordMaskHead=dict(in_channels=WIDTH, channels=16),
    FCNHead=dict(in_channels=WIDTH, channels=WIDTH),
    # of the second stage
    TokenExistencePredictor=dict(token_channels=STAGES[1]),
)

# The same for architectures of transformers, by their model_type; numbers of
# tokens come from the tokenizer.
_TEXT = dict(
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=40)
_SWIN = dict(
    embed_dim=STAGES[0],
    depths=[2, 1, 1, 1],
    num_heads=[1, 2, 4, 8],
    image_size=64,
    drop_path_rate=0.)
_PLAIN = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
SMALL_ARCH = dict(
    bert=_TEXT,
    roberta=_TEXT,
    modernbert=_TEXT,
    clip_text_model=_TEXT,
    siglip_text_model=_TEXT,
    t5=dict(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2),
    swin=_SWIN,
    swinv2=_SWIN,
    convnextv2=dict(
        depths=[1, 1, 1, 1], hidden_sizes=STAGES, drop_path_rate=0.),
    hiera=dict(
        embed_dim=STAGES[0],
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        image_size=[64, 64],
        drop_path_rate=0.),
    dinov2=_PLAIN | dict(image_size=56),
    dinov3_vit=_PLAIN | dict(intermediate_size=32),
)


def _shrink_architecture(part):
    arch = _arch(part)
    if 'model_type' not in arch:
        return
    if arch.model_type not in SMALL_ARCH:
        raise NotImplementedError(
            f'An architecture is a {arch.model_type}: say in SMALL_ARCH of '
            'tests/test_configs.py what makes it small.')
    arch.update(SMALL_ARCH[arch.model_type])
    for key in [x for x in arch if x.endswith(('vocab_size', 'token_id'))]:
        if key != 'type_vocab_size':
            del arch[key]


def shrink(cfg, data_root, work_dir):
    """Make a config small enough for a test, in place.

    The model keeps its parts and their settings, but for the widths and
    depths in ``SMALL``; images are of 64 pixels (96 with windows of 12), the
    batch is 2, the data is a tiny set in the REFER layout, and training ends
    after one iteration.

    Args:
        cfg (Config): A whole config.
        data_root (Path): Folder of the tiny set.
        work_dir (Path): Folder of the run.
    """
    # Whether the neck brings its maps to a width of the head.
    neck = cfg.model.get('neck') or {}
    projects = neck.get('out_channels', WIDTH) is not None
    for key in ('language_encoder', 'backbone', 'neck', 'decode_head'):
        part = cfg.model.get(key)
        if part is None:
            continue
        if part.type not in SMALL:
            raise NotImplementedError(
                f'model.{key} is a {part.type}: say in SMALL of '
                'tests/test_configs.py what makes it small.')
        part.update(SMALL[part.type])
        _shrink_architecture(part)
        if 'backbone' in part:
            part.backbone.update(SMALL[part.backbone.type])
            _shrink_architecture(part.backbone)
        if part.get('trainable_layers') is not None:
            part.trainable_layers = [0]
    for head in cfg.model.get('auxiliary_head') or ():
        head.update(SMALL[head.type])
    existence = cfg.model.decode_head.get('existence') or {}
    if 'type' in existence:
        existence.update(SMALL[existence.type])
        cfg.model.backbone.query_channels = existence.token_channels
    if 'ResNet' in str(cfg.model.backbone):
        cfg.model.backbone.in_channels = STAGES[1:]
    _shrink_levels(cfg.model)
    if not projects:
        cfg.model.neck.out_channels = None
        cfg.model.decode_head.in_channels = cfg.model.neck.channels
    if 'EfficientNetLite' in str(cfg.model.backbone):
        # lite0 from stride 8 on, and what it sees; coordinates beside them.
        # An untrained classifier says so little that float16 makes it 0.
        cfg.model.backbone.cache = False
        cfg.model.backbone.in_channels = [40, 112, 320, 16]
        cfg.model.neck.in_channels = [42, 114, 322, 18]
    _shrink_fusions(cfg.model.backbone)
    side = 96 if cfg.model.backbone.get('window_size') == 12 else 64
    inner = _arch(cfg.model.backbone.get('backbone', {}))
    if inner.get('model_type') in ('dinov2', 'dinov3_vit'):
        # Maps of a pyramid have one width; patches are of 14 or 16 pixels.
        side, width = 112, [STAGES[-1]] * 4
        cfg.model.backbone.in_channels = cfg.model.neck.in_channels = width
    for part, pipeline in _pipelines(cfg).items():
        for transform in pipeline:
            if transform['type'] == 'Resize':
                transform['scale'] = (side, side)
        _use_tiny_set(part, cfg[f'{part}_dataloader'], data_root)
    for schedule in cfg.param_scheduler:
        if schedule.type == 'LinearLR':
            # A thousandth of the rate would move no norm in one iteration.
            schedule.start_factor = 1.0
    if cfg.train_cfg.type == 'EpochBasedTrainLoop':
        cfg.train_cfg.update(max_epochs=1, val_interval=1)
    else:
        cfg.train_cfg.update(max_iters=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1
    cfg.work_dir = str(work_dir)


def _shrink_levels(model):
    """Necks that bring all maps, or all but the finest, to one width."""
    if model.neck.type == 'ASPPNeck':
        model.neck.in_channels = model.backbone.get('in_channels', STAGES)
    if 'decoder' in model.neck:
        model.neck.decoder.update(SMALL[model.neck.decoder.type])
        model.neck.decoder.in_channels = [STAGES[0], *[WIDTH] * 3]
    elif model.neck.type == 'ASPPNeck':
        levels = len(model.neck.in_channels)
        model.decode_head.in_channels = levels * WIDTH
    if 'alignment' in model.decode_head:
        model.decode_head.alignment.channels = 16


def _shrink_fusions(backbone):
    """Of a list, one for each map; it may leave out the finer maps."""
    if not isinstance(backbone.get('fusion'), list):
        return
    for fusion in filter(None, backbone.fusion):
        fusion.update(SMALL.get(fusion.type, {}))
        fusion.update({
            key: 8
            for key in ('lateral_channels', 'reduce_to') if key in fusion
        })
    if 'in_channels' in backbone:
        backbone.in_channels = STAGES[-len(backbone.fusion):]


def _use_tiny_set(part, loader, data_root):
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    if loader.dataset.type == 'ConcatDataset':
        # Several sets, without the images that others are tested on: six
        # refs, of which two are left out with the last batch.
        loader.batch_size = 4
        for dataset in loader.dataset.datasets:
            assert len(dataset.exclude_images) == 3
            dataset.pipeline = loader.dataset.datasets[-1].pipeline
            dataset.exclude_images = ['refs(unc).p']
            _point_to_tiny_set(part, dataset, data_root)
    else:
        _point_to_tiny_set(part, loader.dataset, data_root)


def _point_to_tiny_set(part, dataset, data_root):
    if dataset.type == 'JSONLinesRefDataset':
        dataset.type = 'RefCOCODataset'
        dataset.split = part
    assert dataset.type in ('RefCOCODataset', 'GRefCOCODataset',
                            'RRefCOCODataset')
    dataset.update(
        data_root=str(data_root),
        ann_file='instances.json',
        data_prefix=dict(img_path='images/'),
        split_by=None,
        split_file='refs(unc).p')
    if not isinstance(dataset.split, str):
        # several splits of the synthetic scenes
        dataset.split = ('train' if part == 'train' else 'val', )


# Of CMSA: where the ReLU of the keys does not switch, the softmax cancels it.
MAY_STAND_STILL = ('.key.bias', )


@pytest.mark.parametrize('name', CONFIGS)
def test_one_step_in_small(name, tmp_path, tiny_refer_root):
    """Data, model, loss, optimizer, schedule, hooks, metric: all as the
    config has them, through the Runner."""
    cfg = _load(name)
    _skip_what_transformers_lacks(cfg)
    if cfg.optim_wrapper.optimizer.type == 'MuonAdamW' and not hasattr(
            torch.optim, 'Muon'):
        pytest.skip('this PyTorch has no Muon')
    shrink(cfg, tiny_refer_root, tmp_path / 'run')
    # Runners of one process would share what has the same name.
    cfg.experiment_name = cfg.visualizer.name = name
    runner = Runner.from_cfg(cfg)
    before = {}
    runner.call_hook = _watch(runner.call_hook, lambda: before.update(
        {k: p.detach().clone() for k, p in runner.model.named_parameters()}))
    runner.train()
    assert runner.iter == 1
    still = [
        k for k, p in runner.model.named_parameters()
        if p.requires_grad and torch.equal(p, before[k])
        and not k.endswith(MAY_STAND_STILL)
    ]
    assert before and not still
    losses = runner.message_hub.get_scalar('train/loss').current()
    assert 0 < losses < 100
    # One validation: three sentences, predicted and measured.
    scalars = list((tmp_path / 'run').glob('*/vis_data/scalars.json'))
    assert '"oIoU"' in scalars[0].read_text()
    assert list((tmp_path / 'run').glob('best_oIoU_*.pth'))


# Which of tests/tiny_foundation.py stands for weights that configs name.
TINY_WEIGHTS = {
    'CIDAS/clipseg-rd64-refined': 'clipseg',
    'IDEA-Research/grounding-dino-base': 'grounding-dino',
    'IDEA-Research/grounding-dino-tiny': 'grounding-dino',
    'facebook/sam-vit-base': 'sam',
    'facebook/sam-vit-huge': 'sam',
    'facebook/sam2.1-hiera-large': 'sam2',
    'facebook/sam3': 'sam3',
    'google/owlv2-base-patch16-ensemble': 'owlv2',
}


def weights_of(cfg):
    """Arguments of the model that name weights of a hub."""
    return {
        key: value
        for key, value in cfg.model.items()
        if isinstance(value, str) and re.fullmatch(r'[\w-]+/[\w.-]+', value)
    }


@pytest.mark.parametrize('name', READY)
def test_ready_weights_in_small(name, tmp_path, tiny_refer_root,
                                tiny_weights):
    """Through the Runner; only weights and data are others."""
    cfg = _load(name)
    for key, weights in weights_of(cfg).items():
        if weights not in TINY_WEIGHTS:
            raise NotImplementedError(
                f'model.{key} names {weights}: say in TINY_WEIGHTS of '
                'tests/test_configs.py which tiny weights stand for it.')
        cfg.model[key] = tiny_weights(TINY_WEIGHTS[weights])
    _use_tiny_set('test', cfg.test_dataloader, tiny_refer_root)
    cfg.work_dir = str(tmp_path / 'run')
    cfg.experiment_name = cfg.visualizer.name = name
    scores = Runner.from_cfg(cfg).test()
    assert 0 <= scores['oIoU'] <= 100
    assert ('gIoU' in scores) == ('grefcoco' in name)


@pytest.mark.parametrize('name', READY)
def test_conventions_of_ready_weights(name):
    path, cfg = ROOT / name, _load(name)
    assert 10 <= len(path.read_text().splitlines()) <= 20
    assert re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*(_[a-z0-9-]+)+\.py', path.name)
    assert cfg.default_scope == 'mmrefseg'
    assert weights_of(cfg)
    # Nothing else of a run: there is nothing to train.
    for key in ('train_cfg', 'train_dataloader', 'optim_wrapper', 'val_cfg'):
        assert cfg.get(key) is None
    types = [x['type'] for x in cfg.test_dataloader.dataset.pipeline]
    assert types == ['LoadRefImage', 'LoadRefMask', 'PackRefInputs']
    # Where every sentence has a target, the model has to answer.
    always = cfg.test_evaluator.get('no_target') is None
    assert (cfg.model.existence_threshold == 0) == always


def test_there_are_ready_weights():
    assert len(READY) >= 5


def _watch(call_hook, note):
    """Note something before the first training iteration."""

    def call(fn_name, **kwargs):
        if fn_name == 'before_train_iter':
            note()
        return call_hook(fn_name, **kwargs)

    return call


# -------------------------------------------------------------- conventions


def is_row(path):
    """Whether a config is a row of an ablation."""
    return path.is_relative_to(ROOT / 'projects/ablation')


def base_of(path):
    """The config of a method that a row changes."""
    while is_row(path):
        base = re.search(r"^_base_ = '(.*?)'", path.read_text(), re.M)[1]
        path = (path.parent / base).resolve()
    return path


@pytest.mark.parametrize('name', CONFIGS)
def test_conventions(name):
    path, cfg = ROOT / name, _load(name)
    lines = path.read_text().splitlines()
    assert len(lines) <= 30, 'a leaf is a difference of at most 30 lines'
    assert cfg.default_scope == 'mmrefseg'
    assert cfg.randomness.seed is not None, 'a resumed run must repeat'

    # A row of an ablation has the name of the row; the rest is its base's.
    named = base_of(path)
    parts = NAME.fullmatch(named.name)
    assert parts, 'method_model_{gpus}xb{batch}-schedule_data-HxW.py'
    gpus, batch = int(parts[2]), int(parts[3])
    assert batch == cfg.train_dataloader.batch_size
    assert gpus * batch == cfg.auto_scale_lr.base_batch_size
    assert cfg.auto_scale_lr.enable is False
    if 'synthetic' not in named.name and 'photos' not in named.name:
        paper_batch = PAPER_BATCH[named.parent.name]
        if 'masked' in named.name:
            paper_batch = MASKED_BATCH
        assert cfg.auto_scale_lr.base_batch_size == paper_batch
    assert (int(parts[5]), int(parts[6])) == _size(cfg)
    if gpus > 1 and batch < 4:
        assert cfg.sync_bn == 'torch', 'batch norm of a few samples'

    for part, pipeline in _pipelines(cfg).items():
        types = [transform['type'] for transform in pipeline]
        # Left and right are words; a crop may cut the thing away.
        assert not [x for x in types if 'Flip' in x or 'Crop' in x]
        for transform in pipeline:
            if transform['type'] == 'Resize':
                height, width = reversed(transform['scale'])
                if 'photos' in named.name and part != 'train':
                    # tested a little larger than trained
                    assert (height, width) == (320, 320)
                    continue
                assert (height, width) == _size(cfg)
                assert transform['keep_ratio'] is False
    # The last batch of an epoch may be a single sentence.
    if cfg.train_cfg.type == 'EpochBasedTrainLoop':
        assert cfg.train_dataloader.drop_last


def test_there_are_configs():
    assert len(CONFIGS) >= 12


@pytest.mark.parametrize('wrong', [
    'mpg-lqgnet_swin-b_35e_refcoco-448x448.py',
    'mpg-lqgnet_swin-b_b8-35e_refcoco-448x448.py',
    'mpg-lqgnet_swin-b_1xb8-35e_refcoco.py',
])
def test_names_without_batch_or_size_are_noticed(wrong):
    assert not NAME.fullmatch(wrong)


@pytest.mark.parametrize('iterations', [400, 10000])
def test_schedules_of_other_lengths(iterations):
    """Five percent of warm-up, then a cosine to 0, over all iterations."""
    cfg = _load(f'configs/mpg_lqgnet/mpg-lqgnet_nano_1xb32-{iterations}it_'
                'synthetic-128x128.py')
    assert cfg.train_cfg.max_iters == iterations
    warm_up = iterations // 20
    assert cfg.param_scheduler == [
        dict(
            type='LinearLR',
            start_factor=0.02,
            by_epoch=False,
            begin=0,
            end=warm_up),
        dict(
            type='CosineAnnealingLR',
            eta_min=0.,
            by_epoch=False,
            begin=warm_up,
            end=iterations)
    ]


def test_the_schedule_of_lavt():
    cfg = _load('configs/lavt/lavt_swin-b_8xb4-40e_refcoco-480x480.py')
    assert cfg.train_cfg.max_epochs == 40
    assert cfg.optim_wrapper.to_dict() == dict(
        type='OptimWrapper',
        constructor='RefSegOptimWrapperConstructor',
        optimizer=dict(type='AdamW', lr=5e-5, weight_decay=0.01),
        paramwise_cfg=dict(norm_decay_mult=dict(backbone=0.)))
    assert cfg.param_scheduler == [
        dict(
            type='PolyLR',
            power=0.9,
            eta_min=0.,
            begin=0,
            end=40,
            by_epoch=True,
            convert_to_iter_based=True)
    ]
    # The one that it inherits from is as it was.
    cfg = _load('configs/mpg_lqgnet/mpg-lqgnet_swin-b_1xb8-35e_refcoco-'
                '448x448.py')
    assert cfg.param_scheduler[0].end == cfg.train_cfg.max_epochs == 35


@pytest.mark.parametrize('name', [
    'mpg_lqgnet/mpg-lqgnet_swin-b-masked_4xb4-50e_refcoco-448x448.py',
    'lavt/lavt_swin-b-masked_4xb4-50e_refcoco-448x448.py'
])
def test_the_schedule_of_masked_training(name):
    cfg = _load(f'configs/{name}')
    assert cfg.train_cfg.max_epochs == 50
    assert cfg.optim_wrapper.optimizer == dict(
        type='AdamW', lr=1e-4, weight_decay=0.01)
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=1.0)
    warm_up, decay = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end, warm_up.by_epoch) == (0, 1500, False)
    assert warm_up.start_factor == 1e-3
    assert (decay.type, decay.end, decay.convert_to_iter_based) == (
        'PolyLR', 50, True)
    rates = cfg.optim_wrapper.paramwise_cfg.lr_mult
    assert rates['backbone'] == rates['language_encoder'] == 0.1
