# Licensed under the Apache License, Version 2.0.
"""Mask images that a set brings beside its sentences."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from mmrefseg.fileio.images import find_excess, find_truncation


def read_pixels(path: Path, where: str, mode: str) -> np.ndarray:
    """Pixels of a mask file.

    Args:
        path (Path): The file.
        where (str): The entry that names it, for the message.
        mode (str): 'RGB': it must have three channels, transparency apart;
            'L': as grey, whatever it is.

    Returns:
        np.ndarray: ``H x W x 3`` or ``H x W``, uint8.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is damaged, a JPEG, or has other channels.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{where}: the mask file {path} does not exist: say with --masks '
            'where they are, or leave such sentences out with '
            '--skip-missing.') from None
    fault = find_truncation(content) or find_excess(content)
    try:
        if fault is None:
            image: Image.Image = Image.open(io.BytesIO(content))
            if image.format == 'JPEG':
                fault = 'is a JPEG, which blurs the edges of a mask'
            elif mode == 'RGB' and image.mode not in ('RGB', 'RGBA'):
                fault = (f'has pixels of mode {image.mode}, but ids of '
                         'segments are colours (RGB)')
            else:
                return np.asarray(image.convert(mode))
    except Exception as error:  # Pillow's readers raise almost anything
        fault = f'cannot be read ({error})'
    raise ValueError(f'{where}: the mask file {path} {fault}: get it again.')
