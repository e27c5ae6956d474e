# Licensed under the Apache License, Version 2.0.
"""Files of weights with config, metrics and a checksum inside.

Beside the tensors lies plain data, ``meta``: ``cfg`` (the text of the whole
config), ``dataset_meta``, and ``published`` (name, what was measured, ...,
``tensors_sha256``). A ``.pth`` file holds it as MMEngine's checkpoints do, a
``.safetensors`` file in its header.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmrefseg.fileio.weights import HEADER_TEXT


def tensors_digest(state_dict: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors, whatever the format of the file they lie in.

    Args:
        state_dict (Mapping[str, Tensor]): The tensors, on the CPU.

    Returns:
        str: 64 hexadecimal digits, of the names in alphabetical order, each
        with dtype, shape and values (little-endian).
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        value = state_dict[name].detach().contiguous()
        digest.update(
            f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def serialize_weights(weights: Mapping[str, Tensor], meta: Mapping[str, Any],
                      kind: str) -> bytes:
    """The content of a file of weights.

    Args:
        weights (Mapping[str, Tensor]): The tensors, on the CPU.
        meta (Mapping): Plain data with the keys named above, none needed.
        kind (str): 'pth' or 'safetensors'.
    """
    if kind == 'safetensors':
        from safetensors.torch import save
        header = {'format': 'pt'}
        for key, value in meta.items():
            header[key] = value if key in HEADER_TEXT else json.dumps(value)
        return save(dict(weights), metadata=header)
    buffer = io.BytesIO()
    torch.save(dict(state_dict=dict(weights), meta=dict(meta)), buffer)
    return buffer.getvalue()


def check_digest(content: Mapping[str, Any], path: str) -> None:
    """Compare the tensors of a checkpoint with the checksum it states.

    Args:
        content (Mapping): ``state_dict`` and maybe ``meta``.
        path (str): Where it came from, for the message.

    Raises:
        ValueError: They are not the tensors that were published.
    """
    meta = content.get('meta')
    published = meta.get('published') if isinstance(meta, Mapping) else None
    if not isinstance(published, Mapping):
        return
    expected = published.get('tensors_sha256')
    if expected and tensors_digest(content['state_dict']) != expected:
        raise ValueError(
            f'The weights in {path} are not those that were published (their '
            'checksum differs from the one in the file): get the file again.')
