# Licensed under the Apache License, Version 2.0.
"""Models by name: packaged ones, those of the model index, and the config
files of the package."""

import hashlib
import json
import os.path as osp
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from mmengine import fileio

from .checkpoint import read_checkpoint

METADATA = 'metadata.json'
_PACKAGE = Path(__file__).resolve().parents[2]
_PACKAGED = _PACKAGE / 'model_zoo'
_CHECKPOINTS = ('.pth', '.pt', '.safetensors')


class FoundModel(NamedTuple):
    """Where a model is.

    Attributes:
        config (str): Path of its config file.
        weights (str, optional): Path or address of its weights. None where
            there are none but one's own.
    """
    config: str
    weights: str | None


def packaged_models() -> list[str]:
    """Names of the models whose weights come with the package.

    Example:
        >>> from mmrefseg.apis import packaged_models
        >>> packaged_models()
        ['mpg-lqgnet_nano', 'mpg-lqgnet_photos']
    """
    return sorted(path.parent.name for path in _PACKAGED.glob(f'*/{METADATA}'))


def list_models() -> list[str]:
    """Names that :func:`find_model` knows, packaged models first.

    Each model has one name here; a packaged one is also found by that of its
    config.

    Example:
        >>> from mmrefseg.apis import list_models
        >>> list_models()[0]
        'mpg-lqgnet_nano'
    """
    return [
        name for name, found in _known_models().items()
        if found.config == found.weights or not _is_packaged(found)
    ]


def read_metadata(folder: str) -> dict:
    """Read what is known of a published model.

    Args:
        folder (str): Folder written by
            ``tools/model_converters/publish_model.py``, the name of a
            packaged model, or a file of published weights alone.

    Returns:
        dict: ``name``, ``dtype``, ``params``, ``metrics``, ...; of a folder
        also ``config`` and ``weights`` (its files) and ``sha256`` of the
        latter.

    Raises:
        FileNotFoundError: It is no such folder.
        ValueError: The file does not say such things.

    Example:
        >>> from mmrefseg.apis import read_metadata
        >>> read_metadata('mpg-lqgnet_nano')['params']
        2912523
    """
    if folder.endswith(_CHECKPOINTS):
        meta = read_checkpoint(folder).get('meta') or {}
        if 'published' not in meta:
            raise ValueError(
                f'{folder} does not say what it is: it was not written by '
                'tools/model_converters/publish_model.py.')
        return dict(meta['published'])
    for path in (Path(folder), _PACKAGED / folder):
        if (path / METADATA).is_file():
            return json.loads((path / METADATA).read_text(encoding='utf-8'))
    raise FileNotFoundError(f'{folder} has no {METADATA}: it is no folder of '
                            'a published model.')


def find_model(model: str) -> FoundModel:
    """Find a model.

    Args:
        model (str): One of: the path of a config file; a folder written by
            ``tools/model_converters/publish_model.py``; the name of
            a packaged model ('mpg-lqgnet_nano'); a name or an alias of the
            model index; the name of a config file of the package, without
            '.py'.

    Returns:
        FoundModel: Its files. Weights that come with a checksum have been
        checked.

    Raises:
        FileNotFoundError: It reads like a path, and nothing is there.
        ValueError: Nothing has this name, or the weights are damaged.
    """
    if osp.isfile(model):
        if model.endswith(_CHECKPOINTS):
            raise ValueError(
                f'{model} is a checkpoint, not a config: pass it as the '
                'weights, beside its config.')
        return FoundModel(model, None)
    if osp.isfile(osp.join(model, METADATA)):
        return _published(Path(model))
    if osp.isdir(model) or model.endswith('.py') or osp.basename(
            model) != model:
        raise FileNotFoundError(
            f'There is no config file {model}, nor a folder of a published '
            'model; mmrefseg.apis.list_models() gives the names that are '
            'known.')
    known = _known_models()
    by_lower = {name.lower(): name for name in known}
    name = by_lower.get(model.lower())
    if name is None:
        near = get_close_matches(model.lower(), by_lower, n=1, cutoff=0.6)
        hint = f' Did you mean {by_lower[near[0]]!r}?' if near else ''
        raise ValueError(
            f'There is no model {model!r}.{hint} Known are '
            f'{", ".join(known)}; the path of a config file does as well.')
    found = known[name]
    if not _is_packaged(found):
        return found
    published = _published(Path(str(found.weights)))
    if found.config == found.weights:
        return published
    return FoundModel(found.config, published.weights)


def _is_packaged(found: FoundModel) -> bool:
    return found.weights is not None and osp.isdir(found.weights)


def _published(folder: Path) -> FoundModel:
    metadata = read_metadata(str(folder))
    weights = folder / metadata['weights']
    if not weights.is_file():
        raise FileNotFoundError(
            f'The weights {weights} are not there, though {METADATA} names '
            'them: install the package, or publish the model, again.')
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != metadata['sha256']:
        raise ValueError(
            f'{weights} is not the file that {METADATA} describes (its '
            'checksum differs): install the package, or publish the model, '
            'again.')
    return FoundModel(str(folder / metadata['config']), str(weights))


def _known_models() -> dict[str, FoundModel]:
    """Names and where the models are. Of a packaged model the folder stands
    for its weights, and under its own name for its config too."""
    known = {
        name: FoundModel(str(_PACKAGED / name), str(_PACKAGED / name))
        for name in packaged_models()
    }
    root = _shipped()
    if root is None:
        return known
    for entry in _index(root):
        weights = entry.get('Weights')
        if isinstance(weights, list):
            weights = weights[0] if weights else None
        if weights and (_PACKAGE.parent / weights).is_file():
            weights = str(_PACKAGE.parent / weights)
        aliases = entry.get('Alias') or []
        aliases = [aliases] if isinstance(aliases, str) else aliases
        names = [entry['Name'], *aliases]
        for name in names:
            if name in known:
                weights = known[name].weights
        found = FoundModel(str(root / entry['Config']), weights)
        for name in names:
            known.setdefault(name, found)
    for path in sorted((root / 'configs').glob('[!_]*/*.py')):
        known.setdefault(path.stem, FoundModel(str(path), None))
    return known


def _shipped() -> Path | None:
    """The folder of configs and model index: the repository, or what the
    installed package carries of it."""
    for root in (_PACKAGE.parent, _PACKAGE / '.mim'):
        index, configs = root / 'model-index.yml', root / 'configs'
        if index.is_file() and configs.is_dir():
            return root
    return None


def _index(root: Path) -> list[dict]:
    """The entries of the model index and the files it imports."""
    entries: list[dict] = []
    index = fileio.load(str(root / 'model-index.yml')) or {}
    for name in index.get('Import') or []:
        entries += (fileio.load(str(root / name)) or {}).get('Models') or []
    return entries
