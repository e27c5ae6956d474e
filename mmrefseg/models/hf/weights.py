# Licensed under the Apache License, Version 2.0.
"""Pretrained weights of ``transformers``, only from safetensors."""

from typing import Any

import torch
import transformers
from mmengine.logging import print_log
from torch import nn

from mmrefseg.fileio import first_line, name_some
from .build import copy_config, dtype_key, model_options, quiet
from .lora import ADAPTER, without_adapter


def load_pretrained(model: nn.Module,
                    pretrained: str,
                    *,
                    kind: Any,
                    config: Any,
                    local_files_only: bool = False,
                    prefix: str = '',
                    optional: tuple[str, ...] = ()) -> None:
    """Load the weights of a folder or hub name into a model, in place.

    transformers reads the file, so whatever names its releases gave to
    tensors are understood.

    Args:
        model (nn.Module): What :func:`build_model` built, or a part of it;
            parts of it may be taken out and adapters put in.
        pretrained (str): Folder with ``model.safetensors`` (or its shards),
            or a name on the Hugging Face hub.
        kind (type): Class that the model was built with.
        config (PretrainedConfig): Architecture that it was built with.
        local_files_only (bool): Never ask the hub.
        prefix (str): Place of ``model`` in what was built ('encoder.').
        optional (tuple[str]): Beginnings of the names of tensors that a file
            need not have; they stay as they are.

    Raises:
        FileNotFoundError: There is no such file of safetensors.
        ValueError: It does not fit the architecture.
    """
    options: dict[str, Any] = {dtype_key(): torch.float32}
    options.update(model_options(kind))
    try:
        with quiet():
            read, info = kind.from_pretrained(
                pretrained,
                config=copy_config(config),
                use_safetensors=True,
                local_files_only=local_files_only,
                output_loading_info=True,
                trust_remote_code=False,
                **options)
    except OSError as error:
        raise FileNotFoundError(
            f"The weights of '{pretrained}' (model.safetensors) can be had "
            'neither from a folder of that name nor from the Hugging Face '
            f'hub or its cache ({type(error).__name__}: {first_line(error)}):'
            ' set pretrained to such a folder, or to None to train from '
            'scratch. A file of pickles (pytorch_model.bin) is not read; '
            'testing a checkpoint needs no such weights.') from error
    except RuntimeError as error:
        raise ValueError(
            f"The weights of '{pretrained}' do not fit the architecture "
            f'({_reason(error)}): make arch fit them.') from error
    wrong = {str(x[0] if isinstance(x, tuple) else x)
             for x in info.get('mismatched_keys', ())}
    lacking = {*map(str, info['missing_keys']), *wrong}
    given = read.state_dict()
    chosen, absent = {}, []
    for name in model.state_dict():
        source = prefix + without_adapter(name)
        if ADAPTER in name:
            continue
        if source in given and source not in lacking:
            chosen[name] = given[source]
        elif not name.startswith(optional):
            absent.append(source)
    if absent:
        raise ValueError(
            f"The weights of '{pretrained}' lack {len(absent)} tensors of "
            f'this {kind.__name__} ({name_some(absent)}): make arch fit them.')
    model.load_state_dict(chosen, strict=False)
    print_log(
        f"{kind.__name__}: loaded {len(chosen)} tensors of '{pretrained}' "
        f'(transformers {transformers.__version__}).', 'current')


def _reason(error: Exception) -> str:
    """The line of a message that names a tensor."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((x for x in lines if 'size' in x or 'shape' in x), lines[0])
