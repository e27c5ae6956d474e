# Licensed under the Apache License, Version 2.0.
"""What the segmentor gives out, what it refuses, and what it says then."""

import copy
import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.structures import SegDataSample
from torch.optim import SGD

from mmrefseg.models import LateFusionBackbone
from mmrefseg.models.segmentors.finite_loss import FiniteLossGuard
from mmrefseg.models.segmentors.results import write_attention
from mmrefseg.structures import PredictOptions

NAN, INF = math.nan, math.inf
AUXILIARY = dict(
    type='FCNHead',
    in_channels=16,
    in_index=2,
    channels=8,
    num_convs=1,
    num_classes=2,
    concat_input=False,
    loss_decode=dict(
        type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4))


def _train_step(model, batch):
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.01))
    return model.train().train_step(batch, wrapper)


# ------------------------------------------------------------- predictions


@pytest.fixture(scope='module')
def explaining(tiny_segmentor):
    """A model that gives out mask priors and word attention."""
    return tiny_segmentor(
        test_cfg=dict(return_prior=True, return_attention=True)).eval()


@pytest.mark.parametrize('size, shape', [('original', (40, 70)),
                                         ('input', (64, 96))])
def test_predict(size, shape, tiny_segmentor, make_batch):
    model = tiny_segmentor(test_cfg=dict(output_size=size)).eval()
    batch = make_batch([(64, 96)] * 2, ori_shapes=[(40, 70)] * 2)
    with torch.no_grad():
        samples = model.test_step(batch)
    for given, sample in zip(batch['data_samples'], samples, strict=True):
        assert sample.text == given.text and sample.ref_id == given.ref_id
        mask, logits = sample.pred_sem_seg.data, sample.seg_logits.data
        assert tuple(mask.shape) == (1, *shape) and mask.dtype == torch.int64
        assert tuple(logits.shape) == (2, *shape)
        assert torch.equal(mask[0].bool(), logits[1] > logits[0])
        assert not hasattr(sample, 'mask_prior')
        assert not hasattr(sample, 'word_attention')


def test_modes_agree(tiny_segmentor, make_batch):
    """'tensor' gives the logits of which 'predict' makes masks."""
    model = tiny_segmentor(test_cfg=dict(output_size='input')).eval()
    data = model.data_preprocessor(make_batch([(64, 96)] * 2))
    with torch.no_grad():
        logits = model(**data, mode='tensor')
        assert tuple(logits.shape) == (2, 2, 16, 24)
        large = torch.nn.functional.interpolate(
            logits, scale_factor=4, mode='bilinear')
        samples = model(**data, mode='predict')
        metas = [sample.metainfo for sample in samples]
        encoded = model.encode_decode(data['inputs'], metas)
        assert torch.equal(encoded, model.inference(data['inputs'], metas))
    for got, whole, sample in zip(large, encoded, samples):
        torch.testing.assert_close(sample.seg_logits.data, got)
        assert torch.equal(sample.seg_logits.data, whole)


def test_prior_and_attention(explaining, make_batch):
    batch = make_batch([(64, 96)] * 3, ori_shapes=[(40, 70), (99, 20),
                                                   (64, 96)])
    with torch.no_grad():
        samples = explaining.test_step(batch)
    for sample in samples:
        shape = sample.ori_shape
        prior = sample.mask_prior.data
        assert tuple(prior.shape) == (1, *shape)
        assert 0 <= prior.min() < prior.max() <= 1
        attention, tokens = sample.word_attention.data, sample.tokens
        assert tokens[0] == '[CLS]' and tokens[-1] == '[SEP]'
        assert ' '.join(tokens[1:-1]) == sample.text
        # Nothing goes to padding: the real words share all of it.
        assert tuple(attention.shape) == (len(tokens), *shape)
        assert 0 <= attention.min() < attention.max() <= 1
        torch.testing.assert_close(
            attention.sum(dim=0), torch.ones(shape), atol=1e-5, rtol=0)
    assert len({len(sample.tokens) for sample in samples}) > 1


