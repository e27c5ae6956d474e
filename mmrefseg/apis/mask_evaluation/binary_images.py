# Licensed under the Apache License, Version 2.0.
"""Masks that other programs have written as images."""

import io

import numpy as np
from PIL import Image

from mmrefseg.datasets.transforms.palettes import palette_to_pixels
from mmrefseg.datasets.transforms.truncation import find_truncation


def read_binary_image(content: bytes) -> np.ndarray:
    """Read a mask from the bytes of an image file, and refuse what is none.

    A pixel is in the mask if it is not 0 (not black); all pixels of the mask
    have one value, such as 1 or 255. So a map of probabilities, of several
    objects, or with blurred edges is noticed.

    Args:
        content (bytes): A PNG, or another lossless format, of any depth and
            number of channels. Palette images count by colour.

    Returns:
        np.ndarray: ``H x W``, uint8, {0, 1}.

    Raises:
        ValueError: With the reason alone, to be put after a name.
    """
    fault = find_truncation(content)
    if fault is not None:
        raise ValueError(fault)
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        kind = image.format
        if image.mode == '1':
            # its truths are bytes of 255, which NumPy compares wrongly
            image = image.convert('L')
    except Exception as error:  # Pillow's readers raise almost anything
        raise ValueError(f'cannot be read ({error})') from None
    if kind == 'JPEG':
        raise ValueError('is a JPEG, which blurs the edges of a mask: save it '
                         'as PNG')
    pixels = palette_to_pixels(image)
    alpha = None
    if image.mode in ('RGBA', 'LA', 'PA'):
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    elif 'transparency' in image.info and image.mode in ('P', 'L', 'RGB'):
        alpha = np.asarray(image.convert('RGBA'))[..., -1]
    if alpha is not None and (alpha != alpha.flat[0]).any():
        raise ValueError('is transparent in places, which could be the mask '
                         'or not: save it without transparency')
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    mask = (pixels != 0).any(axis=2)
    inside = pixels[mask]
    if len(inside) and (inside != inside[0]).any():
        values = len(np.unique(inside, axis=0))
        raise ValueError(
            f'has {values} values besides 0, but a mask has one: save 0 '
            'outside of the mask and one value, such as 255, in it (of '
            'probabilities, those above the threshold)')
    return mask.astype(np.uint8)
