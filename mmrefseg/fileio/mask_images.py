# Licensed under the Apache License, Version 2.0.
"""Masks in image files and arrays, refused where the object is not clear.

Every function raises ``ValueError`` with the reason alone, to be put after a
name; the caller knows file, ref and sentence.
"""

import io
import re
from typing import Any

import cv2
import numpy as np
from PIL import Image

from .images import find_truncation

_SHOWN = 5


def read_mask(content: bytes,
              *,
              value: int | str | None = None,
              threshold: float | None = None) -> np.ndarray:
    """Read a mask from the bytes of an image file.

    Unless told otherwise, an object is all that is not black, and has one
    value, such as 1 or 255. So maps of several objects, of ids, with a value
    to be ignored, of probabilities and with soft edges are noticed. The
    colours of a palette count, because its order is its writer's.

    Args:
        content (bytes): A PNG or another lossless format, of any depth and
            number of channels.
        value (int or str, optional): The object is what has this value: a
            number (of an image with a palette, its index), or a colour such
            as '#ff0000'.
        threshold (float, optional): The object is what is greater than this,
            in the values of the file: 127 with 8 bits. For grey images.

    Returns:
        np.ndarray: ``H x W``, uint8, {0, 1}.

    Raises:
        ValueError: It is unreadable or a JPEG, or does not say what the
            object is.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from PIL import Image
        >>> from mmrefseg.fileio.mask_images import read_mask
        >>> content = io.BytesIO()
        >>> Image.fromarray(np.uint8([[0, 1, 2]])).save(content, 'PNG')
        >>> read_mask(content.getvalue(), value=2).tolist()
        [[0, 0, 1]]
    """
    check_choice(value, threshold)
    fault = find_truncation(content)
    if fault is not None:
        raise ValueError(fault)
    try:
        image: Image.Image = Image.open(io.BytesIO(content))
        kind, frames = image.format, getattr(image, 'n_frames', 1)
        image.load()
        if image.mode not in ('L', 'LA', 'P', 'RGB', 'RGBA', 'F', '1') and (
                not image.mode.startswith('I')):
            image = image.convert('RGB')  # of CMYK, 0 is white
        elif image.mode == '1':
            # its truths are bytes of 255, which NumPy compares wrongly
            image = image.convert('L')
    except Exception as error:  # Pillow's readers raise almost anything
        raise ValueError(f'cannot be read ({error})') from None
    if kind == 'JPEG' and threshold is None:
        raise ValueError('is a JPEG, which blurs the edges of a mask: save it '
                         'as PNG, or say from which value on with '
                         'mask_threshold')
    if frames > 1:
        raise ValueError(f'holds {frames} pictures, but a mask is one')
    channels = _channels(image, content)
    grey = (channels == channels[..., :1]).all()
    if image.mode == 'P':
        grey = isinstance(value, int) or threshold is not None and grey
    if grey:
        # of a palette, a number is an index
        pixels = np.asarray(image) if image.mode == 'P' and isinstance(
            value, int) else channels[..., 0]
        if isinstance(value, str):
            raise ValueError('is grey: mask_value is a number, not the colour '
                             f'{value}')
        return choose_pixels(pixels, value=value, threshold=threshold)
    if threshold is not None or isinstance(value, int):
        raise ValueError('has colours: say which is the object with '
                         'mask_value="#rrggbb"')
    return _choose_colour(image, channels, value)


def check_choice(value: Any, threshold: Any) -> None:
    """Refuse a ``mask_value`` and a ``mask_threshold`` that are none."""
    if value is not None and threshold is not None:
        raise ValueError('give mask_value or mask_threshold, not both')
    right = value is None or type(value) is int
    if isinstance(value, str):
        right = bool(re.fullmatch('#([0-9a-f]{6}){1,2}', value.lower()))
    if not right:
        raise ValueError('mask_value is a whole number or a colour such as '
                         f'"#ff0000", not {value!r}')
    if threshold is not None and (type(threshold) not in (int, float)
                                  or threshold != threshold):
        raise ValueError(f'mask_threshold is a number, not {threshold!r}')


