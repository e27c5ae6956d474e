# Licensed under the Apache License, Version 2.0.
"""Inputs of an inferencer: images of all kinds, and sentences."""

import copy
import io
import os
import os.path as osp
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Union
from urllib.request import url2pathname

import numpy as np
from mmengine.structures import BaseDataElement
from PIL import Image, ImageOps
from torch import nn

from mmrefseg.structures import ImageFeatures, find_text_fault
from mmrefseg.visualization.files import file_safe

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
ORIENTATION = 0x0112  # the tag of EXIF
_MAX_NAME = 80



@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What a model computes of an image before it reads a sentence.

    Made by :meth:`RefSegInferencer.set_image`. It is never changed, so
    threads may share it.

    Attributes:
        path (str, optional): The image's path or address, if it has one.
        name (str): A name for files about it.
        pixels (np.ndarray): ``H x W x 3``, uint8, BGR: the image itself.
        data_sample (SegDataSample): With ``ori_shape`` and what else the test
            pipeline notes; without a sentence.
        features (ImageFeatures): Of this one image.
        model (nn.Module): The model that made them.
    """
    path: str | None
    name: str
    pixels: np.ndarray
    data_sample: BaseDataElement
    features: ImageFeatures
    model: nn.Module

    def sample_for(self, text: str) -> BaseDataElement:
        """A new data sample for one sentence."""
        sample = copy.deepcopy(self.data_sample)
        sample.set_metainfo(dict(text=text))
        return sample


ImageType = Union[str, Path, np.ndarray, Image.Image, EncodedImage]
ImagesType = Union[ImageType, Sequence[ImageType]]
TextsType = Union[str, Sequence[str | Sequence[str]]]


class ImageInput(NamedTuple):
    """One image that was handed in, with a name for files about it that no
    other image of the call has: the file's, or 'image0', 'image1', ..."""
    source: str | np.ndarray | Image.Image | EncodedImage
    name: str

    @property
    def path(self) -> str | None:
        """str, optional: The path or address, if it has one."""
        if isinstance(self.source, EncodedImage):
            return self.source.path
        return self.source if isinstance(self.source, str) else None

    def __str__(self) -> str:
        return self.path or f'the image {self.name!r}'


def list_images(images: ImagesType) -> list[ImageInput]:
    """Bring images into one form.

    Args:
        images (ImageType | Sequence[ImageType]): One image or several. A
            path may be a folder: its image files, sorted by name, without
            those of folders in it.

    Returns:
        list[ImageInput]: At least one.

    Raises:
        FileNotFoundError: A file is not there, or a folder has no image.
        TypeError: Something is no image.
        ValueError: There is no image.
    """
    if isinstance(images, (str, Path)) and osp.isdir(images):
        sources: list = _files_of(str(images))
    elif isinstance(images, (list, tuple)):
        sources = list(images)
    else:
        sources = [images]
    if not sources:
        raise ValueError('There is no image: the list of images is empty.')
    result: list[ImageInput] = []
    taken: set[str] = set()
    for i, source in enumerate(sources):
        name = f'image{i}'
        if isinstance(source, (str, Path)):
            source = str(source)
            if source.startswith('file://'):
                source = url2pathname(
                    re.sub('^file://(localhost(?=/))?', '', source))
            if '://' not in source and not osp.isfile(source):
                what = 'is a folder' if osp.isdir(source) else 'does not exist'
                raise FileNotFoundError(f'Image {source} {what}: give the '
                                        'path of an image file.')
            stem = osp.splitext(osp.basename(source.split('?')[0]))[0]
            name = file_safe(stem)[:_MAX_NAME] or name
        elif isinstance(source, EncodedImage):
            name = source.name
        elif not isinstance(source, (np.ndarray, Image.Image)):
            raise TypeError(
                f'Image {i} is of type {type(source).__name__}: give a path, '
                'an array (H x W x 3, uint8, BGR) or a PIL image.')
        # Files of one name in two folders; some file systems know no case.
        if name.lower() in taken:
            name = f'{name}-{i}'
        taken.add(name.lower())
        result.append(ImageInput(source, name))
    return result


def _files_of(folder: str) -> list[str]:
    files = [
        osp.join(folder, name) for name in sorted(os.listdir(folder))
        if name.lower().endswith(IMAGE_SUFFIXES)
        and not name.startswith('.') and osp.isfile(osp.join(folder, name))
    ]
    if not files:
        raise FileNotFoundError(f'The folder {folder} has no image '
                                f'({", ".join(IMAGE_SUFFIXES)}).')
    return files


