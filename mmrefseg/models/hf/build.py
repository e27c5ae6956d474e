# Licensed under the Apache License, Version 2.0.
"""Architectures of ``transformers``, from a folder, a hub or a dict, built
without their weights."""

import contextlib
import difflib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers
from mmengine.utils import digit_version
from transformers import CONFIG_MAPPING, PretrainedConfig
from transformers.utils import logging as their_logging

from mmrefseg.fileio import first_line
from .files import HUB

# Adding the same number to all logits of a softmax changes nothing, so these
# biases have no gradient but rounding noise; files of weights have them, and
# they do not train. Where positions rotate the keys, the bias has a meaning.
_CANCELLED = ('.key.bias', '.k_proj.bias', '.k_lin.bias', '.k.bias')
# Stands in for patches that pretraining hid.
_UNUSED = ('mask_token', )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what transformers itself says, and its bars."""
    level = their_logging.get_verbosity()
    bars = their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    try:
        yield
    finally:
        their_logging.set_verbosity(level)
        if bars:
            their_logging.enable_progress_bar()


def make_config(pretrained: str | None,
                arch: dict | None,
                *,
                local_files_only: bool = False,
                part: str,
                tower: str | None = None,
                classes: Callable[[str], type | None] = lambda kind: None
                ) -> Any:
    """The architecture of a part.

    Args:
        pretrained (str, optional): Folder with a ``config.json``, or a name
            on the Hugging Face hub.
        arch (dict, optional): What differs from it. With a ``model_type`` it
            is the whole architecture, and ``pretrained`` is not asked.
        local_files_only (bool): Never ask the hub.
        part (str): Place in the config, for messages ('backbone').
        tower (str, optional): Name of the config within a model of several
            towers ('text_config').
        classes (Callable): From a ``model_type`` to the class of its config,
            where ``AutoConfig`` does not know it; None elsewhere.

    Returns:
        PretrainedConfig: A new config.

    Raises:
        FileNotFoundError: There is no ``config.json``.
        ValueError: Neither is given, the installed transformers does not know
            the model, or it has no such setting.
    """
    arch = dict(arch or {})
    kind = arch.pop('model_type', None)
    if kind is not None:
        known = _known(kind, classes, f'model.{part}.arch')
        # Defaults of one family contradict each other, as it says.
        with quiet():
            _check_settings(known(), arch, kind, part)
            return known(**arch)
    if pretrained is None:
        raise ValueError(
            f'model.{part} needs an architecture: set arch=dict(model_type='
            "'...', ...), or pretrained to a folder or a hub name.")
    settings = _read(pretrained, local_files_only, part)
    kind = settings.get('model_type')
    config = _known(kind, classes, pretrained).from_dict(settings)
    if tower is not None:
        config = getattr(config, tower, None) or config
    _check_settings(config, arch, config.model_type, part)
    return copy_config(config, **arch)


def copy_config(config: Any, **changes: Any) -> Any:
    """A new config of the same kind."""
    settings = config.to_dict()
    for key in ('model_type', 'transformers_version', 'architectures'):
        settings.pop(key, None)
    return type(config)(**{**settings, **changes})


def _read(pretrained: str, local_files_only: bool, part: str) -> dict:
    try:
        settings, _ = PretrainedConfig.get_config_dict(
            pretrained, local_files_only=local_files_only)
    except Exception as error:  # of several libraries, by its version
        raise FileNotFoundError(
            f"The architecture of '{pretrained}' (config.json) can be had "
            'neither from a folder of that name nor from the Hugging Face '
            f'hub or its cache ({type(error).__name__}: {first_line(error)}):'
            f' set model.{part}.pretrained to such a folder, or write the '
            f'architecture into model.{part}.arch with its model_type. '
            f'{HUB}') from error
    return settings


def _known(kind: Any, classes: Callable[[str], type | None],
           where: str) -> Any:
    found = classes(kind) or (CONFIG_MAPPING[kind]
                              if kind in CONFIG_MAPPING else None)
    if found is None:
        raise ValueError(
            f"transformers {transformers.__version__} has no model_type "
            f"'{kind}' ({where}): correct the name, or install a release of "
            'transformers that has it.')
    return found


def _check_settings(config: Any, arch: dict, kind: str, part: str) -> None:
    for key in arch:
        if not hasattr(config, key):
            near = difflib.get_close_matches(key, dir(config), cutoff=0.)
            raise ValueError(
                f"model.{part}.arch has '{key}', which is no setting of "
                f"'{kind}': do you mean {' or '.join(near)}?")


def model_class(config: Any) -> type:
    """The class of the bare model of a config, as ``AutoModel`` finds it.

    Raises:
        ValueError: There is none.
    """
    from transformers import MODEL_MAPPING
    if type(config) not in MODEL_MAPPING:
        raise ValueError(
            f"transformers {transformers.__version__} has no bare model for "
            f"'{config.model_type}'.")
    found: Any = MODEL_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found


def dtype_key() -> str:
    """How this release of transformers calls the argument."""
    old = digit_version(transformers.__version__) < digit_version('4.56.0')
    return 'torch_dtype' if old else 'dtype'


def build_model(kind: Any,
                config: Any,
                *,
                dtype: str | None = None,
                attn_implementation: str | None = None) -> Any:
    """Build a model with random weights, without a pooler.

    Args:
        kind (type): Its class.
        config (PretrainedConfig): Its architecture.
        dtype (str, optional): 'float32', 'bfloat16', ... of its weights. None
            means PyTorch's default.
        attn_implementation (str, optional): 'eager', 'sdpa',
            'flash_attention_2', ... None leaves it to transformers.

    Returns:
        PreTrainedModel: Its biases that a softmax cancels, and its mask
        token, do not train.

    Raises:
        ValueError: transformers refuses the attention implementation.
    """
    options: dict[str, Any] = {dtype_key(): as_dtype(dtype)}
    if attn_implementation is not None:
        options['attn_implementation'] = attn_implementation
    options.update(model_options(kind))
    try:
        model = kind._from_config(config, **options)
    except (ValueError, ImportError) as error:
        if attn_implementation is None:
            raise
        raise ValueError(
            f"{kind.__name__} of transformers {transformers.__version__} "
            f"refuses attn_implementation='{attn_implementation}' "
            f'({first_line(error)}): take another one, or None.') from error
    rotary = any('rotary' in type(module).__name__.lower()
                 or 'rope' in type(module).__name__.lower()
                 for module in model.modules())
    for name, parameter in model.named_parameters():
        if name.endswith(_UNUSED) or (name.endswith(_CANCELLED)
                                      and not rotary):
            parameter.requires_grad_(False)
    return model


def model_options(kind: Any) -> dict[str, Any]:
    """Arguments of a model's constructor that leave its pooler out."""
    known = inspect.signature(kind.__init__).parameters
    if 'add_pooling_layer' in known:
        return dict(add_pooling_layer=False)
    return {}


def as_dtype(name: str | None) -> torch.dtype:
    """The dtype of a name; None gives PyTorch's default.

    Raises:
        ValueError: It is no floating dtype.
    """
    if name is None:
        return torch.get_default_dtype()
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype='{name}' is none: take 'float32', "
                         "'bfloat16' or 'float16'.")
    return dtype


def recompute(model: Any) -> None:
    """Let a model recompute its layers in the backward pass.

    Raises:
        ValueError: transformers cannot do that with this model.
    """
    # The name of the function differs between transformers 4 and 5.
    enable = getattr(model, 'activation_checkpointing_enable',
                     model.gradient_checkpointing_enable)
    enable({'use_reentrant': False})
