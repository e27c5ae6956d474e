# Licensed under the Apache License, Version 2.0.
"""Weights from files, read as plain data and fitted without gaps."""

import logging
import os.path as osp
from collections.abc import Collection, Mapping

from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor, nn

from mmrefseg.fileio import name_some, read_weights
from mmrefseg.fileio.weights import find_state_dict
from .config_text import parse_config_text
from .weights_file import check_digest

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
    content = read_weights(path, trusted=trusted)
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} holds a {type(content).__name__}, not the '
                         'weights of a model.')
    state_dict = find_state_dict(content)
    if not state_dict:
        raise ValueError(f'{path} holds no weights: give a checkpoint that a '
                         'training run wrote, or a published one.')
    rest = content if 'state_dict' in content else {}
    checkpoint = dict(rest, state_dict=state_dict)
    check_digest(checkpoint, path)
    return checkpoint


def config_of(checkpoint: Mapping, path: str) -> Config:
    """The config in a checkpoint, which training and publishing leave there.

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


def load_weights(model: nn.Module,
                 state_dict: Mapping[str, Tensor],
                 path: str,
                 given: Collection[str] = ()) -> None:
    """Put weights into a model; each tensor it has must be there.

    Values are converted to the model's own precision.

    Args:
        model (nn.Module): The model.
        state_dict (Mapping[str, Tensor]): The weights.
        path (str): Where they came from, for messages.
        given (Collection[str]): Tensors that the model has already.

    Raises:
        ValueError: Nothing in the file belongs to the model, tensors are
            missing, or some have another shape.
    """
    own = model.state_dict()
    common = [name for name in own if name in state_dict]
    if not common:
        raise ValueError(
            f'Nothing in {path} belongs to this model: the file has '
            f'{name_some(list(state_dict))}, the model '
            f'{name_some(list(own))}. Give the config that the file was '
            'trained with.')
    wrong = [
        f'{name} ({_shape(state_dict[name])} in the file, '
        f'{_shape(own[name])} in the model)' for name in common
        if state_dict[name].shape != own[name].shape
    ]
    if wrong:
        raise ValueError(
            f'{path} does not fit this model: {len(wrong)} of {len(own)} '
            f'tensors have another shape, {name_some(wrong, _NAMED)}. Give '
            'the config that the file was trained with.')
    missing = [
        name for name in own
        if name not in state_dict and name not in given
        and not name.endswith(NOT_LEARNED)
    ]
    if missing:
        raise ValueError(
            f'{path} does not fit this model: {len(missing)} of {len(own)} '
            f'tensors are not in it, {name_some(missing, _NAMED)}. Give the '
            'config that the file was trained with.')
    surplus = [name for name in state_dict if name not in own]
    if surplus:
        print_log(
            f'{len(surplus)} tensors of {path} have no place in the model '
            f'and are left out: {name_some(surplus, _NAMED)}.',
            'current',
            level=logging.WARNING)
    found = {name: state_dict[name] for name in common}
    # Named too, so that the model does not look for them a second time.
    found.update((name, own[name]) for name in given)
    model.load_state_dict(found, strict=False)


def _shape(tensor: Tensor) -> str:
    return ' x '.join(str(side) for side in tensor.shape) or 'scalar'
