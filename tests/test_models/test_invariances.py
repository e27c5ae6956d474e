# Licensed under the Apache License, Version 2.0.
"""What a mask must not depend on, and what it must, from sentence and image
to logits."""

import pytest
import torch

SIZES = [(64, 64), (65, 97), (100, 64), (64, 130)]
TEXTS = ('star', 'the small red square to the left of the blue circle',
         'leftmost object', 'black triangle at the top')


@pytest.fixture(scope='module')
def model(tiny_segmentor):
    model = tiny_segmentor().double().eval()
    for name, value in model.named_buffers():
        if name.endswith('running_var'):
            value.uniform_(0.5, 1.5)
        elif name.endswith('running_mean'):
            value.normal_(std=0.2)
    return model


def _logits(model, batch):
    """B x 2 x H/4 x W/4, of images of one size."""
    data = model.data_preprocessor(batch)
    with torch.no_grad():
        return model(**data, mode='tensor')


def _results(model, batch):
    """Masks and logits at the images' sizes."""
    with torch.no_grad():
        samples = model.test_step(batch)
    return [(x.pred_sem_seg.data, x.seg_logits.data) for x in samples]


def _close(got, expected, atol=1e-10):
    torch.testing.assert_close(got, expected, atol=atol, rtol=0)


def _same(results, expected):
    assert len(results) == len(expected)
    for (mask, logits), (wanted_mask, wanted_logits) in zip(results, expected):
        # Logits are given out in float32.
        _close(logits, wanted_logits, atol=1e-6)
        assert torch.equal(mask, wanted_mask)


def _pick(batch, rows):
    return {key: [value[i] for i in rows] for key, value in batch.items()}


def test_padding_words_change_nothing(model, make_batch, monkeypatch):
    batch = make_batch([(64, 64)] * 4, TEXTS)
    expected = _logits(model, batch)
    tokens = model.language_encoder(TEXTS).words.shape[1]
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    assert model.language_encoder(TEXTS).words.shape[1] > tokens
    _close(_logits(model, batch), expected)


def test_padding_words_change_nothing_in_float32(tiny_segmentor, make_batch,
                                                 monkeypatch):
    model = tiny_segmentor(randomise=False).eval()
    batch = make_batch([(64, 64)] * 4, TEXTS)
    expected = _logits(model, batch)
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    _close(_logits(model, batch), expected, atol=1e-6)


def test_padding_words_change_nothing_in_lavt(tiny_segmentor, tiny_lavt,
                                              make_batch, monkeypatch):
    model = tiny_segmentor(**tiny_lavt).double().eval()
    batch = make_batch([(65, 97)] * 4, TEXTS)
    expected = _logits(model, batch)
    monkeypatch.setattr(model.language_encoder, 'pad_to_max', True)
    _close(_logits(model, batch), expected)
    for i in range(4):
        _close(_logits(model, _pick(batch, [i])), expected[i:i + 1])


NO_DROPOUT = dict(
    arch=dict(hidden_dropout_prob=0., attention_probs_dropout_prob=0.))


def _gradients(model, batch):
    """Losses and gradients of a training step, by name."""
    model.double().train()
    losses = model.loss(**model.data_preprocessor(batch, training=True))
    model.parse_losses(losses)[0].backward()
    return losses, {
        name: p.grad
        for name, p in model.named_parameters() if p.requires_grad
    }


def test_padding_words_change_no_gradient(tiny_segmentor, make_batch):
    results = [
        _gradients(
            tiny_segmentor(
                language_encoder=dict(NO_DROPOUT, pad_to_max=pad_to_max)),
            make_batch([(64, 64)] * 4, TEXTS)) for pad_to_max in (False, True)
    ]
    _close(results[1], results[0])


SWIN = dict(
    _delete_=True,
    type='SwinTransformer',
    embed_dims=8,
    depths=(1, 1, 1, 1),
    num_heads=(1, 2, 4, 8),
    window_size=4,
    drop_path_rate=0.,
    strides=(4, 2, 2, 2))


