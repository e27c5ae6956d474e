# Licensed under the Apache License, Version 2.0.
"""Where vocabulary, architecture and weights of a BERT come from: a folder,
the Hugging Face hub (its cache first), or a vocabulary packaged here."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..hf.files import HUB, find_file

_VOCABULARIES = Path(__file__).parent / 'vocabularies'
# Hub names whose architecture is BertConfig's default: with `vocab=` they are
# built without the hub, which only their weights ask for.
_WELL_KNOWN = ('bert-base-uncased', 'google-bert/bert-base-uncased')
# What a config.json says of the architecture, and `arch=` may say.
ARCHITECTURE = ('attention_probs_dropout_prob', 'hidden_act',
                'hidden_dropout_prob', 'hidden_size', 'initializer_range',
                'intermediate_size', 'layer_norm_eps',
                'max_position_embeddings', 'num_attention_heads',
                'num_hidden_layers', 'type_vocab_size', 'vocab_size')


def packaged_vocabularies() -> list[str]:
    """Names that ``vocab=`` accepts besides paths."""
    return sorted(path.stem for path in _VOCABULARIES.glob('*.txt'))


def find_vocabulary(vocab: str | None, pretrained: str | None) -> Path:
    """Find the vocabulary of a language encoder.

    Args:
        vocab (str, optional): Path of a ``vocab.txt``, or the name of a
            packaged vocabulary.
        pretrained (str, optional): Folder or hub name to take it from when
            ``vocab`` is None.

    Returns:
        Path: A ``vocab.txt``, or a folder with a ``tokenizer.json``.

    Raises:
        FileNotFoundError: There is none; the message says what to set.
        ValueError: Neither of the two is given.
    """
    if vocab is not None:
        path = Path(vocab).expanduser()
        if (path / 'vocab.txt').is_file():
            return path / 'vocab.txt'
        if path.is_file() or (path / 'tokenizer.json').is_file():
            return path
        if vocab in packaged_vocabularies():
            return _VOCABULARIES / f'{vocab}.txt'
        raise FileNotFoundError(
            f"vocab='{vocab}' is neither a file nor a packaged vocabulary "
            f'({", ".join(packaged_vocabularies())}): give the path of a '
            'vocab.txt.')
    if pretrained is None:
        raise ValueError(
            'A BertLanguageEncoder needs words: set vocab= to the path of a '
            'vocab.txt or to a packaged vocabulary '
            f'({", ".join(packaged_vocabularies())}), or pretrained= to a '
            'BERT folder or hub name.')
    path = _find(pretrained, ('vocab.txt', 'tokenizer.json'),
                 'vocabulary')
    return path.parent if path.name == 'tokenizer.json' else path


def read_architecture(pretrained: str | None) -> dict:
    """Read the architecture of a pretrained BERT.

    Args:
        pretrained (str, optional): Folder or hub name. None gives an empty
            dict, which means BertConfig's defaults.

    Returns:
        dict: Keyword arguments for :class:`transformers.BertConfig`.

    Raises:
        FileNotFoundError: There is no ``config.json``.
        ValueError: It does not describe a BERT.
    """
    if pretrained is None:
        return {}
    if pretrained in _WELL_KNOWN and not Path(pretrained).is_dir():
        return {}
    path = _find(pretrained, ('config.json', ), 'architecture')
    config = json.loads(path.read_text(encoding='utf-8'))
    if config.get('model_type', 'bert') != 'bert':
        raise ValueError(
            f"{path} describes a '{config['model_type']}', not a 'bert': "
            'BertLanguageEncoder takes BERT folders only.')
    if config.get('position_embedding_type', 'absolute') != 'absolute':
        raise ValueError(f'{path} asks for relative positions '
                         f"('{config['position_embedding_type']}'), which "
                         'BertLanguageEncoder does not have.')
    return {key: config[key] for key in ARCHITECTURE if key in config}


def find_weights(pretrained: str) -> Path:
    """Find the weights of a pretrained BERT.

    Args:
        pretrained (str): Folder or hub name; ``model.safetensors`` goes
            before ``pytorch_model.bin``.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: There is none; the message says what to set.
    """
    return _find(pretrained, ('model.safetensors', 'pytorch_model.bin'),
                 'weights')


def _find(pretrained: str, names: Sequence[str], what: str) -> Path:
    """The first of ``names`` in a folder or, failing that, on the hub."""
    return find_file(pretrained, names, what, _REMEDY[what])


_REMEDY = {
    'vocabulary':
    'set language_encoder.vocab to the path of a vocab.txt, or '
    'language_encoder.pretrained to a folder with config.json, vocab.txt and '
    f'model.safetensors. {HUB}',
    'architecture':
    'set language_encoder.pretrained to a folder with config.json, vocab.txt '
    'and model.safetensors, or to None and give language_encoder.arch and '
    f'language_encoder.vocab. {HUB}',
    'weights':
    'set language_encoder.pretrained to a folder with config.json, vocab.txt '
    'and model.safetensors or pytorch_model.bin, or to None (with '
    'language_encoder.vocab) to train from scratch; testing a checkpoint '
    f'needs no such weights. {HUB}',
}
