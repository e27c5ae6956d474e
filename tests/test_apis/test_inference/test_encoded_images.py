# Licensed under the Apache License, Version 2.0.
"""Images encoded once: set_image and segment, and threads that share them."""

import logging
import threading

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from rich.progress import track

from mmrefseg.apis import RefSegInferencer

SENTENCES = ['red square', 'the blue circle on the right', 'star']


@pytest.fixture(scope='module')
def inferencer(tiny_model):
    return RefSegInferencer(tiny_model.config, tiny_model.weights, 'cpu')


@pytest.fixture
def other_photo(photo):
    return np.rot90(cv2.imread(photo))[10:85, 5:55].copy()


@pytest.fixture
def encodings(inferencer, monkeypatch):
    """Sizes of the batches of images that were encoded."""
    sizes = []
    encode = inferencer.model.encode_images
    monkeypatch.setattr(inferencer.model, 'encode_images',
                        lambda x: sizes.append(len(x)) or encode(x))
    return sizes


def assert_same(one, other):
    assert one['text'] == other['text']
    np.testing.assert_array_equal(one['mask'], other['mask'])
    assert one['box'] == other['box']
    assert one['score'] == pytest.approx(other['score'], abs=1e-5)


def test_segment_gives_what_a_call_gives(inferencer, photo, encodings):
    [expected] = inferencer(photo, SENTENCES)['predictions']
    encodings.clear()
    inferencer.set_image(photo)
    for own, result in zip(
            inferencer.segment(SENTENCES)['predictions'], expected,
            strict=True):
        assert_same(own, result)
    done = inferencer.segment(SENTENCES[0])
    assert_same(done['predictions'][0], expected[0])
    assert done['visualization'] is None
    assert encodings == [1]


def test_options_of_segment(inferencer, photo, tmp_path):
    inferencer.set_image(photo)
    options = dict(
        threshold=0.3, draw_prior=True, draw_attention=True, return_vis=True)
    own = inferencer.segment(
        SENTENCES, batch_size=2, out_dir=tmp_path, save_predictions=True,
        **options)
    [predictions], [pictures] = inferencer(photo, SENTENCES,
                                           **options).values()
    for k in range(3):
        assert_same(own['predictions'][k], predictions[k])
        # another batch size rounds otherwise
        np.testing.assert_allclose(
            own['visualization'][k], pictures[k].astype(int), atol=2)
    assert len(list(tmp_path.glob('two_shapes_*.png'))) == 6
    with pytest.raises(TypeError, match='draw_everything'):
        inferencer.segment('star', draw_everything=True)


def test_late_fusion_keeps_the_whole_backbone(tiny_model, photo):
    config = Config.fromfile(tiny_model.config)
    widths = [4, 8, 16, 32]
    config.model.backbone = dict(
        type='LateFusionBackbone',
        backbone=dict(
            type='ResNet', depth=18, base_channels=4, stem_channels=4),
        in_channels=widths,
        fusion=dict(type='BSAM'),
        query_channels=16)
    config.model.neck.in_channels = widths
    late = RefSegInferencer(config, device='cpu', show_progress=False)
    calls = []
    late.model.backbone.backbone.register_forward_hook(
        lambda *_: calls.append(1))
    late.set_image(photo)
    late.segment(SENTENCES)
    late.segment('star')
    assert calls == [1]


def test_an_encoded_image_is_an_image(inferencer, photo, other_photo,
                                      encodings):
    expected = inferencer([photo, other_photo], 'star')['predictions']
    one, two = map(inferencer.set_image, (photo, other_photo))
    assert_same(inferencer.segment('star', one)['predictions'][0],
                expected[0][0])
    assert_same(inferencer.segment('star')['predictions'][0], expected[1][0])
    encodings.clear()
    again = inferencer([two, photo, one], 'star')['predictions']
    for own, result in zip(again, (expected[1], expected[0], expected[0])):
        assert_same(own[0], result[0])
    assert encodings == [1]