def choose_pixels(pixels: np.ndarray,
                  *,
                  value: int | None = None,
                  threshold: float | None = None) -> np.ndarray:
    """The object in an array of numbers.

    Args:
        pixels (np.ndarray): ``H x W``; bool, integers or floats.
        value (int, optional): See :func:`read_mask`.
        threshold (float, optional): See :func:`read_mask`.

    Returns:
        np.ndarray: ``H x W``, uint8, {0, 1}.

    Raises:
        ValueError: It does not say what the object is.
    """
    if pixels.ndim != 2 or pixels.dtype.kind not in 'biuf':
        raise ValueError(f'is an array of shape {pixels.shape} and type '
                         f'{pixels.dtype}, but a mask is H x W numbers')
    if pixels.dtype.kind == 'f' and not np.isfinite(pixels).all():
        raise ValueError('holds values that are not finite')
    if value is not None:
        return (pixels == value).astype(np.uint8)
    if threshold is not None:
        if pixels.dtype.kind in 'iu' and 0 < threshold < 1 < pixels.max(
                initial=0):
            raise ValueError(
                f'has values up to {pixels.max()}, in which mask_threshold '
                f'counts, but is {threshold}: say, of 8 bits, 127')
        return (pixels > threshold).astype(np.uint8)
    mask = pixels != 0
    inside = pixels[mask]
    if len(inside) and (inside != inside[0]).any():
        raise ValueError(_say_several(np.unique(inside).tolist()))
    if len(inside) and inside[0] < 0:
        raise ValueError(f'has the value {inside[0]} beside 0: say with '
                         'mask_value which is the object')
    return mask.astype(np.uint8)


def _channels(image: Image.Image, content: bytes) -> np.ndarray:
    """Values of an image, ``H x W x C``, without transparency."""
    if content.startswith(b'\x89PNG') and content[24] == 16 and (
            content[25] in (2, 4, 6)):
        # Pillow keeps 8 of the 16 bits
        decoded = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.ndim != 3:
            raise ValueError('cannot be read by OpenCV: save it with 8 bits')
        pixels, alpha = decoded[..., 2::-1], decoded[..., 3:]  # BGR(A)
    else:
        alpha = np.zeros(0)
        if image.mode in ('RGBA', 'LA') or 'transparency' in image.info and (
                image.mode in ('P', 'L', 'RGB')):
            alpha = np.asarray(image.convert('RGBA'))[..., 3]
        if image.mode == 'P':
            pixels = np.asarray(image.convert('RGBA'))
        else:
            pixels = np.asarray(image)
            pixels = pixels.reshape(*pixels.shape[:2], -1)
            if image.mode == 'LA':
                pixels = pixels[..., :1]
    if alpha.size and (alpha != alpha.flat[0]).any():
        raise ValueError('is transparent in places, which could be the mask '
                         'or not: save it without transparency')
    return pixels[..., :3]


def _choose_colour(image: Image.Image, channels: np.ndarray,
                   value: str | None) -> np.ndarray:
    bits = 8 * channels.dtype.itemsize
    colours = channels.astype(np.uint64) @ np.array(
        [1 << 2 * bits, 1 << bits, 1], dtype=np.uint64)
    if value is not None:
        return (colours == int(value[1:], 16)).astype(np.uint8)
    if image.mode == 'P':
        colours = _palette_colours(image, colours)
    mask = colours != 0
    inside = np.unique(colours[mask]).tolist()
    if len(inside) > 1:
        raise ValueError(
            _say_several([f'#{x:0{3 * bits // 4}x}' for x in inside]))
    return mask.astype(np.uint8)


def _palette_colours(image: Image.Image, colours: np.ndarray) -> np.ndarray:
    """Colours of an image with a palette, refused where they do not tell
    what is outside of the mask.

    An index beyond the end of the palette has no colour; there the index
    itself counts.
    """
    indices = np.asarray(image)
    size = min(len(image.getpalette() or []) // 3, 256)
    colours = np.where(indices < size, colours, indices.astype(np.uint64))
    used = np.flatnonzero(image.histogram()[:256])
    black = colours == 0
    if len(used) > 1 and not colours.any():
        raise ValueError('has a palette of which all is black: save the mask '
                         'as a grey image, or say which index is the object '
                         'with mask_value')
    if len(used) > 1 and not used[0] and not black.any():
        raise ValueError('has a palette without black, the colour of what is '
                         'outside of a mask: save the mask as a grey image, '
                         'or say which index is the object with mask_value')
    return colours


def _say_several(values: list) -> str:
    shown = ', '.join(f'{x:g}' if isinstance(x, float) else str(x)
                      for x in values[:_SHOWN])
    if values[_SHOWN:]:
        shown += f', ... {values[-1]}'
    return (f'has {len(values)} values besides 0 ({shown}), but a mask has '
            'one: say which is the object with mask_value (all else is '
            'outside) or, of soft edges and probabilities, from which value '
            'on with mask_threshold')
