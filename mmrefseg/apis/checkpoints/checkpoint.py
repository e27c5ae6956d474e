# Licensed under the Apache License, Version 2.0.
"""Weights from files, read as plain data and fitted without gaps."""

import logging
import os
import os.path as osp
from collections.abc import Mapping, Sequence

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor, nn

from mmrefseg.fileio.secure_checkpoints import (first_line,
                                                load_plain_checkpoint)
from .config_text import parse_config_text
from .weights_file import check_digest, read_safetensors

StateDict = dict[str, Tensor]

# Follow from the architecture, or matter to training only: a file that leaves
# them out is whole.
NOT_LEARNED = ('relative_position_index', 'num_batches_tracked')
_NAMED = 8


def read_checkpoint(path: str, *, trusted: bool = False) -> dict:
    """Read a checkpoint.

    Args:
        path (str): A ``.pth`` file as MMEngine writes it or with weights
            only, a ``.safetensors`` file, or the address of one
            (``https://...``), which is kept in PyTorch's hub folder.
        trusted (bool): Also read a file that holds more than plain data,
            which can run any code. Defaults to False.

    Returns:
        dict: ``state_dict`` (name to tensor, on the CPU) and whatever else
        the file holds (``meta``, ``message_hub``, ...).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, holds no weights, more than plain data, or
            others than it says were published.
    """
    path = _download(path) if '://' in path else path
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'There is no checkpoint {path}: give the path of a .pth or '
            '.safetensors file.')
    content = _load(path, trusted)
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} holds a {type(content).__name__}, not the '
                         'weights of a model.')
    content = dict(content)
    if isinstance(content.get('state_dict'), Mapping):
        state_dict = content['state_dict']
    else:  # the bare weights
        state_dict, content = content, {}
    state_dict = {
        name: value
        for name, value in state_dict.items() if isinstance(value, Tensor)
    }
    if not state_dict:
        raise ValueError(f'{path} holds no weights: give a checkpoint that a '
                         'training run wrote, or a published one.')
    # What a wrapper for several GPUs puts before each name.
    if all(name.startswith('module.') for name in state_dict):
        state_dict = {k[len('module.'):]: v for k, v in state_dict.items()}
    content['state_dict'] = state_dict
    check_digest(content, path)
    return content


def _download(url: str) -> str:
    folder = osp.join(torch.hub.get_dir(), 'checkpoints')
    path = osp.join(folder, osp.basename(url.split('?')[0]))
    if not osp.isfile(path):
        os.makedirs(folder, exist_ok=True)
        print_log(f'Downloading {url} to {path}', 'current')
        torch.hub.download_url_to_file(url, path)
    return path


def _load(path: str, trusted: bool):
    if not trusted and not path.endswith('.safetensors'):
        return load_plain_checkpoint(path, 'cpu')
    try:
        if path.endswith('.safetensors'):
            return read_safetensors(path)
        return torch.load(path, map_location='cpu', weights_only=False)
    except Exception as error:  # zip, safetensors and pickle have their own
        raise ValueError(
            f'The checkpoint {path} cannot be read '
            f'({first_line(error)}): it may be cut off; get it again.'
        ) from error


def config_of(checkpoint: Mapping, path: str) -> Config:
    """The config that a training run, or who published it, noted in a
    checkpoint.

    Args:
        checkpoint (Mapping): As :func:`read_checkpoint` gives it.
        path (str): Where it came from, for messages.

    Returns:
        Config: The config, read without running it.

    Raises:
        ValueError: There is none.
    """
    text = checkpoint.get('message_hub', {}).get('runtime_info', {}).get('cfg')
    text = text or checkpoint.get('meta', {}).get('cfg')
    if not text:
        raise ValueError(
            f'The checkpoint {path} does not tell its config: give the '
            'config as well.')
    # Where MMEngine puts the folder of a config file: files of a published
    # model lie beside its weights.
    folder = osp.dirname(osp.abspath(path)).replace('\\', '/')
    return parse_config_text(text.replace('{{ fileDirname }}', folder))


def load_weights(model: nn.Module, state_dict: Mapping[str, Tensor],
                 path: str) -> None:
    """Put weights into a model; each tensor it has must be there.

    Values are converted to the model's own precision.

    Args:
        model (nn.Module): The model.
        state_dict (Mapping[str, Tensor]): The weights.
        path (str): Where they came from, for messages.

    Raises:
        ValueError: Nothing in the file belongs to the model, tensors are
            missing, or some have another shape.
    """
    own = model.state_dict()
    common = [name for name in own if name in state_dict]
    if not common:
        raise ValueError(
            f'Nothing in {path} belongs to this model: the file has '
            f'{_some(list(state_dict), 3)}, the model '
            f'{_some(list(own), 3)}. Give the config that the file was '
            'trained with.')
    wrong = [
        f'{name} ({_shape(state_dict[name])} in the file, '
        f'{_shape(own[name])} in the model)' for name in common
        if state_dict[name].shape != own[name].shape
    ]
    if wrong:
        raise ValueError(
            f'{path} does not fit this model: {len(wrong)} of {len(own)} '
            f'tensors have another shape, {_some(wrong)}. Give the config '
            'that the file was trained with.')
    missing = [
        name for name in own
        if name not in state_dict and not name.endswith(NOT_LEARNED)
    ]
    if missing:
        raise ValueError(
            f'{path} does not fit this model: {len(missing)} of {len(own)} '
            f'tensors are not in it, {_some(missing)}. Give the config that '
            'the file was trained with.')
    surplus = [name for name in state_dict if name not in own]
    if surplus:
        print_log(
            f'{len(surplus)} tensors of {path} have no place in the model '
            f'and are left out: {_some(surplus)}.',
            'current',
            level=logging.WARNING)
    model.load_state_dict({name: state_dict[name] for name in common},
                          strict=False)


def _shape(tensor: Tensor) -> str:
    return ' x '.join(str(side) for side in tensor.shape) or 'scalar'


def _some(names: Sequence[str], count: int = _NAMED) -> str:
    shown: list[str] = list(names[:count])
    if len(names) > count:
        shown.append(f'and {len(names) - count} more')
    return ', '.join(shown)