def test_images_of_one_size_are_encoded_together(inferencer, photo, encodings):
    images = [cv2.imread(photo) // k for k in (1, 2, 3)]
    done = inferencer(images, [SENTENCES] * 3, batch_size=4)['predictions']
    assert encodings == [2, 1]  # of the third, sentences span two batches
    for image, own in zip(images, done):
        for text, result in zip(SENTENCES, own):
            assert_same(result, inferencer(image, text)['predictions'][0][0])


def test_what_is_wrong_is_said(tiny_model, inferencer, photo):
    other = RefSegInferencer(
        tiny_model.config, tiny_model.weights, 'cpu', show_progress=False)
    with pytest.raises(ValueError, match=r'call set_image\(image\) first'):
        other.segment('star')
    with pytest.raises(ValueError, match='encoded by another inferencer'):
        other.segment('star', inferencer.set_image(photo))
    with pytest.raises(TypeError, match='type str: give segment what'):
        inferencer.segment('star', photo)
    with pytest.raises(ValueError, match='one image, but 2 were given'):
        inferencer.set_image([photo, photo])
    with pytest.raises(ValueError, match='is empty'):
        inferencer.set_image(photo) and inferencer.segment(' ')


def _in_threads(number, work):
    """Run ``work(k)`` in threads; raise what one of them raises."""
    errors = []

    def run(k):
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k, )) for k in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


OPTIONS = [
    dict(),
    dict(draw_prior=True),
    dict(draw_attention=True, threshold=0.2),
    dict(draw_prior=True, draw_attention=True, threshold=0.8),
]


def test_threads_share_an_inferencer(inferencer, photo, other_photo):
    images = [cv2.imread(photo), other_photo]

    def call(k):
        options = dict(OPTIONS[k % 4], return_vis=True, batch_size=1)
        inferencer.set_image(images[k % 2])
        done = inferencer.segment(SENTENCES[:1 + k % 3], **options)
        return ([x['mask'] for x in done['predictions']],
                done['visualization'])

    before = dict(inferencer.model.test_cfg)
    expected = [call(k) for k in range(12)]

    def work(thread):
        for step in range(3):
            k = (5 * thread + step) % 12
            for own, result in zip(call(k), expected[k]):
                for a, b in zip(own, result, strict=True):
                    np.testing.assert_array_equal(a, b)

    _in_threads(4, work)
    assert dict(inferencer.model.test_cfg) == before


def test_each_thread_has_its_own_image(inferencer, photo, other_photo):
    inferencer.set_image(photo)

    def work(k):
        with pytest.raises(ValueError, match='No image was set'):
            inferencer.segment('star')
        inferencer.set_image(other_photo)
        barrier.wait(20)
        assert inferencer.segment('star')['predictions'][0]['mask'].shape == (
            75, 50)

    barrier = threading.Barrier(2)
    _in_threads(2, work)
    [result] = inferencer.segment('star')['predictions']
    assert result['mask'].shape == (60, 90)


def test_threads_write_to_one_file(inferencer, photo, tmp_path):
    encoded = inferencer.set_image(photo)

    def work(k):
        for _ in range(3):
            inferencer.segment(
                'star', encoded, out_dir=tmp_path, save_predictions=True)

    _in_threads(4, work)
    assert len(list(tmp_path.iterdir())) == 3  # and nothing temporary
    for path in tmp_path.glob('*.png'):
        assert cv2.imread(str(path)) is not None


def test_unknown_words_are_reported_once_by_all_threads(
        tiny_model, photo, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmrefseg.apis.inference.inferencer.print_log',
        lambda text, logger=None, level=logging.INFO: messages.append(text))
    own = RefSegInferencer(
        tiny_model.config, tiny_model.weights, 'cpu', show_progress=False)
    encoded = own.set_image(photo)
    _in_threads(4, lambda k: own.segment('a zebra', encoded))
    assert len(messages) == 1


def test_a_bar_of_the_caller_stays(inferencer, photo):
    for _ in track(range(2), transient=True):
        inferencer(photo, SENTENCES, batch_size=1)


def test_the_bar_is_given_back_after_an_error(inferencer, photo, tmp_path):
    from mmrefseg.apis.inference import inferencer as module
    taken = tmp_path / 'file'
    taken.write_text('')
    with pytest.raises(OSError, match='could not be written') as caught:
        inferencer(photo, SENTENCES, batch_size=1, out_dir=taken)
    assert caught and not module._BAR.locked()
