# Licensed under the Apache License, Version 2.0.
"""RefSegformer: existence from tokens, weights of no-target masks, its size,
and a run on a tiny set with false sentences."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.models import VLTF, CoordMaskHead, TokenExistencePredictor
from mmrefseg.models.meta import meta_device
from mmrefseg.structures import MultimodalFeatures

ROOT = Path(__file__).parents[2]
CONFIG = ('configs/refsegformer/'
          'refsegformer_swin-b-w12_8xb6-50e_rrefcoco-480x480.py')
TEXTS = ('star', 'the small red square to the left of the blue circle',
         'leftmost object', 'black triangle at the top')
C, C_T, HEADS = 6, 5, 2


def _random(*shape):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _close(got, expected, atol=1e-10):
    torch.testing.assert_close(got, expected, atol=atol, rtol=0)


# ------------------------------------------------------------- existence


def _predictor(**kwargs):
    module = TokenExistencePredictor(
        in_channels=C, token_channels=C_T, channels=8, num_heads=HEADS,
        **kwargs).double()
    for value in module.parameters():
        value.data.copy_(_random(*value.shape))
    return module


def _features():
    return MultimodalFeatures(
        maps=(_random(2, C, 3, 4), _random(2, C, 2, 2)),
        queries=_random(2, 7, C_T))


def test_existence_transcription():
    """One sentence, head by head, pixel by pixel, token by token."""
    module, features = _predictor(), _features()
    attention = module.attention
    found = module(features)
    for b in range(2):
        tokens = features.queries[b]
        total = 0
        for r in range(3):
            for c in range(4):
                pixel = features.maps[0][b, :, r, c]
                query = attention.query.weight @ pixel + attention.query.bias
                heads = []
                for h in range(HEADS):
                    part = slice(4 * h, 4 * h + 4)
                    powers = [
                        math.exp(query[part] @ (attention.key.weight @ x)[part]
                                 / 2) for x in tokens
                    ]
                    heads.append(
                        sum(p / sum(powers) *
                            (attention.value.weight @ x +
                             attention.value.bias)[part]
                            for p, x in zip(powers, tokens)))
                total = total + (
                    attention.out.weight @ torch.cat(heads) +
                    attention.out.bias)
        logit = module.score.weight[0] @ (total / 12) + module.score.bias[0]
        _close(found[b], logit)


def test_existence_says_where_tokens_come_from():
    with pytest.raises(ValueError, match='name query_stages'):
        _predictor()(MultimodalFeatures(_features().maps))


@pytest.mark.parametrize('wrong, said', [
    (dict(threshold=1.5), 'threshold=1.5 of TokenExistencePredictor'),
    (dict(loss_weight=0), 'loss_weight=0 of TokenExistencePredictor'),
    (dict(num_heads=3, channels=8), 'num_heads=3'),
])
def test_wrong_arguments_of_existence(wrong, said):
    with pytest.raises(ValueError, match=said):
        TokenExistencePredictor(in_channels=C, token_channels=C_T, **wrong)


@pytest.mark.parametrize('wrong, said', [
    (dict(query_channels=4), r'of 8 channels.*not 4: set query_stages=\(\)'),
    (dict(num_memory_tokens=0), 'at least 1'),
    (dict(num_blank_tokens=0), 'at least 1'),
    (dict(num_heads=3), 'num_heads=3'),
])
def test_wrong_arguments_of_the_fusion(wrong, said):
    with pytest.raises(ValueError, match=said):
        VLTF(channels=8, language_channels=C, **wrong)


def _empty(batch, rows):
    for row in rows:
        batch['data_samples'][row].gt_sem_seg.data.zero_()
        batch['data_samples'][row].set_metainfo(dict(no_target=True))
    return batch


def test_existence_teaches_itself_alone(tiny_segmentor, tiny_refsegformer,
                                        make_batch):
    model = tiny_segmentor(**tiny_refsegformer).train()
    batch = _empty(make_batch([(64, 64)] * 4, TEXTS), [1, 2])
    losses = model.loss(**model.data_preprocessor(batch, training=True))
    losses['decode.loss_existence'].backward()
    taught = {
        name
        for name, p in model.named_parameters() if p.grad is not None
    }
    assert taught == {
        name
        for name, _ in model.named_parameters()
        if name.startswith('decode_head.existence.')
    }


# ---------------------------------------------------------- the segmentor


@pytest.fixture
def model(tiny_segmentor, tiny_refsegformer):
    model = tiny_segmentor(**tiny_refsegformer).double().eval()
    for name, value in model.named_buffers():
        if name.endswith('running_var'):
            value.uniform_(0.5, 1.5)
    return model


def _seen(model, batch):
    """Logits of mask and existence."""
    data = model.data_preprocessor(batch)
    with torch.no_grad():
        features = model.extract_feat(data['inputs'],
                                      model._texts(data['data_samples']))
        return model.decode_head(features), model.decode_head.existence(
            features)


def test_neither_padding_nor_the_batch_changes_anything(
        model, make_batch, monkeypatch):
    batch = make_batch([(65, 97)] * 4, TEXTS)
    masks, scores = _seen(model, batch)
    assert scores.unique().numel() == 4
    order = [2, 0, 3, 1]
    turned = _seen(model, {k: [v[i] for i in order] for k, v in batch.items()})
    _close(turned[0], masks[order])
    _close(turned[1], scores[order])
    for i in range(4):
        alone = _seen(model, {k: [v[i]] for k, v in batch.items()})
        _close(alone[0], masks[i:i + 1])
        _close(alone[1], scores[i:i + 1])
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    padded = _seen(model, batch)
    _close(padded[0], masks)
    _close(padded[1], scores)


def test_the_fusion_starts_near_zero(tiny_segmentor, tiny_refsegformer,
                                     make_batch):
    """The first stage's map goes to the decoder as it is, the others' are
    what the fusion makes, and the next stage sees the sum."""
    model = tiny_segmentor(randomise=False, **tiny_refsegformer).eval()
    data = model.data_preprocessor(make_batch([(64, 64)] * 2, TEXTS))
    language = model.language_encoder(TEXTS[:2])
    features = model.backbone(data['inputs'], language, keep_visual=True)
    assert torch.equal(features[0], features.visual[0])
    assert all(0 < x.abs().max() < 1e-3 for x in features[1:])
    assert features.queries.shape == (2, 30, 16)
    with torch.no_grad():
        model.backbone.fusions[1].out_norm.weight.fill_(0.)
        model.backbone.fusions[1].out_norm.bias.fill_(0.5)
    other = model.backbone(data['inputs'], language, keep_visual=True)
    assert (other[1] == 0.5).all()
    with torch.no_grad():
        _close(other.visual[2],
               model.backbone.run_stage(2, other.visual[1] + 0.5), atol=1e-6)


@pytest.mark.parametrize('scale', [0., None])
def test_a_start_at_zero_never_ends(scale, tiny_segmentor, tiny_refsegformer,
                                    make_batch):
    """With a ReLU behind the decoder's first convolution and no auxiliary
    masks."""
    parts = dict(tiny_refsegformer, auxiliary_head=None)
    if scale is not None:
        fusion = [
            part and dict(part, init_scale=scale)
            for part in parts['backbone']['fusion']
        ]
        parts.update(
            backbone=dict(parts['backbone'], fusion=fusion),
            neck=dict(out_indices=(0, )))
    model = tiny_segmentor(randomise=False, **parts).train()
    data = model.data_preprocessor(
        make_batch([(64, 64)] * 4, TEXTS), training=True)
    model.parse_losses(model.loss(**data))[0].backward()
    for fusion in model.backbone.fusions[1:]:
        for name, value in fusion.named_parameters():
            assert value.grad.any() == (scale is None), name


def test_size_of_the_fusions():
    """15.2 M parameters in three stages of Swin-B."""
    fusions = Config.fromfile(
        ROOT / CONFIG, format_python_code=False).model.backbone.fusion
    with meta_device():
        parts = [
            VLTF(
                channels=channels,
                language_channels=768,
                num_heads=fusion.num_heads)
            for channels, fusion in zip((256, 512, 1024), fusions[1:])
        ]
    total = sum(p.numel() for part in parts for p in part.parameters())
    assert total == 15_208_704


# ------------------------------------------------ weight of no-target masks


CE = dict(type='CrossEntropyLoss', avg_non_ignore=True)
DICE = dict(
    type='DiceLoss', use_sigmoid=False, naive_dice=True, ignore_index=0)


def _samples(areas):
    samples = []
    for area in areas:
        mask = torch.zeros(1, 4, 4, dtype=torch.int64)
        mask.view(-1)[:area] = 1
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=mask)))
    return samples


def _head(**kwargs):
    return CoordMaskHead(in_channels=C, channels=4, **kwargs).double()


@pytest.mark.parametrize('areas', [(3, 0, 5, 0, 0), (0, 0), (2, 7)])
def test_weight_of_no_target_masks(areas):
    logits, samples = _random(len(areas), 2, 4, 4), _samples(areas)
    losses = _head(
        no_target_weight=0.4,
        loss_decode=[CE, DICE]).loss_by_feat(logits, samples)
    entropy = dice = 0
    for logit, area, sample in zip(logits, areas, samples):
        weight = 0.4 if area == 0 else 1
        mask = sample.gt_sem_seg.data[0]
        entropy += weight * F.cross_entropy(logit[None], mask[None])
        p = logit.softmax(dim=0)[1]
        dice += weight * (1 - (2 * (p * mask).sum() + 1e-3) /
                          (p.sum() + mask.sum() + 1e-3))
    # mmseg divides by the pixels and float32's epsilon
    _close(losses['loss_ce'], entropy / len(areas), atol=1e-7)
    _close(losses['loss_dice'], dice / len(areas))
    plain = _head(loss_decode=[CE, DICE]).loss_by_feat(logits, samples)
    _close(losses['acc_seg'], plain['acc_seg'], atol=1e-4)


def test_weight_of_one_is_no_weight():
    logits, samples = _random(3, 2, 4, 4), _samples((3, 0, 5))
    one = _head(no_target_weight=1.).loss_by_feat(logits, samples)
    assert one == super(CoordMaskHead, _head()).loss_by_feat(logits, samples)
    assert one != _head(no_target_weight=.4).loss_by_feat(logits, samples)


def test_no_target_of_the_annotation_goes_before_the_mask():
    """A mask of a few pixels may be gone after resizing."""
    logits, head = _random(1, 2, 4, 4), _head(no_target_weight=0.4)
    lost, gone = _samples((0, )), _samples((0, ))
    lost[0].set_metainfo(dict(no_target=False))
    _close(head.loss_by_feat(logits, gone)['loss_ce'],
           0.4 * head.loss_by_feat(logits, lost)['loss_ce'])


def test_negative_weight_is_refused():
    with pytest.raises(ValueError, match='no_target_weight=-1'):
        _head(no_target_weight=-1)


# ------------------------------------------------------------ a whole run


def test_a_run_on_false_sentences(tmp_path, write_refer_set,
                                  tiny_refer_parts, tiny_segmentor,
                                  tiny_refsegformer):
    """Two iterations of training, then R-RIS's scores."""
    refs, _ = tiny_refer_parts
    for ref in refs:
        for sentence in ref['sentences'][1:]:
            sentence['exist'] = False
    root = write_refer_set(tmp_path / 'set', refs=refs)
    cfg = Config.fromfile(ROOT / CONFIG, format_python_code=False)
    cfg.__dict__['_format_python_code'] = False
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root=str(root),
            ann_file='instances.json',
            data_prefix=dict(img_path='images/'))
        for transform in loader.dataset.pipeline:
            if transform['type'] == 'Resize':
                transform['scale'] = (64, 64)
    # One sentence of each of three refs does not fill a second batch.
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.param_scheduler = None
    cfg.default_hooks.logger.interval = 1
    cfg.model = tiny_segmentor(randomise=False, **tiny_refsegformer)
    cfg.work_dir = str(tmp_path / 'run')
    cfg.experiment_name = cfg.visualizer.name = 'false_sentences'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    log = runner.message_hub.log_scalars
    for name in ('decode.loss_ce', 'decode.loss_existence', 'aux_0.loss_ce'):
        assert log[f'train/{name}'].current() > 0
    scores = runner.test()
    assert {'mIoU', 'mRR', 'rIoU', 'oIoU'} <= set(scores)
    assert all(0 <= scores[key] <= 100 for key in ('mIoU', 'mRR', 'rIoU'))
