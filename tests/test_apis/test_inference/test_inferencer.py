# Licensed under the Apache License, Version 2.0.
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image, ImageOps

from mmrefseg.apis import RefSegInferencer, init_model
from mmrefseg.apis.inference.image_inputs import (ORIENTATION, list_images,
                                                  pair_texts, to_bgr,
                                                  turn_upright)
from mmrefseg.datasets import RefCOCODataset

SENTENCES = ['red square', 'the blue circle on the right', 'star']


@pytest.fixture(scope='module')
def inferencer(tiny_model):
    return RefSegInferencer(tiny_model.config, tiny_model.weights, 'cpu')


@pytest.fixture
def two_photos(photo, tmp_path):
    """Images of 60 x 90 and 75 x 50 pixels, which have the same name."""
    other = tmp_path / 'other' / Path(photo).name
    other.parent.mkdir()
    cv2.imwrite(str(other), np.rot90(cv2.imread(photo))[10:85, 5:55])
    return [photo, str(other)]


@pytest.fixture
def logged(monkeypatch):
    """Messages of the inferencer as (level, text)."""
    messages = []
    monkeypatch.setattr(
        'mmrefseg.apis.inference.inferencer.print_log',
        lambda text, logger=None, level=logging.INFO: messages.append(
            (level, text)))
    return messages