def test_explaining_changes_no_mask(explaining, make_batch):
    batch = make_batch([(64, 64)] * 2)
    plain = copy.deepcopy(explaining)
    plain.test_cfg = dict(plain.test_cfg)
    plain.test_cfg.update(return_prior=False, return_attention=False)
    with torch.no_grad():
        results = [
            model.test_step(copy.deepcopy(batch))
            for model in (explaining, plain)
        ]
    for first, second in zip(*results):
        assert torch.equal(first.seg_logits.data, second.seg_logits.data)


def test_each_explanation_belongs_to_its_sentence(explaining, make_batch):
    """Images of two sizes and an image with two sentences, mixed."""
    rows, sizes = [1, 0, 1], [(64, 64), (64, 96)]
    images = make_batch(sizes)['inputs']
    batch = make_batch([sizes[i] for i in rows])
    expected = []
    for i, row in enumerate(rows):
        sample = batch['data_samples'][i].clone()
        with torch.no_grad():
            expected += explaining.test_step(
                dict(inputs=[images[row]], data_samples=[sample]))
        batch['data_samples'][i].set_metainfo(dict(image_index=row))
    batch['inputs'] = images
    with torch.no_grad():
        samples = explaining.test_step(batch)
    for sample, wanted in zip(samples, expected):
        assert sample.tokens == wanted.tokens
        for name in ('mask_prior', 'word_attention'):
            torch.testing.assert_close(
                getattr(sample, name).data,
                getattr(wanted, name).data, atol=1e-5, rtol=0)


def test_parts_without_explanation_give_none(tiny_segmentor, make_batch):
    model = tiny_segmentor(
        decode_head=dict(
            _delete_=True, type='CoordMaskHead', in_channels=16, channels=8),
        test_cfg=dict(return_prior=True, return_attention=True)).eval()
    with torch.no_grad():
        sample = model.test_step(make_batch([(64, 64)]))[0]
    assert not hasattr(sample, 'mask_prior')
    assert hasattr(sample, 'word_attention')


def test_attention_of_a_single_map(tiny_segmentor):
    """Where there is no last stage but one, that of the only one."""
    model = tiny_segmentor()
    model.backbone = LateFusionBackbone(
        backbone=dict(
            type='ResNet', depth=18, base_channels=4, stem_channels=4,
            out_indices=(0, )),
        in_channels=[4],
        language_channels=16,
        fusion=dict(type='BSAM')).eval()
    language = model.eval().language_encoder(['the star'])
    features = model.backbone(
        torch.rand(1, 3, 64, 64), language, keep_attention=True)
    sample = SegDataSample(metainfo=dict(text='the star'))
    write_attention(features, [sample], PredictOptions(output_size='input'),
                    (64, 64), model.language_encoder.tokens)
    assert tuple(sample.word_attention.data.shape) == (4, 64, 64)


# ------------------------------------------------------------------ losses


def test_losses(tiny_segmentor, make_batch):
    model = tiny_segmentor()
    data = model.data_preprocessor(make_batch([(64, 64)] * 2), training=True)
    losses = model(**data, mode='loss')
    assert set(losses) == {
        'decode.loss_ce', 'decode.acc_seg', 'decode.loss_prior',
        *(f'decode.prior_ce_{i}' for i in (1, 2, 3))
    }
    raw = [losses[f'decode.prior_ce_{i}'] for i in (1, 2, 3)]
    torch.testing.assert_close(losses['decode.loss_prior'],
                               0.1 * sum(raw) / 3)
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(
        total, losses['decode.loss_ce'] + losses['decode.loss_prior'])


@pytest.mark.parametrize('fill', [0, 1])
def test_empty_and_full_masks_train(fill, tiny_segmentor, make_batch):
    model, batch = tiny_segmentor(), make_batch([(64, 64)] * 2)
    batch['data_samples'][0].gt_sem_seg.data[:] = fill
    log = _train_step(model, batch)
    assert all(torch.as_tensor(x).isfinite() for x in log.values())


