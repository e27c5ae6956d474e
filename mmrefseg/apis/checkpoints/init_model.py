# Licensed under the Apache License, Version 2.0.
"""From a config and a checkpoint to a model that is ready to predict."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import nn

from mmrefseg.datasets import BaseRefDataset
from mmrefseg.engine.options import merge_options
from mmrefseg.models.packaged_parts import load_packaged_parts
from mmrefseg.registry import MODELS
from .checkpoint import config_of, load_weights, read_checkpoint
from .model_zoo import find_model

ModelType: TypeAlias = str | Path | Config | ConfigDict | dict


def init_model(config: ModelType | None,
               checkpoint: str | Path | None = None,
               device: str | None = None,
               cfg_options: dict | None = None) -> nn.Module:
    """Build a referring segmentor and load its weights.

    Pretrained weights of parts are not loaded, except those of installed
    packages that a published file leaves out. A hub is asked only for
    what the config needs to be built: the vocabulary of a BERT that it names
    without ``vocab=``, if that is not in the hub's cache. A published model
    carries its vocabulary.

    Args:
        config (str | Path | Config | dict, optional): A config, the path of
            one, or a name that :func:`~mmrefseg.apis.list_models` gives.
            None takes what a training run noted in its checkpoint.
        checkpoint (str | Path, optional): Weights: a ``.pth`` or
            ``.safetensors`` file, or its address. None takes those that
            belong to the name; where there are none, the weights are random.
        device (str, optional): E.g. 'cuda:0' or 'cpu'. Defaults to the best
            that is there.
        cfg_options (dict, optional): Settings to change, their names with
            dots: ``{'model.test_cfg.return_prior': True}``.

    Returns:
        nn.Module: The model, in evaluation mode, with its config as ``cfg``
        and the classes as ``dataset_meta``.

    Raises:
        FileNotFoundError: Config or checkpoint is not there.
        ValueError: The name is unknown, or the checkpoint does not fit: its
            message lists what is missing.

    Example:
        >>> from mmrefseg.apis import init_model
        >>> model = init_model('mpg-lqgnet_nano', device='cpu')
        >>> model.dataset_meta['classes']
        ('background', 'referent')
    """
    cfg, weights = load_config(config, checkpoint)
    if cfg_options:
        merge_options(cfg, cfg_options)
    return build_model(cfg, weights, device)


def load_config(
    model: ModelType | None,
    weights: str | Path | None = None
) -> tuple[Config, str | None]:
    """Read a config and find its weights.

    Args:
        model (str | Path | Config | dict, optional): As in
            :func:`init_model`.
        weights (str | Path, optional): Weights that go before those of a
            name.

    Returns:
        tuple[Config, str | None]: A config of one's own, and the path or
        address of the weights.
    """
    weights = None if weights is None else str(weights)
    if model is None:
        if weights is None:
            raise ValueError('Give a config, a name of a model, or a '
                             'checkpoint that a training run wrote.')
        return config_of(read_checkpoint(weights), weights), weights
    if isinstance(model, (str, Path)):
        found = find_model(str(model))
        return Config.fromfile(found.config), weights or found.weights
    if isinstance(model, Config):
        return copy.deepcopy(model), weights
    if isinstance(model, dict):
        return Config(copy.deepcopy(dict(model))), weights
    raise TypeError('A model is given by its name, by a config or by the '
                    f'path of one, not by a {type(model).__name__}.')


def build_model(config: Config,
                weights: str | None = None,
                device: str | None = None) -> nn.Module:
    """Build a model of a config; see :func:`init_model`.

    Args:
        config (Config): The config.
        weights (str, optional): Path or address of the weights.
        device (str, optional): Defaults to the best that is there.
    """
    if 'model' not in config:
        raise ValueError(
            f'The config {config.filename or ""} has no model: is it a file '
            'of configs/_base_?')
    # Read before building: what cannot be read need not be built for.
    checkpoint = None if weights is None else read_checkpoint(weights)
    with scope_of(config), warnings.catch_warnings():
        # mmseg's hints on settings of losses, which only training uses.
        warnings.filterwarnings('ignore', module='mmseg.models')
        model = MODELS.build(config.model)
    device = device or get_device()
    if 'cuda' not in str(device):
        # norms that are computed across processes need GPUs
        model = revert_sync_batchnorm(model)
    meta = BaseRefDataset.METAINFO
    if checkpoint is not None:
        state = checkpoint['state_dict']
        load_weights(model, state, str(weights),
                     load_packaged_parts(model, state))
        meta = checkpoint.get('meta', {}).get('dataset_meta') or meta
    model.cfg = config
    model.dataset_meta = copy.deepcopy(dict(meta))
    return model.to(device).eval()


@contextmanager
def scope_of(config: Config) -> Iterator[None]:
    """Within it, registries look where the config expects it; afterwards
    where they did before, so that other packages are not disturbed."""
    scope = config.get('default_scope') or 'mmrefseg'
    with DefaultScope.overwrite_default_scope(scope):
        yield
