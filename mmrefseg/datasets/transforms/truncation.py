# Licensed under the Apache License, Version 2.0.
"""Is an image file whole? Decoders differ: some fill the rest with grey."""

from typing import Optional

_JPEG_START_OF_SCAN = 0xDA
# Markers without a length after them: TEM, RST0-7, SOI, EOI.
_JPEG_BARE = {0x01, *range(0xD0, 0xDA)}


def find_truncation(content: bytes) -> Optional[str]:
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
        whole = b'IEND' in content[-4096:] or b'IEND' in content
    elif content.startswith(b'RIFF') and content[8:12] == b'WEBP':
        whole = len(content) >= int.from_bytes(content[4:8], 'little') + 8
    return None if whole else 'is cut off: its end is missing'


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
