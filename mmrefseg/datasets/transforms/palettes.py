# Licensed under the Apache License, Version 2.0.
"""Masks in images with a palette, by colour: the order of a palette is its
writer's, and Pillow's own quantization puts white at index 0."""

import numpy as np
from PIL import Image


def palette_to_pixels(image: Image.Image) -> np.ndarray:
    """Pixels of an image that holds a mask: black is 0, all else is not.

    An index beyond the end of the palette has no colour; there the index
    itself counts.

    Args:
        image (PIL.Image.Image): Of any mode.

    Returns:
        np.ndarray: Of modes P and PA the colours, ``0xRRGGBB`` as uint32,
        ``H x W`` or, with alpha last, ``H x W x 2``. Of any other mode
        ``np.asarray(image)``.

    Raises:
        ValueError: The palette does not tell what is outside of the mask;
            with the reason alone, which follows 'it'.
    """
    pixels = np.asarray(image)
    if image.mode not in ('P', 'PA'):
        return pixels
    indices = pixels if image.mode == 'P' else pixels[..., 0]
    channels = np.asarray(image.getpalette() or [], dtype=np.uint32)
    channels = channels[:768].reshape(-1, 3)
    colours = np.arange(256, dtype=np.uint32)
    colours[:len(channels)] = channels @ np.array([1 << 16, 1 << 8, 1],
                                                  dtype=np.uint32)
    used = np.flatnonzero(image.histogram()[:256])
    black = colours[used] == 0
    if len(used) > 1 and black.all():
        raise ValueError('has a palette of which all is black: save the mask '
                         'as a grey image')
    if len(used) > 1 and not used[0] and not black.any():
        raise ValueError('has a palette without black, the colour of what is '
                         'outside of a mask: save the mask as a grey image')
    found = colours[indices]
    if image.mode == 'P':
        return found
    return np.stack([found, pixels[..., 1]], axis=-1)