def pair_texts(texts: TextsType,
               images: Sequence[ImageInput]) -> list[list[str]]:
    """Bring sentences into one form, a list for each image.

    Args:
        texts (str | Sequence): One sentence for all images; for one image a
            list of sentences; for several images a list with an entry for
            each, a sentence or a list of sentences.
        images (Sequence[ImageInput]): The images.

    Returns:
        list[list[str]]: For each image its sentences, at least one.

    Raises:
        TypeError: A sentence is no string.
        ValueError: There are not as many entries as images, or a sentence is
            empty.
    """
    if isinstance(texts, str):
        texts = [[texts]] * len(images)
    elif not isinstance(texts, (list, tuple)):
        raise TypeError('texts must be a sentence, a list of sentences, or a '
                        'list of lists (one for each image), but '
                        f'{type(texts).__name__} was given.')
    elif len(images) == 1 and not any(
            isinstance(entry, (list, tuple)) for entry in texts):
        texts = [texts]
    if len(texts) != len(images):
        raise ValueError(
            f'texts has {len(texts)} entries for {len(images)} '
            f'image{"s" if len(images) > 1 else ""}: give one sentence for '
            'all images, or a list with one entry for each image (a sentence '
            'or a list of sentences).')
    result = []
    for image, entry in zip(images, texts):
        listed = isinstance(entry, (list, tuple))
        sentences: Sequence[Any] = entry if listed else [entry]
        if len(sentences) == 0:
            raise ValueError(f'There is no sentence for {image}.')
        for text in sentences:
            if not isinstance(text, str):
                raise TypeError(f'A sentence for {image} is of type '
                                f'{type(text).__name__}, not str: '
                                f'{reprlib.repr(text)}.')
            fault = find_text_fault(text)
            if fault is not None:
                raise ValueError(f'A sentence for {image} {fault} ({text!r}):'
                                 ' say in words what is meant.')
        result.append(list(sentences))
    return result


def to_bgr(image: np.ndarray | Image.Image,
           name: str,
           exif: bool = True) -> np.ndarray:
    """Pixels of an array or a PIL image, as MMCV reads files.

    Args:
        image (np.ndarray | PIL.Image.Image): ``H x W x 3`` in BGR, or
            ``H x W`` or ``H x W x 1`` in grey, uint8; or a PIL image of 8 or
            16 bits.
        name (str): The image in messages.
        exif (bool): Whether a PIL image that says how it was held is turned
            upright.

    Returns:
        np.ndarray: ``H x W x 3``, uint8, BGR.

    Raises:
        ValueError: It is of another kind.
    """
    if isinstance(image, Image.Image):
        image = _pixels_of(image, name, exif)
    if image.ndim == 2:
        image = image[..., None]
    if (image.dtype != np.uint8 or image.ndim != 3
            or image.shape[2] not in (1, 3) or 0 in image.shape):
        raise ValueError(
            f'{name} is an array of shape {image.shape} and type '
            f'{image.dtype}: give H x W x 3 (BGR) or H x W (grey), uint8'
            f'{_SCALING.get(image.dtype.kind, "")}.')
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image)


# How numbers of other types become 0 to 255, by the kind of NumPy's type; a
# plain astype(np.uint8) would wrap around or give black.
_SCALING = dict(
    u='; for 16 bits (array >> 8).astype(np.uint8)',
    i='; scale the numbers to 0..255 first, not by astype alone',
    f='; for 0..1 (array * 255).astype(np.uint8)')


def _pixels_of(image: Image.Image, name: str, exif: bool) -> np.ndarray:
    """``H x W`` or ``H x W x 3`` in BGR, uint8, of a PIL image."""
    mode = image.mode
    # Pillow's own conversion cuts 16 bits off at 255, which gives white; the
    # upper 8 bits are what OpenCV makes of the same file.
    deep = mode.startswith('I;16') or (mode == 'I' and image.format == 'PNG')
    if not deep and mode in ('I', 'F'):
        raise ValueError(
            f'{name} has 32 bits (PIL mode {mode!r}), of which nobody knows '
            'the range: scale it to 0..255 yourself, as by '
            'Image.fromarray(np.interp(image, (black, white), (0, 255))'
            '.astype(np.uint8)) with the values of black and white.')
    try:
        if exif:
            image = ImageOps.exif_transpose(image)
        pixels = np.asarray(image if deep else image.convert('RGB'))
    except (OSError, ValueError) as error:
        raise ValueError(f'{name} cannot be read ({error}): get its file '
                         'again, or convert it to RGB.') from None
    if 0 in pixels.shape:
        raise ValueError(f'{name} has no pixels.')
    return (pixels >> 8).astype(np.uint8) if deep else pixels[..., ::-1]


def read_orientation(content: bytes) -> int:
    """EXIF orientation of an image file, 1 (upright, or none) to 8."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # whoever decodes it reports it
        return 1
    return value if value in range(2, 9) else 1


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels, ``H x W x C``, by an EXIF orientation into the
    picture that a person sees."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