def test_a_few_steps_learn(tiny_segmentor, make_batch):
    model, batch = tiny_segmentor(randomise=False), make_batch([(64, 64)] * 4)
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-2))
    model.train()
    losses = [
        model.train_step(copy.deepcopy(batch), wrapper)['loss'].item()
        for _ in range(15)
    ]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize('auxiliary, names', [
    (AUXILIARY, ['aux.']),
    ([AUXILIARY, dict(AUXILIARY, in_index=1)], ['aux_0.', 'aux_1.']),
])
def test_auxiliary_head(auxiliary, names, tiny_segmentor, make_batch):
    model = tiny_segmentor(auxiliary_head=auxiliary)
    heads = model.auxiliary_head
    heads = [heads] if isinstance(auxiliary, dict) else heads
    before = [head.conv_seg.weight.clone() for head in heads]
    log = _train_step(model, make_batch([(64, 64)] * 2))
    for name in names:
        assert log[f'{name}loss_ce'].isfinite()
    assert log['loss'].item() == pytest.approx(
        sum(v.item() for k, v in log.items() if 'loss_' in k), rel=1e-5)
    for head, weight in zip(heads, before):
        assert not torch.equal(head.conv_seg.weight, weight)


def test_bfloat16_is_near(tiny_segmentor, make_batch):
    """Under autocast, with and without gradients (two ways of attention)."""
    model = tiny_segmentor(randomise=False).eval()
    data = model.data_preprocessor(make_batch([(64, 64)] * 2), training=True)
    for with_grad in (False, True):
        with torch.set_grad_enabled(with_grad):
            expected = model(**data, mode='tensor')
            with torch.autocast('cpu', torch.bfloat16):
                logits = model(**data, mode='tensor')
                losses = model(**data, mode='loss')
        assert logits.dtype == torch.bfloat16
        assert losses['decode.loss_ce'].dtype == torch.float32
        difference = (logits.float() - expected).abs().max()
        assert difference < 0.05 * expected.std() + 0.01


def test_copies(tiny_segmentor, make_batch):
    """As averaging of weights makes them; state dicts hold tensors alone,
    however much the model has run."""
    model, batch = tiny_segmentor().eval(), make_batch([(64, 64)] * 2)
    keys = set(model.state_dict())
    twin = copy.deepcopy(model)
    _train_step(twin, copy.deepcopy(batch))
    with torch.no_grad():
        trained = twin.eval().test_step(copy.deepcopy(batch))
        twin.load_state_dict(model.state_dict())
        results = [
            x.test_step(copy.deepcopy(batch)) for x in (model, twin)
        ]
    for before, after, other in zip(*results, trained):
        logits = before.seg_logits.data
        assert torch.equal(after.seg_logits.data, logits)
        assert not torch.equal(other.seg_logits.data, logits)
    for state in (model.state_dict(), twin.state_dict()):
        assert set(state) == keys
        assert all(isinstance(x, torch.Tensor) for x in state.values())


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize('changes, message', [
    (dict(test_cfg=dict(mode='slide')),
     "test_cfg.mode='slide' is refused: in a crop left is no longer left"),
    (dict(test_cfg=dict(output_size='half')),
     "output_size is 'original' or 'input', not 'half'"),
    (dict(decode_head=dict(
        _delete_=True, type='FCNHead', in_channels=16, channels=8,
        num_classes=19)),
     'decode_head gives out_channels=19, .* num_classes=2'),
    (dict(decode_head=dict(kernel_size=5)), 'kernel_size 3 and 1, not 5'),
    (dict(decode_head=dict(attention_map='both')),
     "attention_map is 'before' or 'after' the softmax, not 'both'"),
    (dict(backbone=dict(gate=dict(combine='product'))),
     "combine='sum', 'literal', 'single', not 'product'"),
])
def test_wrong_settings(changes, message, tiny_segmentor):
    with pytest.raises(ValueError, match=message):
        tiny_segmentor(**changes)


@pytest.mark.parametrize('stages, got', [((), 0), ((0, 3), 2)])
def test_wrong_number_of_queries(stages, got, tiny_segmentor, make_batch):
    model = tiny_segmentor(backbone=dict(query_stages=stages))
    with pytest.raises(ValueError, match='expects 4 language queries and got '
                       f'{got}: set num_queries'):
        _train_step(model, make_batch([(64, 64)] * 2))