def assert_same(first, second):
    """Two lists of predictions for each image are the same."""
    for ours, theirs in zip(first, second, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one['text'] == other['text']
            np.testing.assert_array_equal(one['mask'], other['mask'])
            assert one['box'] == other['box']
            assert one['score'] == pytest.approx(other['score'], abs=1e-5)


class TestPreprocessing:

    @pytest.fixture
    def dataset(self, tiny_model, tiny_refer_root):
        settings = Config.fromfile(tiny_model.config).test_dataloader.dataset
        settings.pop('type')
        settings.data_root = str(tiny_refer_root)
        with DefaultScope.overwrite_default_scope('mmrefseg'):
            return RefCOCODataset(**settings)

    def test_equals_the_test_pipeline_to_the_bit(self, inferencer, dataset):
        shapes = set()
        for i, item in enumerate(dataset):
            path = dataset.get_data_info(i)['img_path']
            [image] = list_images(path)
            own = inferencer.pipeline(image)
            assert torch.equal(own.inputs, item['inputs'])
            assert own.inputs.dtype == item['inputs'].dtype
            theirs = item['data_samples'].metainfo
            encoded = inferencer.set_image(path)
            ours = encoded.sample_for(theirs['text']).metainfo
            # All but what an annotation says of the sentence.
            assert set(theirs) - set(ours) >= {'ref_id', 'sent_id'}
            assert not {'ann_id', 'kind', 'no_target'} & set(ours)
            assert ours == {key: theirs[key] for key in ours}
            assert {'img_path', 'ori_shape', 'scale_factor'} < set(ours)
            shapes.add(ours['ori_shape'])
        assert len(shapes) > 1

    def test_predictions_equal_those_of_a_test(self, inferencer, dataset):
        for i in range(len(dataset)):
            item = dataset[i]
            info = dataset.get_data_info(i)
            [[own]] = inferencer(info['img_path'], info['text'])['predictions']
            with torch.no_grad():
                [sample] = inferencer.model.test_step(
                    dict(
                        inputs=[item['inputs']],
                        data_samples=[item['data_samples']]))
            mask = sample.pred_sem_seg.data[0].numpy() == 1
            assert mask.shape == item['data_samples'].gt_sem_seg.shape
            np.testing.assert_array_equal(own['mask'], mask)
            assert 0 < mask.mean() < 1

    def test_arrays_and_pil_images_equal_their_file(self, inferencer, photo):
        pixels = cv2.imread(photo)
        reference = inferencer(photo, SENTENCES)['predictions']
        for image in (pixels, Image.open(photo), Path(photo)):
            assert_same(inferencer(image, SENTENCES)['predictions'], reference)
        # The order of the channels matters, so the above means something.
        [wrong] = list_images(pixels[..., ::-1])
        [right] = list_images(photo)
        assert not torch.equal(
            inferencer.pipeline(wrong).inputs,
            inferencer.pipeline(right).inputs)

    def test_stock_loading_is_understood(self, tiny_model, photo):
        config = Config.fromfile(tiny_model.config)
        config.test_dataloader.dataset.pipeline[0] = dict(
            type='LoadImageFromFile', to_float32=True)
        other = RefSegInferencer(config, tiny_model.weights, 'cpu')
        [image], [array] = list_images(photo), list_images(cv2.imread(photo))
        assert other.pipeline(image).inputs.dtype == torch.float32
        assert torch.equal(
            other.pipeline(image).inputs, other.pipeline(array).inputs)

    def test_pipeline_of_a_wrapped_dataset(self, tiny_model, photo):
        config = Config.fromfile(tiny_model.config)
        inner = config.test_dataloader.dataset
        config.test_dataloader.dataset = dict(
            type='ConcatDataset', datasets=[inner, inner])
        other = RefSegInferencer(config, tiny_model.weights, 'cpu')
        assert other(photo, 'star')['predictions'][0][0]['mask'].any()

    @pytest.mark.parametrize('change, message', [
        (lambda c: c.pop('test_pipeline') and c.pop('test_dataloader'),
         'no test pipeline'),
        (lambda c: c.test_dataloader.dataset.pipeline.pop(0),
         'does not begin with LoadRefImage'),
    ])
    def test_unusable_pipelines(self, tiny_model, change, message):
        config = Config.fromfile(tiny_model.config)
        change(config)
        with pytest.raises(ValueError, match=message):
            RefSegInferencer(config, tiny_model.weights, 'cpu')


class TestOrientation:

    @pytest.mark.parametrize('orientation', range(1, 9))
    def test_pixels_are_turned_as_pillow_turns_them(self, orientation):
        pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
        image = Image.fromarray(pixels)
        image.getexif()[ORIENTATION] = orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(
            turn_upright(pixels, orientation), expected)

    @pytest.fixture
    def turned(self, photo, tmp_path):
        """A JPEG of 90 x 60 stored pixels, upright at 60 x 90."""
        upright = Image.open(photo).convert('RGB')
        exif = Image.Exif()
        exif[ORIENTATION] = 6  # to be turned by 90 degrees, clockwise
        path = tmp_path / 'phone.jpg'
        upright.rotate(
            90, expand=True).save(
                path, exif=exif, quality=95)
        assert Image.open(path).size == (60, 90)
        return path

    def test_photos_are_turned_upright(self, inferencer, turned, photo):
        [[own]] = inferencer(turned, 'star')['predictions']
        assert own['mask'].shape == (60, 90)
        picture = inferencer.pipeline(list_images(turned)[0]).pixels
        # JPEG changes the noise a little, but not where the shapes are.
        upright = cv2.imread(photo).astype(int)
        assert np.abs(picture - upright).mean() < 40
        assert np.abs(picture[::-1, ::-1] - upright).mean() > 50

    @pytest.mark.parametrize('exif, shape', [(True, (60, 90)),
                                             (False, (90, 60))])
    def test_loading_that_turns_by_itself(self, tiny_model, turned, exif,
                                          shape):
        """MMCV's own default turns photos; they are not turned twice."""
        config = Config.fromfile(tiny_model.config)
        config.test_dataloader.dataset.pipeline[0] = dict(
            type='LoadImageFromFile')
        other = RefSegInferencer(
            config, tiny_model.weights, 'cpu', exif=exif)
        [[own]] = other(turned, 'star')['predictions']
        assert own['mask'].shape == shape

    def test_pil_images_are_turned_likewise(self, turned):
        image = Image.open(turned)
        assert to_bgr(image, 'it').shape == (60, 90, 3)
        assert to_bgr(image, 'it', exif=False).shape == (90, 60, 3)

    def test_pixels_as_stored_on_request(self, tiny_model, turned):
        stored = RefSegInferencer(
            tiny_model.config, tiny_model.weights, 'cpu', exif=False)
        [[own]] = stored(turned, 'star')['predictions']
        assert own['mask'].shape == (90, 60)
        expected = cv2.imread(
            str(turned), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        picture = stored.pipeline(list_images(turned)[0]).pixels
        np.testing.assert_array_equal(picture, expected)


class TestPredictions:

    def test_one_result_for_each_sentence(self, inferencer, photo):
        [results] = inferencer(photo, SENTENCES)['predictions']
        assert [x['text'] for x in results] == SENTENCES
        for result in results:
            assert result['mask'].shape == (60, 90)
            assert result['mask'].dtype == bool
            assert 0.5 < result['score'] <= 1
            assert result['files'] == {}
        assert (results[0]['mask'] != results[2]['mask']).any()

    def test_score_and_box(self, inferencer, photo):
        args = photo, SENTENCES
        [results] = inferencer(*args)['predictions']
        [samples] = inferencer(*args, return_datasamples=True)['predictions']
        for result, sample in zip(results, samples, strict=True):
            odds = sample.seg_logits.data.numpy().astype(np.float64)
            probability = 1 / (1 + np.exp(odds[0] - odds[1]))
            inside = probability[result['mask']]
            assert result['score'] == pytest.approx(inside.mean(), abs=1e-6)
            rows, columns = np.nonzero(result['mask'])
            assert result['box'] == [
                columns.min(),
                rows.min(),
                columns.max() + 1,
                rows.max() + 1
            ]
            assert all(isinstance(side, int) for side in result['box'])

    def test_threshold(self, inferencer, photo):
        args = photo, SENTENCES
        half = inferencer(*args, threshold=0.5)['predictions']
        assert_same(half, inferencer(*args)['predictions'])
        [wide] = inferencer(*args, threshold=0.2)['predictions']
        [tight] = inferencer(*args, threshold=0.9)['predictions']
        for a, b, c in zip(wide, half[0], tight):
            assert a['mask'].sum() > b['mask'].sum() > c['mask'].sum()
            assert c['score'] > b['score'] > a['score']
        [samples] = inferencer(
            *args, threshold=0.9, return_datasamples=True)['predictions']
        own = samples[0].pred_sem_seg.data[0].numpy() == 1
        np.testing.assert_array_equal(own, tight[0]['mask'])

    def test_nothing_found(self, inferencer, photo):
        [[own]] = inferencer(
            photo, 'star', threshold=1 - 1e-12)['predictions']
        assert not own['mask'].any()
        assert (own['score'], own['box']) == (0., None)

    @pytest.mark.parametrize('keep_ratio', [False, True])
    def test_batches_change_nothing(self, tiny_model, two_photos, keep_ratio):
        config = Config.fromfile(tiny_model.config)
        config.test_dataloader.dataset.pipeline[1].update(
            keep_ratio=keep_ratio, scale=(96, 64))
        inferencer = RefSegInferencer(config, tiny_model.weights, 'cpu')
        sizes = {
            inferencer.pipeline(image).inputs.shape
            for image in list_images(two_photos)
        }
        assert len(sizes) == (2 if keep_ratio else 1)
        texts = [SENTENCES, ['small circle', 'red square']]
        alone = [[
            inferencer(image, text)['predictions'][0][0] for text in own
        ] for image, own in zip(two_photos, texts)]
        for batch_size in (1, 2, 4, 8):
            together = inferencer(two_photos, texts, batch_size=batch_size)
            assert_same(together['predictions'], alone)

    def test_sentences_share_what_does_not_depend_on_them(
            self, inferencer, two_photos):
        sizes = []
        handle = inferencer.model.backbone.patch_embed.register_forward_hook(
            lambda module, args, output: sizes.append(len(args[0])))
        prepared = []
        load = inferencer.pipeline.loader.transform

        def count(results):
            prepared.append(results['img_path'])
            return load(results)

        inferencer.pipeline.loader.transform = count
        try:
            inferencer(two_photos, [SENTENCES] * 2)
            assert sizes == [2]  # two images, three sentences each
            sizes.clear()
            inferencer(two_photos[0], SENTENCES, batch_size=2)
            assert sizes == [1]  # though its sentences span two batches
            assert prepared == [*two_photos, two_photos[0]]
        finally:
            handle.remove()
            del inferencer.pipeline.loader.transform

    def test_masks_have_the_size_of_the_image_whatever_the_config(
            self, tiny_model, photo):
        config = Config.fromfile(tiny_model.config)
        config.model.test_cfg.output_size = 'input'
        other = RefSegInferencer(config, tiny_model.weights, 'cpu')
        [[own]] = other(photo, 'star')['predictions']
        assert own['mask'].shape == (60, 90)
        assert other.model.test_cfg.output_size == 'input'

    def test_the_scope_of_others_is_left_alone(self, tiny_model, photo):
        with DefaultScope.overwrite_default_scope('mmseg'):
            other = RefSegInferencer(
                tiny_model.config, tiny_model.weights, 'cpu')
            other(photo, 'star')
            current = DefaultScope.get_current_instance()
            assert current.scope_name == 'mmseg'

    def test_a_model_without_weights_says_so(self, tiny_model, logged):
        RefSegInferencer(tiny_model.config, device='cpu')
        assert logged[0][0] == logging.WARNING
        assert 'has no weights' in logged[0][1]

    def test_config_from_the_checkpoint(self, tiny_model, inferencer, photo):
        other = RefSegInferencer(weights=tiny_model.weights, device='cpu')
        assert_same(
            other(photo, SENTENCES)['predictions'],
            inferencer(photo, SENTENCES)['predictions'])

    def test_list_models(self):
        names = RefSegInferencer.list_models(
            patterns='.*lqgnet_swin-t.*refcoco-4')
        assert names == ['mpg-lqgnet_swin-t_1xb8-35e_refcoco-448x448']


class TestWords:

    def test_unknown_words_are_told_once(self, inferencer, photo, logged):
        texts = ['the Zebra near the red star', 'a zebra', 'blue star']
        inferencer(photo, texts)
        inferencer(photo, texts)
        assert [level for level, _ in logged] == [logging.WARNING]
        assert "'Zebra' and 'near'" in logged[0][1]

    def test_known_words_are_not(self, inferencer, photo, logged):
        inferencer(photo, SENTENCES)
        assert logged == []


class TestImagesAndTexts:

    def test_one_sentence_for_all_images(self, inferencer, two_photos):
        one, two = inferencer(two_photos, 'star')['predictions']
        assert [x['text'] for x in one + two] == ['star', 'star']
        assert one[0]['mask'].shape != two[0]['mask'].shape

    def test_one_sentence_for_each_image(self, two_photos):
        images = list_images(two_photos)
        assert pair_texts(['a', 'b'], images) == [['a'], ['b']]
        assert pair_texts([['a', 'c'], 'b'], images) == [['a', 'c'], ['b']]
        assert pair_texts(('a', 'b'), images[:1]) == [['a', 'b']]
        assert pair_texts([('a', 'b')], images[:1]) == [['a', 'b']]

    def test_folder(self, photo, tmp_path):
        for name in ('b.JPG', 'a.png'):
            cv2.imwrite(str(tmp_path / name), cv2.imread(photo))
        (tmp_path / 'notes.txt').write_text('x')
        (tmp_path / '.hidden.png').write_bytes(b'x')
        (tmp_path / 'inner.png').mkdir()
        images = list_images(tmp_path)
        assert [x.name for x in images] == ['a', 'b']
        assert images[0].source == str(tmp_path / 'a.png')

    def test_names_are_different(self, two_photos):
        images = list_images([*two_photos, np.zeros((4, 4), np.uint8)])
        assert [x.name for x in images] == ['two_shapes', 'two_shapes-1',
                                            'image2']

    def test_file_addresses(self, photo):
        [image] = list_images(Path(photo).as_uri())  # its space is %20
        assert (image.path, image.name) == (photo, 'two_shapes')
        [image] = list_images(f'file://localhost{photo}')
        assert image.path == photo

    def test_an_address_is_read_once(self, inferencer, photo, monkeypatch):
        content = Path(photo).read_bytes()
        fetched = []
        monkeypatch.setattr(
            'mmengine.fileio.get', lambda path, backend_args=None:
            fetched.append(path) or content)
        address = 'https://example.org/a.png'
        [[own]] = inferencer(address, 'star')['predictions']
        assert fetched == [address]
        [[same]] = inferencer(cv2.imread(photo), 'star')['predictions']
        np.testing.assert_array_equal(own['mask'], same['mask'])

    def test_advice_is_for_inference(self, inferencer):
        with pytest.raises(ValueError) as caught:
            inferencer('http://127.0.0.1:9/x.png', 'star')
        assert 'data_root' not in str(caught.value)

    @pytest.mark.parametrize('suffix, dtype', [('.png', '<u2'),
                                               ('.tif', '<u2'),
                                               ('.tif', '>u2')])
    def test_16_bits_as_from_the_file(self, inferencer, tmp_path, suffix,
                                      dtype):
        path = str(tmp_path / f'deep{suffix}')
        ramp = np.arange(0, 65536, 17, np.uint16).reshape(16, 241)[::-1]
        Image.fromarray(ramp.astype(dtype)).save(path)
        with Image.open(path) as image:
            assert image.mode.startswith('I')
            own = to_bgr(image, 'it')
        np.testing.assert_array_equal(own[..., 0], ramp >> 8)
        stored = inferencer.pipeline(list_images(path)[0]).pixels
        np.testing.assert_array_equal(own, stored)

    def test_advice_for_32_bits_is_right(self):
        picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
        image = Image.fromarray(picture.astype(np.float32) / 2 - 7)
        with pytest.raises(ValueError) as caught:
            to_bgr(image, 'it')
        code = str(caught.value)
        code = code[code.index('Image.from'):code.index(' with the')]
        better = eval(code, dict(
            Image=Image, np=np, image=image, black=-7, white=120.5))
        np.testing.assert_array_equal(to_bgr(better, 'it')[..., 0], picture)

    def test_grey_arrays(self):
        grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
        for image in (grey, grey[..., None], Image.fromarray(grey)):
            own = to_bgr(image, 'it')
            assert own.shape == (3, 4, 3)
            assert (own == grey[..., None]).all()

    def test_pil_colours(self):
        image = Image.new('RGBA', (4, 3), (1, 2, 3, 255))
        assert to_bgr(image, 'it')[0, 0].tolist() == [3, 2, 1]

    @pytest.mark.parametrize('images, texts, error, message', [
        ('nowhere.png', 'star', FileNotFoundError,
         'Image nowhere.png does not exist'),
        ([], 'star', ValueError, 'There is no image'),
        ('EMPTY', 'star', FileNotFoundError, r'has no image \(.bmp, .jpeg'),
        ('BROKEN', 'star', ValueError, 'broken.png is not an image'),
        ('CUT', 'star', ValueError, 'cut.png is cut off'),
        (['EMPTY'], 'star', FileNotFoundError, 'is a folder'),
        (3, 'star', TypeError, 'Image 0 is of type int'),
        (np.zeros((4, 4, 3)), 'star', ValueError, 'type float64: give H x W'),
        (np.zeros((4, 4, 4), np.uint8), 'star', ValueError, r'\(4, 4, 4\)'),
        (np.zeros((0, 4, 3), np.uint8), 'star', ValueError, r'\(0, 4, 3\)'),
        (Image.new('I', (4, 4)), 'star', ValueError, 'scale it to 0..255'),
        (Image.new('F', (4, 4)), 'star', ValueError, 'has 32 bits'),
        (np.zeros((4, 4), np.uint16), 'star', ValueError, r'array >> 8'),
        ('s3://bucket/x.png', 'star', ValueError,
         'Image s3://bucket/x.png cannot be read.*: download it'),
        ('file:///no/where.png', 'star', FileNotFoundError,
         'Image /no/where.png does not exist'),
        ('PHOTO', '', ValueError, r"photo.png is empty \(''\)"),
        ('PHOTO', ['star', ' \n'], ValueError, 'sentence for .*photo.png is'),
        ('PHOTO', '\u200b', ValueError, 'cannot be seen'),
        ('PHOTO', [], ValueError, 'There is no sentence for'),
        ('PHOTO', [[]], ValueError, 'There is no sentence for'),
        ('PHOTO', 5, TypeError, 'but int'),
        ('PHOTO', ['star', 5], TypeError, 'is of type int, not str: 5'),
        ('PHOTO', [['a'], ['b']], ValueError,
         'texts has 2 entries for 1 image: '),
        ('PHOTO', [['star', 5]], TypeError, 'is of type int, not str: 5'),
        (['PHOTO', 'PHOTO'], ['a', 'b', 'c'], ValueError,
         'texts has 3 entries for 2 images: give one sentence'),
        (['PHOTO', 'PHOTO'], ['a', None], TypeError, 'type NoneType'),
    ])
    def test_what_goes_wrong_is_said(self, inferencer, photo, tmp_path, images,
                                     texts, error, message):
        content = Path(photo).read_bytes()
        (tmp_path / 'photo.png').write_bytes(content)
        (tmp_path / 'cut.png').write_bytes(content[:-60])
        (tmp_path / 'broken.png').write_text('no picture')
        (tmp_path / 'empty').mkdir()
        known = dict(
            EMPTY=str(tmp_path / 'empty'),
            PHOTO=str(tmp_path / 'photo.png'),
            CUT=str(tmp_path / 'cut.png'),
            BROKEN=str(tmp_path / 'broken.png'))
        if isinstance(images, list):
            images = [known.get(image, image) for image in images]
        elif isinstance(images, str):
            images = known.get(images, images)
        with pytest.raises(error, match=message):
            inferencer(images, texts)

    @pytest.mark.parametrize('options, message', [
        (dict(batch_size=0), 'batch_size=0'),
        (dict(threshold=1.), 'between 0 and 1'),
        (dict(save_predictions=True), 'needs an out_dir'),
    ])
    def test_wrong_options(self, inferencer, photo, options, message):
        with pytest.raises(ValueError, match=message):
            inferencer(photo, 'star', **options)

    def test_nothing_is_computed_before_all_sentences_are_right(
            self, inferencer, two_photos, tmp_path):
        with pytest.raises(ValueError, match='other.*cannot be seen'):
            inferencer(two_photos, ['star', '\u200b'], out_dir=tmp_path / 'x')
        assert not (tmp_path / 'x').exists()


class TestPictures:

    def test_files(self, inferencer, two_photos, tmp_path):
        out = tmp_path / 'out'
        done = inferencer(
            two_photos, [SENTENCES] * 2, out_dir=out, save_predictions=True)
        flat = sum(done['predictions'], [])
        pictures = [Path(x['files']['picture']) for x in flat]
        assert len(set(pictures)) == 6
        assert pictures[0].name.startswith('two_shapes_red-square-')
        assert pictures[3].name.startswith('two_shapes-1_red-square-')
        for result in flat:
            picture = cv2.imread(result['files']['picture'])
            assert min(picture.shape[:2]) >= 448
            mask = cv2.imread(result['files']['mask'], cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(mask, result['mask'] * 255)
        summary = json.loads((out / 'predictions.json').read_text())
        assert len(summary) == 6
        assert summary[4]['image'] == two_photos[1]
        assert summary[4]['text'] == SENTENCES[1]
        assert summary[4]['box'] == flat[4]['box']
        assert summary[4]['score'] == flat[4]['score']
        assert (out / summary[4]['mask']).is_file()
        assert len(list(out.iterdir())) == 13
        assert done['visualization'] is None

    def test_pictures_are_returned(self, inferencer, two_photos):
        done = inferencer(
            two_photos, ['star', SENTENCES], return_vis=True, batch_size=2)
        assert [len(x) for x in done['visualization']] == [1, 3]
        plain = done['visualization'][0][0]
        assert plain.dtype == np.uint8 and plain.shape[2] == 3
        more = inferencer(
            two_photos[0],
            'star',
            return_vis=True,
            draw_prior=True,
            draw_attention=True)['visualization'][0][0]
        assert more.shape[0] > plain.shape[0]
        assert more.shape[1] > plain.shape[1]
        assert not inferencer.model.test_cfg.get('return_prior', False)

    def test_colours_are_not_exchanged(self, inferencer):
        red = np.zeros((64, 64, 3), np.uint8)
        red[..., 2] = 200  # BGR
        [[picture]] = inferencer(
            red, 'star', return_vis=True, threshold=1 - 1e-12)['visualization']
        below = picture[-100:].reshape(-1, 3).mean(axis=0)
        assert below[0] > 190 and below[1:].max() < 10

    def test_datasamples_carry_what_was_fetched_for(self, inferencer, photo,
                                                  tmp_path):
        [[sample]] = inferencer(
            photo,
            'red star',
            out_dir=tmp_path,
            draw_prior=True,
            draw_attention=True,
            return_datasamples=True)['predictions']
        assert sample.mask_prior.shape == (60, 90)
        assert sample.word_attention.data.shape == (4, 60, 90)
        assert sample.metainfo['tokens'][1:3] == ['red', 'star']

    def test_windows(self, inferencer, photo, monkeypatch):
        shown = []
        monkeypatch.setattr(
            inferencer.visualizer, 'show',
            lambda picture, win_name, wait_time: shown.append(
                (picture.dtype, win_name, wait_time)))
        inferencer(photo, SENTENCES, show=True, wait_time=3)
        assert shown == [(np.uint8, text, 3) for text in SENTENCES]

    def test_settings_of_the_config_are_used(self, tiny_model):
        config = Config.fromfile(tiny_model.config)
        config.visualizer = dict(
            type='RefSegVisualizer',
            name='visualizer',
            vis_backends=[dict(type='LocalVisBackend')],
            alpha=0.6)
        other = RefSegInferencer(config, tiny_model.weights, 'cpu')
        assert other.visualizer.alpha == 0.6


def test_progress_is_shown_for_several_batches(tiny_model, photo, capsys):
    quiet = RefSegInferencer(
        tiny_model.config, tiny_model.weights, 'cpu', show_progress=False)
    quiet(photo, SENTENCES, batch_size=1)
    assert capsys.readouterr().out == ''


def test_the_device_is_that_of_the_model(tiny_model):
    model = init_model(tiny_model.config, tiny_model.weights, 'cpu')
    assert next(model.parameters()).device.type == 'cpu'
