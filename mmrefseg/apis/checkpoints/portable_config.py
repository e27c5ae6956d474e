# Licensed under the Apache License, Version 2.0.
"""Configs that inherit nothing and name nothing of the machine they are from.
"""

import copy
import ntpath
import os.path as osp
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmrefseg.fileio.packages import PREFIX
from mmrefseg.models.language_encoders.bert_files import (
    find_vocabulary, packaged_vocabularies, read_architecture)
from .portable_hf import write_out_hf_parts

# What predicting, testing and drawing need. Everything else trains.
_KEPT = ('default_scope', 'custom_imports', 'env_cfg', 'model',
         'test_pipeline', 'test_dataloader', 'test_evaluator', 'test_cfg',
         'visualizer', 'log_level')
# MMEngine puts the folder of the config file here when it reads it.
_HERE = '{{ fileDirname }}'
_VOCABULARY = ('vocab.txt', 'tokenizer.json', 'tokenizer_config.json')


class PortableConfig(NamedTuple):
    """A config to be given away.

    Attributes:
        config (Config): The config.
        files (dict[str, Path]): Files that have to lie beside it, their names
            there to where they are now.
        changes (list[str]): What was changed, for people to read.
    """
    config: Config
    files: dict[str, Path]
    changes: list[str]


def make_portable(config: Config) -> PortableConfig:
    """Reduce a training config to what predicting and testing need.

    Nothing is inherited, no pretrained weights are named, a vocabulary that
    is not packaged lies beside it, and paths that only exist on one machine
    are replaced.

    Args:
        config (Config): The config of a training run.

    Returns:
        PortableConfig: The config, the files that belong to it, and what was
        changed.

    Raises:
        ValueError: The config has no model.
    """
    if 'model' not in config:
        raise ValueError('The config has no model.')
    settings = {
        key: copy.deepcopy(value)
        for key, value in config.to_dict().items() if key in _KEPT
    }
    settings.setdefault('default_scope', 'mmrefseg')
    hook = (config.get('default_hooks') or {}).get('visualization')
    if hook is not None:
        settings['default_hooks'] = dict(visualization=hook.to_dict())
    changes: list[str] = []
    files: dict[str, Path] = {}
    encoder = settings['model'].get('language_encoder')
    kind = str((encoder or {}).get('type'))
    if kind.endswith('BertLanguageEncoder') and not (
            encoder.get('frozen') and _is_packaged(encoder)):
        _write_out_encoder(encoder, files, changes)
    elif kind.endswith('WordEmbeddingEncoder'):
        _bring_vocabulary(encoder, find_vocabulary(encoder['vocab'], None),
                          files)
    write_out_hf_parts(settings['model'], _HERE, files, changes)
    _forget_pretrained(settings['model'], changes)
    dataset = (settings.get('test_dataloader') or {}).get('dataset')
    if dataset:
        _move_data(dataset, changes)
    _forget_paths(settings, changes)
    return PortableConfig(Config(settings), files, changes)


def _write_out_encoder(encoder: dict, files: dict[str, Path],
                       changes: list[str]) -> None:
    """Write down vocabulary and architecture in place of ``pretrained``."""
    pretrained = encoder.pop('pretrained', None)
    path = find_vocabulary(encoder.get('vocab'), pretrained)
    arch = {**read_architecture(pretrained), **(encoder.get('arch') or {})}
    arch.pop('vocab_size', None)  # the vocabulary tells
    encoder['arch'] = arch
    _bring_vocabulary(encoder, path, files)
    if pretrained is not None:
        changes.append(f'language_encoder: pretrained={pretrained!r} became '
                       f'vocab={encoder["vocab"]!r} and its architecture')


def _bring_vocabulary(encoder: dict, path: Path,
                      files: dict[str, Path]) -> None:
    """Name a vocabulary that is packaged or lies beside the config."""
    packaged = find_vocabulary(packaged_vocabularies()[0], None).parent
    if path.parent == packaged:
        encoder['vocab'] = path.stem
    elif path.is_file():
        encoder['vocab'] = f'{_HERE}/vocab.txt'
        files['vocab.txt'] = path
    else:
        encoder['vocab'] = f'{_HERE}/vocab'
        for name in _VOCABULARY:
            if (path / name).is_file():
                files[f'vocab/{name}'] = path / name


def _containers(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """The dicts and lists of a config, outer ones first, and their places."""
    if isinstance(node, (dict, list)):
        yield place, node
    if isinstance(node, (dict, list, tuple)):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield from _containers(node[key], f'{place}.{key}'.lstrip('.'))


def _is_packaged(part: dict) -> bool:
    """Whether weights to start from lie in an installed package."""
    return str(part.get('pretrained')).startswith(PREFIX)


def _forget_pretrained(model: dict, changes: list[str]) -> None:
    """Remove every mention of weights to start from."""
    for place, part in _containers(model, 'model'):
        if not isinstance(part, dict):
            continue
        named = not _is_packaged(part) and part.pop('pretrained',
                                                    None) is not None
        init = part.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            part['init_cfg'] = None
            named = True
        if named:
            changes.append(f'{place}: pretrained weights are not named')


def _is_absolute(value: Any) -> bool:
    if not isinstance(value, str) or value.startswith(_HERE):
        return False
    return (posixpath.isabs(value) or ntpath.splitdrive(value)[0] != ''
            or value.startswith(('~', 'file:')))


def _move_data(dataset: dict, changes: list[str]) -> None:
    """Let datasets lie where the configs of the package expect them:
    in ``data/``, below the folder that a command runs in."""
    for _, part in _containers(dataset):
        if not isinstance(part, dict):
            continue
        root = part.get('data_root')
        for key, value in part.items():
            if not _is_absolute(value):
                continue
            if key == 'data_root':
                part[key] = f'data/{_last(value)}'
            elif root and osp.abspath(value).startswith(
                    osp.abspath(root) + osp.sep):
                part[key] = osp.relpath(value, root)
            else:
                part[key] = _last(value)
            changes.append(f'{key} {value!r} became {part[key]!r}')


def _last(path: str) -> str:
    return ntpath.basename(path.rstrip('/\\'))


def _forget_paths(settings: dict, changes: list[str]) -> None:
    """Set every remaining path of one machine to None."""
    for place, part in _containers(settings):
        for key in list(part) if isinstance(part, dict) else range(len(part)):
            if _is_absolute(part[key]):
                changes.append(f'{place}.{key}'.lstrip('.') +
                               f': {part[key]!r} was removed')
                part[key] = None
