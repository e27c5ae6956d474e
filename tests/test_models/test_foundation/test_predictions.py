# Licensed under the Apache License, Version 2.0.
"""The whole path, from files of a hub to masks at the photo's size, held to
what transformers' own processors and post-processing give."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from mmseg.structures import SegDataSample
from packaging.version import Version
from PIL import Image

from mmrefseg.models.foundation.hub import KINDS
from mmrefseg.models.foundation.prompts import lower_phrase
from mmrefseg.structures import PredictOptions

TEXTS = ('star', 'the red circle', 'a blue square on the left of the red star')


def _encoders(model):
    """The modules that see pixels, and the processors they belong to."""
    if hasattr(model, 'network'):
        network = model.network
        return [(getattr(network, 'vision_encoder', network), model.processor)]
    detector, segmenter = model.detector, model.segmenter
    return [(detector.network, detector.processor),
            (segmenter.network.vision_encoder, segmenter.processor)]


def test_pixels_are_those_of_the_processor(name, build, batch, photos):
    """Resized and normalised by it, from the photo as it is."""
    model = build(name)
    for encoder, processor in _encoders(model):
        seen = []
        hook = encoder.register_forward_pre_hook(
            lambda _, args, kwargs, seen=seen: seen.append(
                kwargs.get('pixel_values', args[0] if args else None)),
            with_kwargs=True)
        model.test_step(batch(rows=(0, )))
        hook.remove()
        fresh = type(processor).from_pretrained(_folder(model, processor))
        expected = fresh.image_processor(
            images=Image.fromarray(photos[0]),
            return_tensors='pt')['pixel_values']
        assert len(seen) == 1
        torch.testing.assert_close(seen[0], expected, rtol=0, atol=0)


def _folder(model, processor):
    for part in (model, *model.children()):
        if getattr(part, 'processor', None) is processor:
            return part.network.name_or_path
    raise AssertionError


def test_clipseg_is_that_of_transformers(build, batch, photos):
    model = build('clipseg', template='a photo of {}')
    samples = model.test_step(batch())
    for photo, text, sample in zip(photos, TEXTS, samples):
        inputs = model.processor(
            text=[f'a photo of {text}'],
            images=Image.fromarray(photo),
            return_tensors='pt')
        with torch.no_grad():
            logits = model.network(**inputs).logits.reshape(1, 1, 32, 32)
        expected = F.interpolate(
            logits, photo.shape[:2], mode='bilinear', align_corners=False)[0]
        torch.testing.assert_close(
            sample.seg_logits.data, expected, rtol=1e-4, atol=1e-4)
        mask = sample.pred_sem_seg.data
        assert mask.dtype == torch.int64 and torch.equal(mask, (
            sample.seg_logits.data > 0).long())
        assert sample.existence_score == pytest.approx(
            logits.sigmoid().max().item(), abs=1e-5)


def _detect(model, photo, text):
    """Scores and boxes by the processor's own post-processing."""
    detector = model.detector
    image, size = Image.fromarray(photo), [photo.shape[:2]]
    if 'GroundingDino' in type(detector.processor).__name__:
        inputs = detector.processor(
            images=image, text=lower_phrase(text), return_tensors='pt')
        with torch.no_grad():
            out = detector.network(**inputs)
        post = detector.processor.post_process_grounded_object_detection
        found = post(out, inputs['input_ids'], 0., 0., target_sizes=size)[0]
    else:
        inputs = detector.processor(
            images=image, text=[[text]], return_tensors='pt')
        with torch.no_grad():
            out = detector.network(**inputs)
        found = detector.processor.image_processor
        # Some releases scale the boxes of the square by the photo's sides.
        square = torch.tensor([[max(photo.shape[:2])] * 2])
        found = found.post_process_object_detection(
            out, threshold=0., target_sizes=square)[0]
    return found['scores'], found['boxes']


@pytest.mark.parametrize('name', ['gdino-sam', 'owlv2-sam', 'gdino-sam2'],
                         ids=str)
@pytest.mark.parametrize('boxes', ['best', 'all'])
def test_grounded_sam_is_that_of_transformers(name, boxes, build, batch,
                                              photos):
    model = build(name, boxes=boxes)
    samples = model.test_step(batch())
    for photo, text, sample in zip(photos, TEXTS, samples):
        scores, found = _detect(model, photo, text)
        height, width = photo.shape[:2]
        limit = torch.tensor([width, height] * 2)
        found = found.clamp_min(0).minimum(limit)
        best = scores.argmax()
        assert sample.existence_score == pytest.approx(
            scores[best].item(), abs=1e-5)
        assert sample.pred_box == pytest.approx(
            found[best].tolist(), abs=1e-3)
        chosen = found[best][None] if boxes == 'best' else found
        mask = _segment(model.segmenter, photo, chosen)
        assert mask.shape == photo.shape[:2]
        agree = sample.pred_sem_seg.data[0].bool() == mask
        assert agree.float().mean() > 0.999, agree.float().mean()


