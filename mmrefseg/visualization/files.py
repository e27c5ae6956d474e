# Licensed under the Apache License, Version 2.0.
"""Names and files of pictures."""

import hashlib
import os.path as osp
import re
import threading

import cv2
import numpy as np
from mmengine.structures import BaseDataElement

from mmrefseg.fileio import write_atomically

_WRITING = threading.Lock()  # threads may write to one path


def sentence_tag(data_sample: BaseDataElement) -> str:
    """Letters, digits, '-' and '_' that distinguish the sentences of an image.

    E.g. 'ref12_sent345' from ``ref_id`` and ``sent_id`` of the metainfo, or
    'left-man-3f2a91' from ``text``; empty if there is neither.
    """
    meta = data_sample.metainfo
    ids = [
        f'{short}{meta[key]}'
        for short, key in (('ref', 'ref_id'), ('sent', 'sent_id'))
        if meta.get(key) is not None
    ]
    if ids:
        return file_safe('_'.join(ids))
    text = meta.get('text')
    if not text:
        return ''
    # what survives of a text in a file name may be alike for two texts
    digest = hashlib.sha1(text.encode()).hexdigest()[:6]
    return f"{file_safe(text.replace(' ', '-'))[:40]}-{digest}"


def file_safe(name: str) -> str:
    """A name that every file system and TensorBoard take."""
    return re.sub(r'[^A-Za-z0-9._-]+', '_', str(name))


def sample_name(data_sample: BaseDataElement, prefix: str = '') -> str:
    """A name for a picture of a sample: image and sentence.

    Args:
        data_sample (BaseDataElement): With ``img_path`` in its metainfo, and
            what :func:`sentence_tag` reads.
        prefix (str): Put before the name, e.g. 'val'. Defaults to ''.

    Returns:
        str: E.g. 'val_000000123_ref12_sent345'.
    """
    path = data_sample.metainfo.get('img_path') or ''
    stem = osp.splitext(osp.basename(str(path)))[0]
    parts = [prefix, file_safe(stem), sentence_tag(data_sample)]
    return '_'.join(part for part in parts if part) or 'sample'


def write_file(path: str, data: bytes) -> None:
    """Write a file atomically, from any thread; an OSError names it."""
    with _WRITING:
        write_atomically(path, data)


def save_picture(picture: np.ndarray, path: str) -> None:
    """Write a picture that is either whole or not there.

    Args:
        picture (np.ndarray): HxWx3 RGB or HxW grey, uint8.
        path (str): A file, its suffix says the format; folders are made.

    Raises:
        OSError: It cannot be written; the message names it.
    """
    pixels = picture[..., ::-1] if picture.ndim == 3 else picture
    encoded = cv2.imencode(osp.splitext(path)[1], pixels)[1]
    write_file(path, encoded.tobytes())