@pytest.mark.parametrize('mode', ['loss', 'predict', 'tensor'])
def test_missing_sentence(mode, tiny_segmentor, make_batch):
    model = tiny_segmentor()
    data = model.data_preprocessor(make_batch([(64, 64)]), training=True)
    del data['data_samples'][0].text
    with pytest.raises(ValueError, match="metainfo holds 'text'"):
        model(**data, mode=mode)


def test_training_without_masks(tiny_segmentor, make_batch):
    batch = make_batch([(64, 64)] * 2)
    del batch['data_samples'][1].gt_sem_seg
    with pytest.raises(ValueError, match='sample has no mask: put LoadRefMas'):
        _train_step(tiny_segmentor(), batch)


def test_no_samples_at_all(tiny_segmentor, make_batch):
    model = tiny_segmentor()
    with pytest.raises(ValueError, match='A data sample has no sentence'):
        model.predict(torch.rand(1, 3, 64, 64))


def test_training_on_different_sizes(tiny_segmentor, make_batch):
    with pytest.raises(ValueError, match='different sizes, .*keep_ratio=Fal'):
        _train_step(tiny_segmentor(), make_batch([(64, 64), (64, 96)]))


def test_training_batch_of_one(tiny_segmentor, make_batch):
    batch = make_batch([(64, 64)])
    with pytest.raises(ValueError, match='training batch of 1, .*batch size '
                       'of at least 2 .*sync_bn=.*num_groups=1'):
        _train_step(tiny_segmentor(), copy.deepcopy(batch))
    # Nothing is wrong where the norm does not look at the batch, or sees
    # every pixel of it.
    for gate in (dict(norm_cfg=dict(type='GN', num_groups=1)),
                 dict(pool=(False, False))):
        model = tiny_segmentor(backbone=dict(gate=gate))
        assert _train_step(model, copy.deepcopy(batch))['loss'].isfinite()


# ------------------------------------------------- losses that are no number


@pytest.mark.parametrize('value', [NAN, INF])
def test_loss_that_is_no_number(value, tiny_segmentor, make_batch):
    """The error comes before the step: the weights are as they were."""
    model, batch = tiny_segmentor(), make_batch([(64, 64)] * 2)
    model.decode_head.conv_seg.bias.data.fill_(value)
    before = model.backbone.patch_embed.projection.weight.clone()
    with pytest.raises(FloatingPointError) as error:
        _train_step(model, batch)
    message = str(error.value)
    assert 'not finite (decode.loss_ce' in message
    for i, text in enumerate(('the red circle', 'small blue square on the '
                              'left')):
        assert f"photo_{i}.jpg (ref {100 + i}: '{text}')" in message
    assert 'Lower the learning rate' in message
    assert torch.equal(model.backbone.patch_embed.projection.weight, before)


def test_image_that_is_no_number(tiny_segmentor, make_batch):
    model = tiny_segmentor()
    data = model.data_preprocessor(make_batch([(64, 64)] * 2), training=True)
    data['inputs'][1, 0, 3, 3] = NAN
    with pytest.raises(FloatingPointError, match='photo_1.jpg'):
        model.loss(**data)


def _losses(value):
    return {
        'decode.loss_ce': torch.tensor(value),
        'decode.acc_seg': torch.tensor([NAN])
    }


def test_only_losses_are_looked_at():
    FiniteLossGuard().check(_losses(0.5), [])


def test_float16_may_overflow_now_and_then(monkeypatch):
    """The GradScaler skips such steps; 25 in a row are no accident."""
    monkeypatch.setattr(torch, 'is_autocast_enabled', lambda: True)
    monkeypatch.setattr(torch, 'get_autocast_gpu_dtype',
                        lambda: torch.float16)
    guard = FiniteLossGuard()
    for _ in range(3):
        for _ in range(24):
            guard.check(_losses(INF), [])
        guard.check(_losses(0.5), [])
    for _ in range(24):
        guard.check(_losses(NAN), [])
    with pytest.raises(FloatingPointError, match='not finite'):
        guard.check(_losses(NAN), [])


def test_bfloat16_may_not(make_batch):
    with torch.autocast('cpu', torch.bfloat16):
        with pytest.raises(FloatingPointError, match='not finite'):
            FiniteLossGuard().check(_losses(NAN), [])