def _segment(segmenter, photo, boxes):
    """The union of the masks that the processor gives for boxes."""
    processor = segmenter.processor
    inputs = processor(
        images=Image.fromarray(photo),
        input_boxes=[boxes.tolist()],
        return_tensors='pt')
    sizes = inputs.pop('original_sizes')
    reshaped = inputs.pop('reshaped_input_sizes', None)
    with torch.no_grad():
        out = segmenter.network(
            pixel_values=inputs['pixel_values'],
            input_boxes=inputs['input_boxes'].float(),
            multimask_output=False)
    more = [reshaped] if type(processor).__name__ == 'SamProcessor' else []
    masks = processor.post_process_masks(out.pred_masks, sizes, *more)[0]
    return masks[:, 0].any(dim=0)


@pytest.mark.parametrize('instances', ['best', 'union'])
def test_sam3_is_that_of_transformers(instances, build, batch, photos):
    model = build('sam3', instances=instances, existence_threshold=0.2)
    samples = model.test_step(batch())
    refused = set()
    for photo, text, sample in zip(photos, TEXTS, samples):
        inputs = model.processor(
            images=Image.fromarray(photo), text=text, return_tensors='pt')
        with torch.no_grad():
            out = model.network(
                pixel_values=inputs['pixel_values'],
                input_ids=inputs['input_ids'],
                attention_mask=inputs['attention_mask'])
        found = model.processor.post_process_instance_segmentation(
            out, threshold=0., target_sizes=[photo.shape[:2]])[0]
        scores, best = found['scores'], found['scores'].argmax()
        keep = torch.arange(len(scores)) == best
        if instances == 'union':
            keep = scores >= 0.2
        assert sample.existence_score == pytest.approx(
            scores[best].item(), abs=1e-5)
        expected = found['masks'][keep].any(dim=0)
        if scores[best] < 0.2:
            expected = torch.zeros(photo.shape[:2], dtype=torch.bool)
        refused.add(sample.pred_no_target)
        assert sample.pred_no_target == (scores[best] < 0.2).item()
        agree = sample.pred_sem_seg.data[0].bool() == expected
        assert agree.float().mean() > 0.999
        x0, y0, x1, y1 = sample.pred_box
        assert 0 <= x0 <= x1 <= photo.shape[1]
        assert 0 <= y0 <= y1 <= photo.shape[0]


def test_a_batch_is_its_sentences_one_by_one(name, build, batch):
    """Sizes and sentence lengths of the others change nothing."""
    model = build(name)
    together = model.test_step(batch(rows=(0, 1, 2, 0), texts=(*TEXTS, 'a')))
    for i, sample in enumerate(together):
        row, text = (0, 1, 2, 0)[i], (*TEXTS, 'a')[i]
        alone, = model.test_step(batch(rows=(row, ), texts=(text, )))
        assert alone.existence_score == pytest.approx(
            sample.existence_score, abs=1e-5)
        torch.testing.assert_close(
            alone.seg_logits.data, sample.seg_logits.data, rtol=0, atol=1e-3)


def test_a_sentence_and_a_photo_matter(name, build, batch):
    """Else all of these tests would pass on a constant."""
    model = build(name)
    a, b, c = model.test_step(
        batch(rows=(0, 0, 1), texts=('star', TEXTS[2], 'star')))
    assert a.existence_score != b.existence_score
    assert a.existence_score != c.existence_score
    assert not torch.equal(a.seg_logits.data, c.seg_logits.data)


def test_images_are_encoded_once(name, build, batch, monkeypatch):
    model = build(name)
    encode, counts = model.encode_images, []
    monkeypatch.setattr(model, 'encode_images',
                        lambda x: counts.append(len(x)) or encode(x))
    model.test_step(batch(rows=(0, 0, 0, 1), texts=(*TEXTS, 'a')))
    assert counts == [2]
    # Equal paths with other pixels are other images.
    data = batch(rows=(0, 1), texts=('star', 'star'))
    data['data_samples'][1].set_metainfo(dict(img_path='0.jpg'))
    model.test_step(data)
    assert counts == [2, 2]


@pytest.mark.parametrize('more', [{}, dict(all=True)], ids=['best', 'all'])
def test_nothing_found_is_an_empty_mask(name, more, build, batch):
    if more and name == 'clipseg':
        pytest.skip('CLIPSeg has no instances')
    if more:
        more = dict(instances='union') if name == 'sam3' else dict(boxes='all')
    model = build(name, existence_threshold=1., **more)
    for sample in model.test_step(batch()):
        assert sample.pred_no_target is True
        assert 0 <= sample.existence_score < 1
        assert not sample.pred_sem_seg.data.any()
        assert torch.isfinite(sample.seg_logits.data).all()
        if more:  # no threshold makes a mask of nothing
            assert sample.seg_logits.data.sigmoid().max() < 1e-8


