# Licensed under the Apache License, Version 2.0.
"""Swin weights as ``transformers`` names them, and where they are."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..hf.files import HUB, find_file

# From transformers' names to Microsoft's, by whose order of pixels patches
# are merged; releases 4 and 5 name the parts of a block differently. To be
# replaced in this order.
_NAMES = (
    (r'^swin\.', ''),
    (r'^embeddings\.patch_embeddings\.projection\.', 'patch_embed.proj.'),
    (r'^embeddings\.norm\.', 'patch_embed.norm.'),
    (r'^encoder\.layers\.', 'layers.'),
    (r'\.layernorm_before\.', '.norm1.'),
    (r'\.layernorm_after\.', '.norm2.'),
    (r'\.attention\.(self|relative_position_bias)\.(relative_position_\w+)',
     r'.attn.\2'),
    (r'\.attention\.(output\.dense|o_proj)\.', '.attn.proj.'),
    (r'\.attention\.(self\.)?(query|q_proj)\.', '.attn.q.'),
    (r'\.attention\.(self\.)?(key|k_proj)\.', '.attn.k.'),
    (r'\.attention\.(self\.)?(value|v_proj)\.', '.attn.v.'),
    (r'\.intermediate\.dense\.', '.mlp.fc1.'),
    (r'(\.\d+)\.output\.dense\.', r'\1.mlp.fc2.'),
    (r'^layernorm\.', 'norm.'),
    (r'^classifier\.', 'head.'),
)
_WEIGHTS = ('.pth', '.pt', '.bin', '.ckpt', '.safetensors')


def is_transformers(names: Collection[str]) -> bool:
    """Whether names are those of a Swin of transformers."""
    return any(
        re.match(r'(swin\.)?(encoder\.layers\.\d+\.blocks|embeddings\.patch)',
                 name) for name in names)


def from_transformers(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict of transformers to Microsoft's names.

    Args:
        given (Mapping[str, Tensor]): Of a ``SwinModel``, ``SwinBackbone`` or
            ``SwinForImageClassification``.

    Returns:
        dict[str, Tensor]: The same in Microsoft's names; queries, keys and
        values are one tensor there.

    Raises:
        ValueError: It is a Swin V2.
    """
    if any('continuous_position_bias_mlp' in name for name in given):
        raise ValueError('it is a Swin V2, whose attention differs: take '
                         "HFBackbone with arch=dict(model_type='swinv2').")
    renamed: dict[str, Tensor] = {}
    for name, tensor in given.items():
        for theirs, ours in _NAMES:
            name = re.sub(theirs, ours, name)
        renamed[name] = tensor
    for name in [x for x in renamed if '.attn.q.' in x]:
        parts = [
            renamed.pop(name.replace('.attn.q.', f'.attn.{part}.'))
            for part in 'qkv'
        ]
        renamed[name.replace('.attn.q.', '.attn.qkv.')] = torch.cat(parts)
    return renamed


def find_swin(path: str) -> str:
    """The file that a path, an address, a folder or a hub name means.

    Args:
        path (str): A file or an address is given back as it is. A folder, or
            what looks like 'owner/name', is asked for ``model.safetensors``,
            then for ``pytorch_model.bin``.

    Returns:
        str: Path or address of a file.

    Raises:
        FileNotFoundError: The folder or the hub has no such file.
    """
    file = Path(path).expanduser()
    is_name = re.fullmatch(r'[\w.-]+/[\w.-]+', path) and not path.endswith(
        _WEIGHTS)
    if file.is_file() or not (file.is_dir() or is_name):
        return path
    return str(
        find_file(
            path, ('model.safetensors', 'pytorch_model.bin'), 'weights',
            'set model.backbone.init_cfg.checkpoint to a Swin file, to such '
            'a folder or to a name on the hub, or model.backbone.init_cfg to '
            f'None to start from scratch. {HUB}'))
