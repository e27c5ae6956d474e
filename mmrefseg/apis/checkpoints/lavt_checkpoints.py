# Licensed under the Apache License, Version 2.0.
"""Official checkpoints of LAVT in the names of this package.

They come in two kinds: ``lavt`` holds the segmentor as ``model`` and BERT as
``bert_model``; ``lavt_one`` holds both as ``model``, BERT under
``text_encoder.``. The converted model computes the same function.
"""

import argparse
import io
import os.path as osp
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor
from transformers import BertConfig, BertModel

from mmrefseg.engine.options import merge_options
from mmrefseg.fileio import name_some, read_weights, write_atomically
from mmrefseg.fileio.weights import StateDict, without_wrapper
from mmrefseg.models.language_channels import with_language_channels
from mmrefseg.models.language_encoders.bert_files import read_architecture
from mmrefseg.models.meta import meta_device
from mmrefseg.registry import MODELS
from mmrefseg.version import __version__
from .init_model import ModelType, load_config, scope_of
from .lavt_names import BERT, LavtNames, position_index

DEFAULT_CONFIG = 'lavt_swin-b-w12_8xb4-40e_refcoco-480x480'

# In the file and of no use here; names in BERT and why.
_DROPPED = {
    'pooler.dense.weight': 'LAVT reads the words, not the pooled sentence',
    'pooler.dense.bias': 'LAVT reads the words, not the pooled sentence',
    'embeddings.position_ids': 'the numbers from 0 on',
}
_INDEX = 'relative_position_index'
_TABLE = 'relative_position_bias_table'
_STEPS = 'num_batches_tracked'
_NAMED = 40  # tensors that a message lists


@dataclass
class LavtReport:
    """What became of the tensors of an official checkpoint.

    Attributes:
        kind (str): 'lavt' or 'lavt_one'.
        names (dict[str, str]): Names in the file to ours.
        dropped (dict[str, str]): Names in the file that have no place here,
            and why.
        added (list[str]): Names of ours that the file leaves out because
            they are not learned.
    """
    kind: str
    names: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)


def convert_lavt_checkpoint(path: str,
                            out: str,
                            *,
                            config: ModelType = DEFAULT_CONFIG,
                            cfg_options: dict | None = None,
                            trusted: bool = False) -> LavtReport:
    """Make a checkpoint of this package of an official one of LAVT.

    Args:
        path (str): The official checkpoint.
        out (str): The ``.pth`` file to write: weights and config.
        config (str | Config): Config of the model, see
            :func:`~mmrefseg.apis.init_model`. Its window and widths must be
            those of the file. Defaults to Swin-B with windows of 12.
        cfg_options (dict, optional): Settings to change in it, their names
            with dots.
        trusted (bool): Also read a file that can run code.

    Returns:
        LavtReport: What became of each tensor.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint of LAVT, or does not fit the config;
            the message lists the tensors.

    Example:
        >>> from mmrefseg.apis import convert_lavt_checkpoint
        >>> report = convert_lavt_checkpoint(
        ...     'refcoco.pth', 'lavt.pth')  # doctest: +SKIP
        >>> report.kind, len(report.names)  # doctest: +SKIP
        ('lavt_one', 658)
    """
    if osp.exists(out) and osp.samefile(path, out):
        raise ValueError(f'{out} is the official checkpoint itself: give '
                         'another name for the converted one.')
    cfg, _ = load_config(config)
    if cfg_options:
        merge_options(cfg, cfg_options)
    checkpoint = read_lavt_checkpoint(path, trusted=trusted)
    try:
        weights, report = convert_lavt_state_dict(checkpoint, cfg)
    except ValueError as error:
        raise ValueError(f'{path} cannot be converted: {error}') from error
    meta = dict(
        mmrefseg_version=__version__,
        converted_from=f'{osp.basename(path)} ({report.kind})',
        cfg=cfg.pretty_text)
    buffer = io.BytesIO()
    torch.save(dict(state_dict=weights, meta=meta), buffer)
    write_atomically(out, buffer.getvalue())
    return report


def read_lavt_checkpoint(path: str, *, trusted: bool = False) -> Mapping:
    """Read an official checkpoint without running anything that is in it.

    Beside tensors and plain data the command line that it was trained by, an
    ``argparse.Namespace``, is admitted.

    Args:
        path (str): The file.
        trusted (bool): Also read a file that can run code.

    Returns:
        Mapping: What it holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or holds more than plain data.
    """
    content = read_weights(
        path,
        trusted=trusted,
        admit=[argparse.Namespace],
        hint='give the path of an official checkpoint',
        if_trusted='add --trusted')
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} holds a {type(content).__name__}, not a '
                         'checkpoint of LAVT.')
    return content


