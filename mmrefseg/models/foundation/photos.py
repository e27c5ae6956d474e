# Licensed under the Apache License, Version 2.0.
"""Photos as processors of ``transformers`` take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor


def to_photos(images: Tensor) -> list[Image.Image]:
    """The photos that a data preprocessor without mean and std gives.

    Args:
        images (Tensor): ``N x 3 x H x W``, RGB, whole numbers of 0..255 in
            any dtype.

    Returns:
        list[PIL.Image.Image]: ``N`` photos in RGB.

    Raises:
        ValueError: The values are no pixels: they were normalised.
    """
    pixels = images.detach().cpu().numpy()
    exact = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    if not np.array_equal(exact, pixels):
        raise ValueError(
            'A foundation model takes photos as they are, 0..255 in RGB, '
            'since its own processor normalises them: leave mean and std out '
            'of data_preprocessor.')
    return [Image.fromarray(x) for x in exact.transpose(0, 2, 3, 1)]


def process(processor: Any, photos: Sequence[Image.Image]) -> Any:
    """What the image processor of a model makes of photos.

    Args:
        processor (Any): Of transformers, with an ``image_processor``.
        photos (Sequence[PIL.Image.Image]): ``N`` photos in RGB.

    Returns:
        Any: Its answer, such as ``pixel_values``, ``N x 3 x h x w``, resized
        and normalised.

    Raises:
        ValueError: A photo is so narrow that nothing of its shorter side
            would be left.
    """
    inner, options = processor.image_processor, {}
    if not type(inner).__name__.endswith('Fast'):
        # Else a photo of 3 pixels in height is taken for one with its
        # channels first; those of transformers 4 with torchvision know it.
        options['input_data_format'] = 'channels_last'
    if photos[0].size == (1, 1):
        # One colour, of whatever size: some take one pixel for a channel.
        photos = [photo.resize((8, 8)) for photo in photos]
    try:
        return inner(images=list(photos), return_tensors='pt', **options)
    except Exception as error:  # of a side that was resized to nothing
        width, height = photos[0].size
        if min(photos[0].size) * 50 > max(photos[0].size):
            raise
        raise ValueError(
            f'A photo of {height} x {width} (height x width) is too narrow '
            f'for the {type(processor).__name__} of the model: cut it into '
            'pieces that are less long.') from error