@pytest.mark.parametrize('changes', [
    dict(),
    dict(backbone=SWIN, decode_head=dict(
        _delete_=True, type='CoordMaskHead', in_channels=16, channels=8),
         neck=dict(out_indices=(0, ))),
])
@pytest.mark.parametrize('rows', [[0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_sharing_images_changes_no_gradient(rows, changes, tiny_segmentor,
                                            make_batch, monkeypatch):
    results, seen = [], []
    for share in (False, True):
        batch = make_batch([(64, 64)] * 4, TEXTS)
        batch['inputs'] = [batch['inputs'][i] for i in rows]
        for row, sample in zip(rows, batch['data_samples']):
            sample.set_metainfo(dict(img_path=f'photo_{row}.jpg'))
        model = tiny_segmentor(
            language_encoder=NO_DROPOUT,
            train_cfg=dict(share_images=share),
            **changes)
        model.backbone.patch_embed.register_forward_pre_hook(
            lambda _, args: seen.append(len(args[0])))
        results.append(_gradients(model, batch))
    _close(results[1], results[0])
    assert seen == [4, len(set(rows))]


def test_order_of_the_batch_changes_nothing(model, make_batch):
    batch, order = make_batch([(64, 96)] * 4, TEXTS), [2, 0, 3, 1]
    _close(_logits(model, _pick(batch, order)), _logits(model, batch)[order])


def test_one_by_one_equals_together(model, make_batch):
    """Alone, a sentence has no padding; here two of four have much."""
    batch = make_batch([(65, 97)] * 4, TEXTS)
    together = _logits(model, batch)
    for i in range(4):
        _close(_logits(model, _pick(batch, [i])), together[i:i + 1])


def test_many_sentences_of_one_image_equal_one_by_one(model, make_batch):
    """Two images; three sentences speak of the second, out of order."""
    rows = [1, 0, 1, 1]
    single = make_batch([(64, 96), (64, 96)], ori_shapes=[(50, 70), (64, 90)])
    many = make_batch([(64, 96)] * 4, TEXTS,
                      [single['data_samples'][i].ori_shape for i in rows])
    many['inputs'] = single['inputs']
    expected = []
    for i, row in enumerate(rows):
        sample = many['data_samples'][i].clone()
        expected += _results(
            model, dict(inputs=[single['inputs'][row]], data_samples=[sample]))
        many['data_samples'][i].set_metainfo(dict(image_index=row))
    _same(_results(model, many), expected)
    masks = [mask for mask, _ in expected]
    # The sentences of one image mean different things.
    assert not torch.equal(masks[0], masks[2])


def test_mixed_sizes_equal_one_by_one(model, make_batch):
    """Two of the images share a size; results come in the order asked."""
    sizes = [(64, 64), (64, 97), (64, 64), (100, 64)]
    shapes = [(80, 70), (65, 97), (30, 200), (64, 64)]
    batch = make_batch(sizes, TEXTS, shapes)
    expected = []
    for i in range(4):
        one = _pick(make_batch(sizes, TEXTS, shapes), [i])
        expected += _results(model, one)
    results = _results(model, batch)
    _same(results, expected)
    assert [tuple(mask.shape) for mask, _ in results
            ] == [(1, *shape) for shape in shapes]


def test_mixed_sizes_with_shared_images(model, make_batch):
    """Four sentences of two images of different sizes."""
    rows, sizes = [1, 0, 0, 1], [(64, 64), (65, 97)]
    images = make_batch(sizes)['inputs']
    batch = make_batch([sizes[i] for i in rows], TEXTS)
    expected = []
    for i, row in enumerate(rows):
        sample = batch['data_samples'][i].clone()
        expected += _results(
            model, dict(inputs=[images[row]], data_samples=[sample]))
        batch['data_samples'][i].set_metainfo(dict(image_index=row))
    batch['inputs'] = images
    _same(_results(model, batch), expected)


@pytest.mark.parametrize('size', SIZES)
def test_any_size(size, model, make_batch):
    batch = make_batch([size] * 2, ori_shapes=[(90, 33), (5, 300)])
    (mask, logits), (other, _) = _results(model, batch)
    assert tuple(mask.shape) == (1, 90, 33)
    assert tuple(other.shape) == (1, 5, 300)
    assert tuple(logits.shape) == (2, 90, 33) and logits.isfinite().all()
    assert mask.dtype == torch.int64 and set(mask.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize('size', SIZES)
def test_any_size_trains(size, tiny_segmentor, make_batch):
    model = tiny_segmentor(randomise=False).train()
    data = model.data_preprocessor(make_batch([size] * 2), training=True)
    loss, _ = model.parse_losses(model.loss(**data))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters()
               if p.requires_grad)


def test_the_order_of_words_counts(model, make_batch):
    said = ('the circle to the left of the square',
            'the square to the left of the circle')
    batch = make_batch([(64, 64)] * 2, said)
    batch['inputs'][1] = batch['inputs'][0]
    first, second = _logits(model, batch)
    assert (first - second).abs().max() > 1e-3