def convert_lavt_state_dict(checkpoint: Mapping,
                            config: Config) -> tuple[StateDict, LavtReport]:
    """Convert the weights of an official checkpoint.

    Args:
        checkpoint (Mapping): What an official file holds. Only the weights
            and, of the command line, the number of heads are looked at.
        config (Config): Config of the model that is to take them.

    Returns:
        tuple[dict, LavtReport]: Weights that load into the model without
        gaps, and what became of each tensor.

    Raises:
        ValueError: It is no checkpoint of LAVT, or a tensor is unexpected,
            missing or of another shape; the message lists them.
    """
    given, kind = _unpack(checkpoint)
    _check_heads(checkpoint.get('args'))
    report = LavtReport(kind)
    for end, why in _DROPPED.items():
        if _without_use(end, given.get(BERT + end)):
            report.dropped[_shown(BERT + end, kind)] = why
            del given[BERT + end]
    target = _target(config, given)
    adapter = LavtNames(target)
    if not adapter.matches(given):
        raise ValueError('it is no checkpoint of LAVT: its tensors are named '
                         f'like {name_some(list(given)) or "nothing"}.')
    _compare(given, adapter, kind)

    converted = {}
    for official, name in adapter.ours.items():
        renamed = None
        if official in given:
            report.names[_shown(official, kind)] = name
            renamed = adapter.rename(official, given[official])
        else:
            report.added.append(name)
        if name.endswith(_INDEX):
            converted[name] = position_index(len(target[name]))
        elif renamed is not None:
            converted[name] = renamed[1]
        else:
            converted[name] = torch.zeros(
                target[name].shape, dtype=target[name].dtype)
    return converted, report


def _without_use(end: str, tensor: Any) -> bool:
    if not isinstance(tensor, Tensor):
        return False
    numbers = torch.arange(tensor.numel(), dtype=tensor.dtype)
    return 'position_ids' not in end or torch.equal(tensor.flatten(), numbers)


def _unpack(checkpoint: Mapping) -> tuple[dict[str, Any], str]:
    """The tensors of a checkpoint, BERT's under ``text_encoder.``, and its
    kind."""
    model = checkpoint.get('model')
    if not isinstance(model, Mapping) or not model:
        held = ', '.join(f"'{key}'" for key in list(checkpoint)[:5])
        raise ValueError("it is no checkpoint of LAVT: it has no 'model' "
                         f"(it has {held or 'nothing'}).")
    given = without_wrapper(model)
    inside = any(name.startswith(BERT) for name in given)
    bert = checkpoint.get('bert_model')
    if inside and bert is not None:
        raise ValueError("it has two BERTs, 'bert_model' and the names with "
                         f"'{BERT}' in 'model'.")
    if inside:
        return given, 'lavt_one'
    if not isinstance(bert, Mapping):
        raise ValueError(
            "it has no BERT: neither 'bert_model' beside 'model' (as lavt "
            f"files have) nor names with '{BERT}' in it (as lavt_one files "
            'have).')
    for name, value in without_wrapper(bert).items():
        given[BERT + name] = value
    return given, 'lavt'


def _check_heads(args: argparse.Namespace | None) -> None:
    """Heads of the pixel-word attention: shapes do not tell them."""
    heads = getattr(args, 'mha', None) or ''
    if set(str(heads).split('-')) - {'', '1'}:
        raise ValueError(f'it was trained with mha={heads}, heads of the '
                         'pixel-word attention; PWAM has one.')


def _target(config: Config, given: Mapping[str, Any]) -> StateDict:
    """Names and shapes of a config's model. Built without tokenizer, so no
    vocabulary is needed: the file tells how many words it has."""
    model = dict(config.model)
    encoder = model.pop('language_encoder')
    arch = dict(read_architecture(encoder.get('pretrained')))
    arch.update(encoder.get('arch') or {})
    words = given.get(f'{BERT}embeddings.word_embeddings.weight')
    if isinstance(words, Tensor) and words.dim() == 2:
        arch['vocab_size'] = len(words)
    with scope_of(config), meta_device():
        bert = BertModel(BertConfig(**arch), add_pooling_layer=False)
        parts = with_language_channels(model, bert.config.hidden_size)
        target = MODELS.build(parts).state_dict()
    for name, tensor in bert.state_dict().items():
        target[f'language_encoder.bert.{name}'] = tensor
    return target


def _shown(name: str, kind: str) -> str:
    """A name as it stands in the file."""
    if kind == 'lavt' and name.startswith(BERT):
        return f'bert_model: {name[len(BERT):]}'
    return name


def _compare(given: Mapping[str, Any], adapter: LavtNames, kind: str) -> None:
    """Refuse a file that is not exactly what the model takes."""
    problems: list[str] = []
    wanted = adapter.ours

    def note(what: str, names: list[str]) -> None:
        if names:
            problems.append(f'{len(names)} {what}: {name_some(names, _NAMED)}')

    note('unexpected', [_shown(x, kind) for x in given if x not in wanted])
    note('missing', [
        _shown(x, kind) for x in wanted
        if x not in given and not x.endswith((_INDEX, _STEPS))
    ])
    common = [name for name in wanted if name in given]
    wrong = [
        f'{_shown(x, kind)} ({_shape_of(given[x])} in the file, '
        f'{_shape(adapter.official_shape(x))} in the model)' for x in common
        if _shape_of(given[x]) != _shape(adapter.official_shape(x))
    ]
    note('of another shape', wrong)
    if not wrong:
        note("not Swin's", [
            name for name in common
            if name.endswith(_INDEX) and not torch.equal(
                given[name], position_index(len(given[name])))
        ])
    if problems:
        hint = ''
        tables = [x for x in wanted if x.endswith(_TABLE) and x in given]
        if tables and any(_TABLE in x for x in wrong):
            window = (round(len(given[tables[0]])**0.5) + 1) // 2
            hint = (f' Its windows are of {window}: give a config with '
                    f'window_size={window}.')
        raise ValueError('of its tensors ' + '; '.join(problems) + '.' + hint)


def _shape(size: tuple[int, ...]) -> str:
    return ' x '.join(map(str, size)) or 'scalar'


def _shape_of(value: Any) -> str:
    if isinstance(value, Tensor):
        return _shape(tuple(value.shape))
    return type(value).__name__