def test_threshold_zero_always_answers(name, build, batch):
    for sample in build(name).test_step(batch()):
        assert sample.pred_no_target is False


def test_odd_photos(name, build):
    model = build(name)
    for size in ((1, 1), (3, 40), (1, 30), (40, 1), (7, 5)):
        old = Version(transformers.__version__).major < 5
        if name == 'owlv2-sam' and old and size[0] < 4 and size[1] > 1:
            with pytest.raises(ValueError, match='pixels in height'):
                model.test_step(
                    dict(
                        inputs=[torch.zeros(3, *size, dtype=torch.uint8)],
                        data_samples=[_sample(size)]))
            continue
        image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
        image[1:] = image[0]  # grey
        data = dict(inputs=[image], data_samples=[_sample(size)])
        done, = model.test_step(data)
        assert tuple(done.pred_sem_seg.shape) == size
        assert torch.isfinite(done.seg_logits.data).all()


def _sample(size, text='the star'):
    return SegDataSample(metainfo=dict(text=text, ori_shape=size))


def test_too_narrow_photos_are_named(build):
    model = build('gdino-sam')
    image = torch.zeros(3, 1, 2000, dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[_sample((1, 2000))])
    with pytest.raises(ValueError, match='1 x 2000 .* too narrow'):
        model.test_step(data)


def test_other_output_sizes_and_thresholds(build, batch):
    """As other segmentors: a photo that was resized gets its mask at its own
    size."""
    model = build('clipseg')
    data = batch(rows=(0, ))
    data['data_samples'][0].set_metainfo(dict(ori_shape=(80, 122)))
    inputs = model.data_preprocessor(data)
    sample, = model.predict(inputs['inputs'], inputs['data_samples'])
    assert tuple(sample.pred_sem_seg.shape) == (80, 122)
    options = PredictOptions(output_size='input', threshold=0.9)
    sample, = model.predict(inputs['inputs'], inputs['data_samples'], options)
    assert tuple(sample.pred_sem_seg.shape) == (40, 61)
    expected = sample.seg_logits.data.sigmoid() > 0.9
    assert torch.equal(sample.pred_sem_seg.data.bool(), expected)


@pytest.mark.parametrize('dtype', ['bfloat16'])
def test_half_precision(name, dtype, build, batch):
    if 'gdino' in name and Version(transformers.__version__).major < 5:
        with pytest.raises(ImportError, match='half precision since'):
            build(name, dtype=dtype)
        return
    model = build(name, dtype=dtype)
    assert {p.dtype for p in model.parameters()} == {getattr(torch, dtype)}
    exact = build(name).test_step(batch(rows=(0, )))[0]
    sample = model.test_step(batch(rows=(0, )))[0]
    assert sample.seg_logits.data.dtype == torch.float32
    assert sample.existence_score == pytest.approx(
        exact.existence_score, abs=0.1)


def test_long_sentences_lose_their_end(name, build, batch):
    words = ' '.join(['the red star'] * 150)
    sample, = build(name).test_step(batch(rows=(0, ), texts=(words, )))
    assert np.isfinite(sample.existence_score)


def test_normalised_images_are_refused(build):
    model = build(
        'clipseg',
        data_preprocessor=dict(
            type='RefSegDataPreProcessor', mean=[120.] * 3, std=[60.] * 3))
    data = dict(
        inputs=[torch.zeros(3, 9, 9, dtype=torch.uint8)],
        data_samples=[_sample((9, 9))])
    with pytest.raises(ValueError, match='leave mean and std out'):
        model.test_step(data)


def test_training_is_refused_in_one_sentence(name, build, batch):
    model = build(name)
    data = model.data_preprocessor(batch(rows=(0, )), training=True)
    with pytest.raises(NotImplementedError, match='is for inference .* take'):
        model(**data, mode='loss')


def test_init_weights_leaves_them(name, build):
    model = build(name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.init_weights()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_sentences_need_text(build, batch):
    data = batch(rows=(0, ))
    data['data_samples'][0].pop('text')
    with pytest.raises(ValueError, match="metainfo holds 'text'"):
        build('clipseg').test_step(data)


def test_versions_have_what_is_expected():
    """The kinds that this transformers must have are not skipped."""
    version = Version(transformers.__version__)
    for kind in KINDS.values():
        has = hasattr(transformers, kind.model)
        assert has == (version >= Version(kind.since)), kind
