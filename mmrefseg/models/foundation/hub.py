# Licensed under the Apache License, Version 2.0.
"""Models and processors of ``transformers``, by the name of their weights."""

import importlib.util
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from packaging.version import Version
from torch import nn


class Kind(NamedTuple):
    """A kind of model, as ``model_type`` of its ``config.json`` says.

    Attributes:
        model (str): Class of the model.
        processor (str): Class of the processor.
        since (str): First release of transformers that has them.
        torchvision (bool): Whether its processor needs torchvision.
    """
    model: str
    processor: str
    since: str
    torchvision: bool = False


# The published weights of SAM 2 and SAM 3 are those of the video models, of
# which these classes take the part for single images.
_SAM2 = Kind('Sam2Model', 'Sam2Processor', '4.56', True)
_SAM3 = Kind('Sam3Model', 'Sam3Processor', '5.0', True)
KINDS = {
    'clipseg':
    Kind('CLIPSegForImageSegmentation', 'CLIPSegProcessor', '4.24'),
    'grounding-dino':
    Kind('GroundingDinoForObjectDetection', 'GroundingDinoProcessor', '4.40'),
    'owlv2':
    Kind('Owlv2ForObjectDetection', 'Owlv2Processor', '4.35'),
    'sam':
    Kind('SamModel', 'SamProcessor', '4.29'),
    'sam2':
    _SAM2,
    'sam2_video':
    _SAM2,
    'sam3':
    _SAM3,
    'sam3_video':
    _SAM3,
}
_DTYPES = ('float32', 'bfloat16', 'float16')


class Loaded(NamedTuple):
    """A model with the processor that belongs to it.

    Attributes:
        kind (str): Its ``model_type``.
        model (PreTrainedModel): In evaluation mode, on the CPU.
        processor (Any): Its processor.
    """
    kind: str
    model: Any
    processor: Any


def load_pretrained(name: str,
                    kinds: Sequence[str],
                    *,
                    revision: str | None = None,
                    local_files_only: bool = False,
                    dtype: str = 'float32') -> Loaded:
    """Load a model and its processor.

    Weights are read from safetensors files alone, and no code of the hub is
    run.

    Args:
        name (str): Name of the weights on the Hugging Face hub
            ('CIDAS/clipseg-rd64-refined'), or a folder with their files.
        kinds (Sequence[str]): Names of :data:`KINDS` that are wanted here.
        revision (str, optional): Branch, tag or commit on the hub. None
            takes the newest.
        local_files_only (bool): Ask no hub, take what is in its cache.
            Defaults to False.
        dtype (str): 'float32', 'bfloat16' or 'float16'. Defaults to
            'float32'.

    Returns:
        Loaded: The model and its processor.

    Raises:
        ImportError: This transformers does not have the kind of model, or
            torchvision is missing where it needs it.
        OSError: The files are not there, or have no safetensors.
        ValueError: The weights are of another kind, or leave parts of the
            model random; ``dtype`` is unknown.
    """
    if dtype not in _DTYPES:
        raise ValueError(
            f'dtype={dtype!r} is none of {", ".join(_DTYPES)}.')
    source = dict(revision=revision, local_files_only=local_files_only)
    kind = _kind_of(name, kinds, source)
    _check_installed(name, kind)
    known = KINDS[kind]
    # The argument has had its shorter name since 4.56.
    version = Version(transformers.__version__)
    key = 'dtype' if version >= Version('4.56') else 'torch_dtype'
    try:
        if Path(name).is_dir() and not list(Path(name).glob('*.safetensors')):
            # Older releases would take a .bin of a folder all the same.
            raise OSError('the folder has no safetensors')
        processor = getattr(transformers, known.processor).from_pretrained(
            name, **source)
        model, info = getattr(transformers, known.model).from_pretrained(
            name,
            use_safetensors=True,
            output_loading_info=True,
            **{key: getattr(torch, dtype)},
            **source)
    except OSError as error:
        raise OSError(_why_not(name, local_files_only, error)) from error
    _check_complete(name, model, info['missing_keys'])
    return Loaded(kind, model.eval(), processor)


def _kind_of(name: str, kinds: Sequence[str], source: dict) -> str:
    try:
        config, _ = transformers.PretrainedConfig.get_config_dict(
            name, **source)
    except OSError as error:
        raise OSError(
            _why_not(name, source['local_files_only'], error)) from error
    kind = config.get('model_type')
    if kind is None or kind not in kinds:
        raise ValueError(
            f'{name} holds a model of the kind {kind!r}, but one of '
            f'{", ".join(map(repr, kinds))} is wanted here.')
    return kind


def _why_not(name: str, local: bool, error: OSError) -> str:
    reason = str(error).strip().splitlines()[0].rstrip('.')
    advice = ('download them once without local_files_only' if local else
              'check the name and the network, or give a folder that has them')
    return (f'The weights {name} cannot be loaded, of which config.json, the '
            "processor's files and safetensors (no .bin) are needed "
            f'({reason}): {advice}.')


def _check_installed(name: str, kind: str) -> None:
    known, version = KINDS[kind], transformers.__version__
    old = Version(version).release < Version(known.since).release
    if not old and known.torchvision and importlib.util.find_spec(
            'torchvision') is None:
        raise ImportError(
            f'{name} is a model of the kind {kind!r}, whose processor needs '
            'torchvision: install the release of it that fits your PyTorch.')
    if old or not hasattr(transformers, known.model):
        raise ImportError(
            f'{name} is a model of the kind {kind!r}, which transformers has '
            f'since {known.since}; installed is {version}: '
            f"pip install 'transformers>={known.since}'.")


def _check_complete(name: str, model: nn.Module,
                    missing: Sequence[str]) -> None:
    """Refuse weights that leave a parameter as it was drawn at random."""
    # A tied parameter has several names, of which one is enough.
    names = defaultdict(list)
    for key, value in model.named_parameters(remove_duplicate=False):
        names[id(value)].append(key)
    lost = [keys[0] for keys in names.values() if set(keys) <= set(missing)]
    if lost:
        raise ValueError(
            f'The weights {name} lack {len(lost)} parameters of '
            f'{type(model).__name__}, such as {lost[0]}: they belong to '
            'another model.')
