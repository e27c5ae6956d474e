# Licensed under the Apache License, Version 2.0.
"""A whole CMSA-Net, from image and sentence to logits."""

import copy

import pytest
import torch
from mmengine.config import Config

from mmrefseg.apis.checkpoints.portable_config import make_portable

TEXTS = ('star', 'the small red square to the left of the blue circle.',
         'leftmost object', 'black triangle at the top')
TINY_CMSA = dict(
    language_encoder=dict(
        _delete_=True,
        type='WordEmbeddingEncoder',
        vocab='synthetic',
        channels=16),
    backbone=dict(
        _delete_=True,
        type='LateFusionBackbone',
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=8,
            # Else the first step reaches the last norm of a block alone.
            zero_init_residual=False,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            out_indices=(1, 2, 3)),
        in_channels=[16, 32, 64],
        fusion=[
            dict(type='CMSA', reduce_to=6, dim=4, out_channels=12),
            dict(type='CMSA', reduce_to=8, dim=6, out_channels=12),
            dict(type='CMSA', lateral_channels=10, dim=8, out_channels=12),
        ],
        query_stages=()),
    neck=dict(_delete_=True, type='GatedMultiLevelFusion', channels=12),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=12,
        kernel_size=1,
        logit_kernel_size=3,
        with_coords=False))


@pytest.fixture
def build(tiny_segmentor):

    def build(**kwargs):
        return tiny_segmentor(**copy.deepcopy(TINY_CMSA), **kwargs).double()

    return build


def _logits(model, batch):
    with torch.no_grad():
        return model(**model.data_preprocessor(batch), mode='tensor')


def _pick(batch, rows):
    return {key: [value[i] for i in rows] for key, value in batch.items()}


def _close(got, expected, atol=1e-10):
    torch.testing.assert_close(got, expected, atol=atol, rtol=0)


def test_a_mask_depends_on_its_own_pair_alone(build, make_batch, monkeypatch):
    model = build().eval()
    batch = make_batch([(65, 97)] * 4, TEXTS)
    logits = _logits(model, batch)
    assert logits.shape == (4, 2, 9, 13)
    order = [2, 0, 3, 1]
    _close(_logits(model, _pick(batch, order)), logits[order])
    for i in range(4):
        _close(_logits(model, _pick(batch, [i])), logits[i:i + 1])
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    _close(_logits(model, batch), logits)
    others = make_batch([(65, 97)] * 4, TEXTS[1:] + TEXTS[:1])
    assert (_logits(model, others) - logits).abs().amax((1, 2, 3)).min() > 1e-6


def test_every_parameter_has_a_gradient(build, make_batch):
    model = build(randomise=False).train()
    batch = model.data_preprocessor(
        make_batch([(64, 64)] * 4, TEXTS), training=True)
    model.parse_losses(model.loss(**batch))[0].backward()
    assert all(p.requires_grad for p in model.parameters())
    none = {
        name
        for name, p in model.named_parameters()
        if p.grad is None or not p.grad.abs().max() > 1e-12
    }
    assert not none


def test_bfloat16_is_near_to_float32(build, make_batch):
    model = build().float().train()
    batch = model.data_preprocessor(
        make_batch([(64, 64)] * 4, TEXTS), training=True)
    losses = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            loss = model.loss(**batch)['decode.loss_ce']
        loss.backward()
        losses.append(loss.item())
        assert all(p.grad.isfinite().all() for p in model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_word_attention_of_a_prediction(build, make_batch):
    model = build().eval()
    batch = model.data_preprocessor(make_batch([(64, 64)] * 2, TEXTS[:2]))
    options = dict(model.test_cfg, return_attention=True)
    from mmrefseg.structures import PredictOptions
    with torch.no_grad():
        found = model.predict(
            **batch, options=PredictOptions.from_cfg(options))
    assert found[1].tokens == TEXTS[1].rstrip('.').split()
    for sample in found:
        attention = sample.word_attention.data
        assert attention.shape == (len(sample.tokens), 64, 64)
        torch.testing.assert_close(
            attention.sum(0), torch.ones(64, 64), atol=1e-5, rtol=0)


def test_its_words_are_published_with_it(tmp_path):
    path = tmp_path / 'words.txt'
    path.write_text('<pad>\n<unk>\nred\n')
    model = dict(language_encoder=dict(
        type='WordEmbeddingEncoder', vocab=str(path)))
    made = make_portable(Config(dict(model=model)))
    assert made.files == {'vocab.txt': path}
    vocab = made.config.model.language_encoder.vocab
    assert vocab.endswith('/vocab.txt') and str(tmp_path) not in vocab
    model['language_encoder']['vocab'] = 'synthetic'
    made = make_portable(Config(dict(model=model)))
    assert made.files == {}
    assert made.config.model.language_encoder.vocab == 'synthetic'
