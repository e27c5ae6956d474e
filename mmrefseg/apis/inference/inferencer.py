# Licensed under the Apache License, Version 2.0.
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from rich.progress import track
from torch import nn

from mmrefseg.registry import INFERENCERS
from mmrefseg.visualization import RefSegVisualizer
from ..checkpoints.init_model import (ModelType, build_model, load_config,
                                      scope_of)
from ..checkpoints.model_zoo import list_models, packaged_models
from .image_inputs import (ImageInput, ImagesType, TextsType, list_images,
                           pair_texts)
from .pipeline import InferencePipeline, Prepared
from .results import ResultWriter, describe_prediction


@INFERENCERS.register_module()
class RefSegInferencer(BaseInferencer):
    """Segments what sentences mean in images.

    Images are prepared by the test pipeline of the model's config. Sentences
    about one image share its features up to the first fusion with language.

    Args:
        model (str | Path | Config | dict, optional): Name of a model in the
            box ('mpg-lqgnet_nano'), of the model index or of a config of the
            package; a config or its path; or a folder of a published model.
            None takes the config that ``weights`` carry.
        weights (str | Path, optional): A checkpoint, or its address. A model
            in the box has its own.
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
        >>> inferencer = RefSegInferencer('mpg-lqgnet_nano')
        >>> result = inferencer('scene.png', ['red star', 'the left circle'])
        >>> result['predictions'][0][1]['mask'].sum()
    """

    def __init__(self,
                 model: ModelType | None = None,
                 weights: str | Path | None = None,
                 device: str | None = None,
                 *,
                 exif: bool = True,
                 show_progress: bool = True) -> None:
        self.exif = exif
        self._told: set = set()  # unknown words that were named already
        config, found = load_config(model, weights)
        super().__init__(
            config,
            found,
            device,
            scope='mmrefseg',
            show_progress=show_progress)

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
        """Segment what each sentence means.

        Args:
            images (str | Path | np.ndarray | PIL.Image.Image | Sequence): An
                image or several: paths, a folder, addresses, PIL images, or
                arrays (``H x W x 3``, uint8, **BGR** as MMCV and OpenCV have
                it; ``H x W`` is grey).
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
            draw_attention (bool): Draw where each word looks below it.
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
            - only of a model whose head predicts existence:
              ``existence_score`` (float), how sure it is that the thing is
              there, 0 to 1, and ``no_target`` (bool): it says that it is not,
              and the mask is empty.

            ``visualization``: likewise nested pictures (RGB, uint8), or None
            unless ``return_vis``.

        Raises:
            FileNotFoundError: An image is not there, or a folder has none.
            TypeError: Something is no image or no sentence.
            ValueError: An image cannot be read, a sentence is empty, or texts
                and images do not go together.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}: give 1 or more.')
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(
                f'threshold={threshold} must lie between 0 and 1.')
        writer = ResultWriter(
            None if out_dir is None else str(out_dir), save_predictions)
        pictures = list_images(images)
        sentences = pair_texts(texts, pictures)
        self._check_words(pictures, sentences)
        draw = show or return_vis or out_dir is not None
        how = dict(
            show=show,
            wait_time=wait_time,
            draw_prior=draw_prior,
            draw_attention=draw_attention)
        predictions: list[list] = [[] for _ in pictures]
        visualization: list[list] = [[] for _ in pictures]
        with self._asked(
                prior=draw and draw_prior, attention=draw and draw_attention):
            for jobs, prepared in self._track(
                    self.preprocess(pictures, sentences, batch_size),
                    -(-sum(map(len, sentences)) // batch_size)):
                samples = self.forward(_collate(jobs, prepared))
                results = self.postprocess(samples, threshold=threshold)
                originals = [prepared[image].image for image, _ in jobs]
                views = self.visualize(originals, samples, **
                                       how) if draw else [None] * len(jobs)
                for (image, _), view, sample, result in zip(
                        jobs, views, samples, results):
                    result['files'] = writer.write(pictures[image], view,
                                                   result)
                    predictions[image].append(
                        sample.cpu() if return_datasamples else result)
                    visualization[image].append(view)
        writer.finish()
        return dict(
            predictions=predictions,
            visualization=visualization if return_vis else None)

    def preprocess(
            self,
            inputs: Sequence[ImageInput],
            texts: Sequence[Sequence[str]],
            batch_size: int = 8
    ) -> Iterator[tuple[list[tuple[int, str]], dict[int, Prepared]]]:
        """Cut the sentences into batches and prepare the images they need.

        Args:
            inputs (Sequence[ImageInput]): The images.
            texts (Sequence[Sequence[str]]): For each image its sentences.
            batch_size (int): Sentences in a batch.

        Yields:
            tuple: Image number and sentence of each item, and the prepared
            images by number. No more images are held than a batch needs.
        """
        jobs = [(i, text) for i, own in enumerate(texts) for text in own]
        prepared: dict[int, Prepared] = {}
        for start in range(0, len(jobs), batch_size):
            batch = jobs[start:start + batch_size]
            prepared = {
                i: prepared.get(i) or self.pipeline(inputs[i])
                for i in dict.fromkeys(image for image, _ in batch)
            }
            yield batch, prepared

    def postprocess(self,
                    preds: Sequence[BaseDataElement],
                    visualization: Sequence[np.ndarray] | None = None,
                    return_datasample: bool = False,
                    *,
                    threshold: float | None = None) -> list[dict[str, Any]]:
        """Say what the model found.

        Args:
            preds (Sequence[SegDataSample]): Of a batch.
            visualization: Unused, part of the base class's interface.
            return_datasample: Unused likewise.
            threshold (float, optional): See :meth:`__call__`.

        Returns:
            list[dict]: See
            :func:`~mmrefseg.apis.inference.results.describe_prediction`.
        """
        return [describe_prediction(sample, threshold) for sample in preds]

    def visualize(self,
                  inputs: Sequence[np.ndarray],
                  preds: Sequence[BaseDataElement],
                  show: bool = False,
                  wait_time: float = 0.,
                  draw_prior: bool = False,
                  draw_attention: bool = False) -> list[np.ndarray]:
        """Draw predictions.

        Args:
            inputs (Sequence[np.ndarray]): The image of each sentence,
                ``H x W x 3``, uint8, BGR.
            preds (Sequence[SegDataSample]): Predictions.
            show (bool): Open a window for each.
            wait_time (float): Seconds that it stays; 0 waits for a key.
            draw_prior (bool): Draw the mask prior.
            draw_attention (bool): Draw where each word looks.

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
                self.visualizer.show(
                    picture,
                    win_name=sample.metainfo['text'],
                    wait_time=wait_time)
            pictures.append(picture)
        return pictures

    @staticmethod
    def list_models(scope: str | None = None,
                    patterns: str = r'.*') -> list[str]:
        """Names that ``model`` can be, those with weights in the box first.

        Args:
            scope: Unused, part of the base class's interface.
            patterns (str): A regular expression for the names wanted.
        """
        return [name for name in list_models() if re.match(patterns, name)]

    def _init_model(self, cfg: Config, weights: str | None,
                    device: str) -> nn.Module:
        if weights is None:
            print_log(
                'The model has no weights: its masks mean nothing. Give '
                'weights=, or the name of a model in the box '
                f'({", ".join(packaged_models()) or "there is none"}).',
                'current',
                level=logging.WARNING)
        return build_model(cfg, weights, device)

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
        """Find fault with sentences before anything is computed.

        Raises:
            ValueError: A sentence has nothing that counts as a word.
        """
        encoder = self.model.language_encoder
        for image, own in zip(images, texts):
            for text in own:
                try:
                    encoder.tokens(text)
                except ValueError:
                    raise ValueError(
                        f'A sentence for {image} has no word ({text!r}): say '
                        'in words what is meant.') from None
                unknown = [
                    word for word in encoder.unknown_words(text)
                    if word.lower() not in self._told
                ]
                if not unknown:
                    continue
                self._told.update(word.lower() for word in unknown)
                print_log(
                    'The model has never learnt '
                    f'{" and ".join(map(repr, unknown))} (in {text!r}) and '
                    'reads it as an unknown word: expect little of it.',
                    'current',
                    level=logging.WARNING)

    @contextmanager
    def _asked(self, *, prior: bool, attention: bool) -> Iterator[None]:
        """Within it, the model gives what is to be drawn, and masks at the
        size of the image whatever its config says."""
        before = self.model.test_cfg
        self.model.test_cfg = ConfigDict(
            before or {},
            output_size='original',
            return_prior=prior,
            return_attention=attention)
        try:
            yield
        finally:
            self.model.test_cfg = before

    def _track(self, batches: Iterator, total: int) -> Iterator:
        if not self.show_progress or total < 2:
            return batches
        return iter(
            track(batches, 'Segmenting', total=total, transient=True))


def _collate(jobs: Sequence[tuple[int, str]],
             prepared: dict[int, Prepared]) -> dict:
    """A batch for the model: each image once, a data sample per sentence."""
    rows = {image: row for row, image in enumerate(prepared)}
    return dict(
        inputs=[item.inputs for item in prepared.values()],
        data_samples=[
            prepared[image].sample_for(text, rows[image])
            for image, text in jobs
        ])
