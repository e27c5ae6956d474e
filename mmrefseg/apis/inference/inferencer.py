# Licensed under the Apache License, Version 2.0.
import logging
import re
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from rich.errors import LiveError
from rich.progress import track
from torch import nn

from mmrefseg.registry import INFERENCERS
from mmrefseg.structures import ImageFeatures, Pairs, PredictOptions
from mmrefseg.visualization import RefSegVisualizer
from ..checkpoints.init_model import (ModelType, build_model, load_config,
                                      scope_of)
from ..checkpoints.model_zoo import list_models, packaged_models
from .image_inputs import (EncodedImage, ImageInput, ImagesType, ImageType,
                           TextsType, list_images, pair_texts)
from .pipeline import InferencePipeline
from .results import ResultWriter, describe_prediction

Jobs = Sequence[tuple[EncodedImage, str]]

# What there is one of in a process, or for each thread.
_BAR, _WINDOW = threading.Lock(), threading.Lock()
_THREAD = threading.local()


@INFERENCERS.register_module()
class RefSegInferencer(BaseInferencer):
    """Segments what sentences refer to in images.

    Images are prepared by the test pipeline of the model's config. An image
    is encoded once: its sentences share the features up to the first fusion
    with language, which of a late-fusion model is the whole backbone.

    Threads may share an inferencer: options belong to a call, and the image
    of :meth:`set_image` to the thread that set it.

    Args:
        model (str | Path | Config | dict, optional): Name of a packaged model
            ('mpg-lqgnet_nano'), of the model index or of a config of the
            package; a config or its path; or a folder of a published model.
            None takes the config that ``weights`` carry.
        weights (str | Path, optional): A checkpoint, or its address. A
            packaged model has its own.
        device (str, optional): E.g. 'cuda:0' or 'cpu'. Defaults to the best
            that is there.
        exif (bool): Turn photos upright as their EXIF tag says, so that left
            and right, above and below are those that a person sees. Masks
            are then in the frame of the upright picture. Datasets ignore the
            tag. Defaults to True.
        show_progress (bool): Show a bar where there is more than one batch.
            Defaults to True.

    Raises:
        FileNotFoundError: Model or weights are not there.
        ValueError: The name is unknown, or the weights do not fit.

    Example:
        >>> import numpy as np
        >>> from mmrefseg.apis import RefSegInferencer
        >>> inferencer = RefSegInferencer('mpg-lqgnet_nano', device='cpu')
        >>> image = np.full((60, 90, 3), 40, np.uint8)
        >>> image[20:40, 10:30] = 0, 0, 255  # BGR
        >>> result = inferencer(image, ['red square', 'the left square'])
        >>> result['predictions'][0][1]['mask'].shape
        (60, 90)
        >>> encoded = inferencer.set_image(image)
        >>> inferencer.segment('red square')['predictions'][0]['text']
        'red square'
    """

    def __init__(self,
                 model: ModelType | None = None,
                 weights: str | Path | None = None,
                 device: str | None = None,
                 *,
                 exif: bool = True,
                 show_progress: bool = True) -> None:
        self.exif = exif
        self._reported: dict[str, object] = {}  # unknown words
        config, found = load_config(model, weights)
        super().__init__(
            config,
            found,
            device,
            scope='mmrefseg',
            show_progress=show_progress)

    def set_image(self, image: ImageType) -> EncodedImage:
        """Compute what does not depend on a sentence, and keep it.

        Args:
            image (str | Path | np.ndarray | PIL.Image.Image): One image, as
                :meth:`__call__` takes it.

        Returns:
            EncodedImage: To be given to :meth:`segment` or in the place of an
            image to :meth:`__call__`, in any thread. :meth:`segment` takes
            the last one that its own thread has set.

        Raises:
            FileNotFoundError, TypeError, ValueError: As :meth:`__call__`.
        """
        images = list_images(image)
        if len(images) > 1:
            raise ValueError(f'set_image takes one image, but {len(images)} '
                             'were given: set them one after the other.')
        [encoded] = self._encode(images)
        if not hasattr(_THREAD, 'images'):
            _THREAD.images = WeakKeyDictionary()
        _THREAD.images[self] = encoded
        return encoded

    def segment(self,
                texts: str | Sequence[str],
                image: EncodedImage | None = None,
                **options: Any) -> dict[str, Any]:
        """Segment what sentences refer to in an image that is encoded.

        Args:
            texts (str | Sequence[str]): One sentence or several.
            image (EncodedImage, optional): What :meth:`set_image` returned.
                None takes the last that was set in this thread.
            **options: As of :meth:`__call__`.

        Returns:
            dict: ``predictions`` and ``visualization`` as :meth:`__call__`
            gives them for one image: lists with an item for each sentence.

        Raises:
            TypeError: ``image`` was not made by :meth:`set_image`.
            ValueError: No image was set, or a sentence or an option is wrong.
        """
        if image is None:
            image = getattr(_THREAD, 'images', {}).get(self)
        if image is None:
            raise ValueError(
                'No image was set in this thread: call set_image(image) '
                'first, or give segment what set_image returned.')
        if not isinstance(image, EncodedImage):
            raise TypeError(f'image is of type {type(image).__name__}: give '
                            'segment what set_image(image) returned.')
        done = self([image], texts, **options)
        return {key: value and value[0] for key, value in done.items()}

    def __call__(self,
                 images: ImagesType,
                 texts: TextsType,
                 *,
                 batch_size: int = 8,
                 threshold: float | None = None,
                 out_dir: str | Path | None = None,
                 save_predictions: bool = False,
                 show: bool = False,
                 wait_time: float = 0.,
                 return_vis: bool = False,
                 draw_prior: bool = False,
                 draw_attention: bool = False,
                 return_datasamples: bool = False) -> dict[str, Any]:
        """Segment what each sentence refers to.

        Args:
            images (str | Path | np.ndarray | PIL.Image.Image | EncodedImage |
                Sequence): An image or several: paths, a folder, addresses,
                PIL images, arrays (``H x W x 3``, uint8, **BGR** as MMCV and
                OpenCV have it; ``H x W`` is grey), or what
                :meth:`set_image` returned.
            texts (str | Sequence): One sentence for all images; for one image
                a list of sentences; for several images a list with an entry
                for each, a sentence or a list of sentences.
            batch_size (int): Sentences that the model takes at once, on one
                image or on several. It changes speed and memory, not results.
                Defaults to 8.
            threshold (float, optional): Probability above which a pixel
                belongs to the mask, between 0 and 1. None takes the likelier
                of background and referent, as testing does.
            out_dir (str | Path, optional): Folder for a picture of each
                sentence: ``<image>_<sentence>.png``.
            save_predictions (bool): Also write each mask there
                (``<image>_<sentence>_mask.png``, 255 on the referent) and
                ``predictions.json``. Defaults to False.
            show (bool): Open a window for each sentence. Defaults to False.
            wait_time (float): Seconds that it stays; 0 waits for a key.
            return_vis (bool): Whether the pictures are returned. Defaults to
                False.
            draw_prior (bool): Draw the mask prior beside the picture.
                Defaults to False.
            draw_attention (bool): Draw the attention of each word below it.
                Defaults to False.
            return_datasamples (bool): Return data samples instead of dicts.
                Defaults to False.

        Returns:
            dict: ``predictions``: for each image a list with, for each of its
            sentences, a dict (or a SegDataSample) with

            - ``text`` (str): the sentence;
            - ``mask`` (np.ndarray): ``H x W``, bool, at the image's own size;
            - ``score`` (float): mean probability of the referent over the
              pixels of the mask, 0 to 1; 0 if the mask is empty;
            - ``box`` (list[int] | None): ``[x0, y0, x1, y1]`` in pixels,
              ``x1`` and ``y1`` just beyond the mask; None if it is empty;
            - ``files`` (dict): what was written: ``picture``, ``mask``;
            - ``doubt`` (str, optional): a sentence where the model is not
              sure of what it found;
            - only of a model whose head predicts existence:
              ``existence_score`` (float), how sure it is that the referent
              is in the image, 0 to 1, and ``no_target`` (bool): it is not,
              and the mask is empty.

            ``visualization``: likewise nested pictures (RGB, uint8), or None
            unless ``return_vis``.

        Raises:
            FileNotFoundError: An image is not there, or a folder has none.
            TypeError: Something is no image or no sentence.
            OSError: A file cannot be written; the message names it.
            ValueError: An image cannot be read or was encoded by another
                model, a sentence is empty, or texts and images do not go
                together.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}: give 1 or more.')
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(
                f'threshold={threshold} must lie between 0 and 1.')
        writer = ResultWriter(
            None if out_dir is None else str(out_dir), save_predictions)
        sources = list_images(images)
        sentences = pair_texts(texts, sources)
        self._check_words(sources, sentences)
        draw = show or return_vis or out_dir is not None
        options = PredictOptions.from_cfg(self.model.test_cfg)
        options = replace(
            options,
            output_size='original',
            return_prior=draw and draw_prior,
            return_attention=draw and draw_attention,
            threshold=options.threshold if threshold is None else threshold)
        predictions: list[list] = [[] for _ in sources]
        visualization: list[list] = [[] for _ in sources]
        total = -(-sum(map(len, sentences)) // batch_size)
        batches = self.preprocess(sources, sentences, batch_size)
        with closing(self._track(batches, total)) as tracked:
            for numbers, jobs in tracked:
                samples = self.forward(jobs, options=options)
                results = self.postprocess(samples)
                views: Sequence = [None] * len(jobs)
                if draw:
                    views = self.visualize([image.pixels for image, _ in jobs],
                                           samples, show, wait_time,
                                           draw_prior, draw_attention)
                for i, view, sample, result in zip(numbers, views, samples,
                                                   results):
                    result['files'] = writer.write(sources[i], view, result)
                    predictions[i].append(
                        sample.cpu() if return_datasamples else result)
                    visualization[i].append(view)
        writer.finish()
        return dict(
            predictions=predictions,
            visualization=visualization if return_vis else None)

    def preprocess(self,
                   inputs: Sequence[ImageInput],
                   texts: Sequence[Sequence[str]] = (),
                   batch_size: int = 8,
                   **kwargs: Any) -> Iterator[tuple[list[int], Jobs]]:
        """Cut the sentences (a list for each image) into batches and encode
        the images they need, holding no more than a batch needs.

        Yields:
            tuple: Image number of each sentence, and encoded image and text
            of each.
        """
        pairs = [(i, text) for i, own in enumerate(texts) for text in own]
        encoded: dict[int, EncodedImage] = {}
        for start in range(0, len(pairs), batch_size):
            batch = pairs[start:start + batch_size]
            numbers = [i for i, _ in batch]
            encoded = {i: encoded[i] for i in numbers if i in encoded}
            missing = sorted(set(numbers) - set(encoded))
            encoded.update(
                zip(missing, self._encode([inputs[i] for i in missing])))
            yield numbers, [(encoded[i], text) for i, text in batch]

    @torch.no_grad()
    def _encode(self, images: Sequence[ImageInput]) -> list[EncodedImage]:
        """Encode images, those of one size together."""
        found: dict[int, EncodedImage] = {}
        groups: dict[torch.Size, list] = {}
        for i, image in enumerate(images):
            if not isinstance(image.source, EncodedImage):
                item = self.pipeline(image)
                groups.setdefault(item.inputs.shape, []).append((i, item))
            elif image.source.model is self.model:
                found[i] = image.source
            else:
                raise ValueError(f'{image} was encoded by another inferencer: '
                                 'call set_image of this one.')
        for group in groups.values():
            data = self.model.data_preprocessor(
                dict(
                    inputs=[item.inputs for _, item in group],
                    data_samples=[item.data_sample for _, item in group]))
            features = self.model.encode_images(data['inputs'])
            for row, (i, item) in enumerate(group):
                own = features
                if len(group) > 1:  # a copy, which lets go of the others
                    own = features.select(torch.tensor([row]))
                found[i] = EncodedImage(images[i].path, images[i].name,
                                        item.pixels, item.data_sample, own,
                                        self.model)
        return [found[i] for i in range(len(images))]

    @torch.no_grad()
    def forward(self,
                inputs: Jobs,
                *,
                options: PredictOptions | None = None,
                **kwargs: Any) -> list[BaseDataElement]:
        """Predict a data sample for each image and sentence of a batch.

        None for ``options`` takes those of the model's ``test_cfg``.
        """
        samples = [image.sample_for(text) for image, text in inputs]
        groups: dict[tuple, list[int]] = {}
        for k, (image, _) in enumerate(inputs):
            groups.setdefault(image.features.size, []).append(k)
        for size, members in groups.items():
            images = list(dict.fromkeys(inputs[k][0] for k in members))
            features = images[0].features
            if len(images) > 1:
                stages = zip(*(image.features.maps for image in images))
                features = ImageFeatures(tuple(map(torch.cat, stages)), size)
            rows = torch.tensor([images.index(inputs[k][0]) for k in members],
                                device=features.maps[0].device)
            self.model.segment(features, [samples[k] for k in members],
                               Pairs(image=rows), options)
        return samples

    def postprocess(self,
                    preds: Sequence[BaseDataElement],
                    visualization: Sequence[np.ndarray] | None = None,
                    return_datasample: bool = False,
                    **kwargs: Any) -> list[dict[str, Any]]:
        """Describe predicted samples, see :meth:`__call__`."""
        return [describe_prediction(sample) for sample in preds]

    def visualize(self,
                  inputs: Sequence[np.ndarray],
                  preds: Sequence[BaseDataElement],
                  show: bool = False,
                  wait_time: float = 0.,
                  draw_prior: bool = False,
                  draw_attention: bool = False) -> list[np.ndarray]:
        """Draw predictions on their images (``H x W x 3``, uint8, BGR).

        Returns:
            list[np.ndarray]: RGB, uint8.
        """
        pictures = []
        for image, sample in zip(inputs, preds):
            picture = self.visualizer.draw_sample(
                image[..., ::-1],
                sample,
                draw_gt=False,
                draw_prior=draw_prior,
                draw_attention=draw_attention)
            if show:
                with _WINDOW:
                    self.visualizer.show(
                        picture,
                        win_name=sample.metainfo['text'],
                        wait_time=wait_time)
            pictures.append(picture)
        return pictures

    @staticmethod
    def list_models(scope: str | None = None,
                    patterns: str = r'.*') -> list[str]:
        """Names that ``model`` can be and that match a regular expression,
        those of packaged models first; ``scope`` is unused."""
        return [name for name in list_models() if re.match(patterns, name)]

    def _init_model(self, cfg: Config, weights: str | None,
                    device: str) -> nn.Module:
        model = build_model(cfg, weights, device)
        if weights is None and not getattr(model, 'brings_weights', False):
            print_log(
                'The model has no weights: its masks are random. Give '
                'weights=, or the name of a packaged model '
                f'({", ".join(packaged_models()) or "there is none"}).',
                'current',
                level=logging.WARNING)
        return model

    def _init_pipeline(self, cfg: Config) -> InferencePipeline:
        with scope_of(cfg):
            return InferencePipeline(cfg, exif=self.exif)

    def _init_collate(self, cfg: Config) -> Callable:
        return pseudo_collate  # unused: batches are made of sentences here

    def _init_visualizer(self, cfg: Config) -> RefSegVisualizer:
        """The config's own settings of drawing, without its backends: files
        are written here."""
        settings = dict(cfg.get('visualizer') or {})
        kind = str(settings.pop('type', '')).split('.')[-1]
        if kind != RefSegVisualizer.__name__:
            settings = {}
        for key in ('name', 'vis_backends', 'save_dir', '_scope_'):
            settings.pop(key, None)
        return RefSegVisualizer('inferencer', **settings)

    def _check_words(self, images: Sequence[ImageInput],
                     texts: Sequence[Sequence[str]]) -> None:
        """Raise a ValueError for a sentence without a word, before anything
        is computed, and report words that the model does not know."""
        encoder = self.model.language_encoder
        for image, own in zip(images, texts):
            for text in own:
                call = object()
                try:
                    encoder.tokens(text)
                except ValueError:
                    raise ValueError(
                        f'A sentence for {image} has no word ({text!r}): say '
                        'in words what is meant.') from None
                # dict.setdefault is atomic: of several threads one reports
                unknown = [
                    word for word in encoder.unknown_words(text)
                    if self._reported.setdefault(word.lower(), call) is call
                ]
                if unknown:
                    print_log(
                        'The model has never learnt '
                        f'{" and ".join(map(repr, unknown))} (in {text!r}) '
                        'and reads it as an unknown word: expect little of '
                        'it.',
                        'current',
                        level=logging.WARNING)

    def _track(self, batches: Iterator, total: int) -> Generator:
        """The batches, with a bar where no other is shown."""
        if self.show_progress and total > 1 and _BAR.acquire(blocking=False):
            try:
                yield from track(
                    batches, 'Segmenting', total=total, transient=True)
            except LiveError:  # the caller shows one; no batch was taken
                pass
            finally:
                _BAR.release()
        yield from batches
