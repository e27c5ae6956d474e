# Licensed under the Apache License, Version 2.0.
"""Signs of damage in image files. Decoders differ: some fill what is missing
with grey, some reserve whatever memory a file asks for."""

import io
import zlib

import numpy as np
from PIL import Image

_JPEG_START_OF_SCAN = 0xDA
# Markers without a length after them: TEM, RST0-7, SOI, EOI.
_JPEG_BARE = {0x01, *range(0xD0, 0xDA)}


def find_truncation(content: bytes) -> str | None:
    """What is missing from an image file, by its own marks of an end.

    Args:
        content (bytes): The file; JPEG, PNG and WebP are understood.

    Returns:
        str or None: A phrase that follows the name of the file, or None when
        nothing is known to be missing.
    """
    if not content:
        return 'is empty (0 bytes)'
    whole = True
    if content.startswith(b'\xff\xd8'):
        whole = _jpeg_ends(content)
    elif content.startswith(b'\x89PNG\r\n\x1a\n'):
        return _png_fault(content)
    elif content.startswith(b'RIFF') and content[8:12] == b'WEBP':
        whole = len(content) >= int.from_bytes(content[4:8], 'little') + 8
    return None if whole else 'is cut off: its end is missing'


def find_excess(content: bytes) -> str | None:
    """Whether an image file says that it is larger than can be meant.

    The limit is Pillow's, which ``PIL.Image.MAX_IMAGE_PIXELS`` sets: twice
    that, 179 million pixels if it was left alone.

    Args:
        content (bytes): The file; what Pillow knows is understood.

    Returns:
        str or None: A phrase that follows the name of the file.
    """
    try:
        Image.open(io.BytesIO(content)).close()  # reads the head alone
    except Image.DecompressionBombError as error:
        return (f'is too large ({str(error).split(",")[0]}; raise '
                'PIL.Image.MAX_IMAGE_PIXELS if you trust it)')
    except Exception:  # the decoder says what is wrong with it
        return None
    return None


# Brands in the first box of HEIF files, the photos of many telephones.
_HEIC = (b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1',
         b'msf1')


def is_heic(content: bytes) -> bool:
    """Whether an image file is HEIC, which neither OpenCV nor Pillow reads."""
    return content[4:8] == b'ftyp' and content[8:12] in _HEIC


def decode_heic(content: bytes) -> np.ndarray:
    """Pixels of a HEIC file, upright as it says itself.

    Args:
        content (bytes): The file.

    Returns:
        np.ndarray: ``H x W x 3``, uint8, BGR.

    Raises:
        ImportError: The decoder is not installed; the message is a phrase
            that follows the name of the file.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImportError(
            'is a HEIC photo, for which a decoder is missing: pip install '
            'pillow-heif, or save the photo as JPEG') from None
    image = pillow_heif.open_heif(io.BytesIO(content)).to_pillow()
    return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])


def read_size(content: bytes) -> tuple[int, int] | None:
    """Height and width by the head of an image file, or None if Pillow
    cannot tell."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except Exception:  # the decoder says what is wrong with it
        return None


def _png_fault(content: bytes) -> str | None:
    """Whether all parts are there, with the checksums that they carry."""
    position = 8
    while position + 12 <= len(content):
        length = int.from_bytes(content[position:position + 4], 'big')
        end = position + 12 + length
        if end > len(content):
            break
        name = content[position + 4:position + 8]
        stated = int.from_bytes(content[end - 4:end], 'big')
        if zlib.crc32(content[position + 4:end - 4]) != stated:
            return 'is damaged: a checksum in it is wrong'
        if name == b'IEND':
            return None
        position = end
    return 'is cut off: its end is missing'


def _jpeg_ends(content: bytes) -> bool:
    """Whether an end marker follows the first scan.

    Segments are stepped over, because a thumbnail inside one has an end
    marker of its own. Within a scan the two bytes can mean nothing else.
    """
    position = 2
    while position + 4 <= len(content):
        if content[position] != 0xFF:
            return False
        marker = content[position + 1]
        if marker == 0xFF:  # padding
            position += 1
        elif marker in _JPEG_BARE:
            position += 2
        elif marker == _JPEG_START_OF_SCAN:
            return content.rfind(b'\xff\xd9', position) != -1
        else:
            position += 2 + int.from_bytes(
                content[position + 2:position + 4], 'big')
    return False
