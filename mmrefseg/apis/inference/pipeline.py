# Licensed under the Apache License, Version 2.0.
"""The test pipeline of a config, for images that belong to no dataset."""

from typing import NamedTuple

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor

from mmrefseg.registry import TRANSFORMS
from .image_inputs import ImageInput, read_orientation, to_bgr, turn_upright

# Transforms that read the true mask, which one's own images do not have.
_TRUTH = ('LoadRefMask', 'LoadAnnotations')
_STORED = '_ignore_orientation'


class Prepared(NamedTuple):
    """An image as the model takes it.

    Attributes:
        inputs (Tensor): ``3 x h x w``, as the test pipeline gives it.
        data_sample (SegDataSample): With ``ori_shape`` and what else the
            pipeline notes; without a sentence.
        pixels (np.ndarray): ``H x W x 3``, uint8, BGR: the image itself.
    """
    inputs: Tensor
    data_sample: BaseDataElement
    pixels: np.ndarray


class InferencePipeline:
    """The transforms of a config's test pipeline but for those of masks.

    Images are decoded by the config's own loading transform, so that the
    model gets the very numbers that testing would give it.

    Args:
        config (Config): With ``test_dataloader`` or ``test_pipeline``.
        exif (bool): Turn files upright whose EXIF tag says how the camera
            was held. Defaults to True.

    Raises:
        ValueError: There is no test pipeline, or it does not begin with the
            loading of an image.
    """

    def __init__(self, config: Config, *, exif: bool = True) -> None:
        self.exif = exif
        steps = [
            step for step in find_test_pipeline(config)
            if str(step['type']).split('.')[-1] not in _TRUTH
        ]
        transforms = [TRANSFORMS.build(step) for step in steps]
        if not transforms or not isinstance(transforms[0], LoadImageFromFile):
            raise ValueError(
                'The test pipeline of the config does not begin with '
                'LoadRefImage: the inferencer loads images through it.')
        self.loader, self.transforms = transforms[0], transforms[1:]
        # Pixels as stored; they are turned here, if at all.
        if not self.loader.color_type.endswith(
            (_STORED, 'unchanged', 'unchanged_ignore_orientation')):
            self.loader.color_type += _STORED

    def __call__(self, image: ImageInput) -> Prepared:
        """Prepare an image.

        Raises:
            FileNotFoundError: Its file is not there.
            ValueError: It cannot be read, or is no image.
        """
        results = self._load(image)
        pixels = results['img']
        results.update(
            img_shape=pixels.shape[:2],
            ori_shape=pixels.shape[:2],
            seg_fields=[],
            text='')
        for transform in self.transforms:
            results = transform(results)
        return Prepared(results['inputs'], results['data_samples'],
                        pixels.astype(np.uint8, copy=False))

    def _load(self, image: ImageInput) -> dict:
        source = image.source
        if isinstance(source, (np.ndarray, Image.Image)):
            pixels = to_bgr(source, str(image), self.exif)
            if self.loader.to_float32:
                pixels = pixels.astype(np.float32)
            return dict(img=pixels)
        content = self._fetch(str(source))
        results = self.loader(dict(img_path=source, img_bytes=content))
        results.pop('img_bytes', None)
        if self.exif:
            turned = turn_upright(results['img'], read_orientation(content))
            results['img'] = turned
        return results

    def _fetch(self, path: str) -> bytes:
        try:
            return fileio.get(path, backend_args=self.loader.backend_args)
        except Exception as error:  # backends raise almost anything
            advice = 'give the path of an image file that you may read'
            if '://' in path:
                advice = 'download it, and give the path of the file'
            raise ValueError(f'Image {path} cannot be read '
                             f'({type(error).__name__}: {error}): '
                             f'{advice}.') from error


def find_test_pipeline(config: Config) -> list[dict]:
    """The transforms of a config's test pipeline: that of its
    ``test_dataloader``, whose dataset may be wrapped, or ``test_pipeline``.

    Raises:
        ValueError: There is none.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset')
    while dataset is not None and not dataset.get('pipeline'):
        inner = dataset.get('dataset') or dataset.get('datasets')
        dataset = inner[0] if isinstance(inner, (list, tuple)) else inner
    pipeline = dataset.pipeline if dataset else config.get('test_pipeline')
    if not pipeline:
        raise ValueError('The config has no test pipeline: it needs '
                         'test_dataloader.dataset.pipeline or test_pipeline.')
    return list(pipeline)
