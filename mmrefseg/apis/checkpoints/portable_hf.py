# Licensed under the Apache License, Version 2.0.
"""Parts made of models of ``transformers``, in a config to be given away."""

from pathlib import Path
from typing import Any

from mmrefseg.models.hf import make_config
from mmrefseg.models.hf.files import find_file
from mmrefseg.models.language_encoders.bert_files import packaged_vocabularies
from mmrefseg.models.language_encoders.text_families import config_class

# Whatever of these a folder or the hub has makes a tokenizer; config.json
# says which class reads the others.
_TOKENIZER = ('tokenizer.json', 'tokenizer_config.json',
              'special_tokens_map.json', 'added_tokens.json', 'vocab.json',
              'merges.txt', 'vocab.txt', 'spiece.model', 'tokenizer.model',
              'sentencepiece.bpe.model', 'config.json')


def write_out_hf_parts(model: dict, here: str, files: dict[str, Path],
                       changes: list[str]) -> None:
    """Write down architectures and tokenizers in place of ``pretrained``.

    Args:
        model (dict): Config of a segmentor, changed in place.
        here (str): What stands for the folder of the config.
        files (dict[str, Path]): Files that have to lie beside it; extended.
        changes (list[str]): What was changed; extended.
    """
    encoder = model.get('language_encoder') or {}
    if str(encoder.get('type')).endswith('HFTextEncoder'):
        _write_out_tokenizer(encoder, here, files, changes)
        _write_out_architecture(encoder, 'language_encoder', changes,
                                tower='text_config', classes=config_class)
    place, part = 'backbone', model.get('backbone')
    while isinstance(part, dict):
        if str(part.get('type')).endswith('HFBackbone'):
            _write_out_architecture(part, place, changes,
                                    tower='vision_config')
        place, part = f'{place}.backbone', part.get('backbone')


def _write_out_architecture(part: dict, place: str, changes: list[str],
                            **options: Any) -> None:
    pretrained, arch = part.get('pretrained'), dict(part.get('arch') or {})
    if pretrained is None:
        return
    config = make_config(
        pretrained,
        arch,
        local_files_only=part.get('local_files_only', False),
        part=place,
        **options)
    if 'model_type' not in arch:
        arch = {**config.to_diff_dict(), **arch}
        for key in ('transformers_version', 'architectures', 'dtype',
                    'torch_dtype', '_name_or_path'):
            arch.pop(key, None)
        arch['model_type'] = config.model_type
    for key in ('vocab_size', 'pad_token_id'):  # else the tokenizer's
        if getattr(config, key, None) is not None:
            arch[key] = getattr(config, key)
    part['arch'] = arch
    part['pretrained'] = None
    changes.append(f'{place}: pretrained={pretrained!r} became its '
                   'architecture')


def _write_out_tokenizer(encoder: dict, here: str, files: dict[str, Path],
                         changes: list[str]) -> None:
    name = encoder.get('tokenizer') or encoder.get('pretrained')
    if name is None or name in packaged_vocabularies():
        return
    path = Path(name).expanduser()
    if path.is_file():
        encoder['tokenizer'] = f'{here}/vocab.txt'
        files['vocab.txt'] = path
    else:
        for file in _TOKENIZER:
            try:
                found = find_file(name, (file, ), 'tokenizer', '')
            except FileNotFoundError:
                continue
            files[f'tokenizer/{file}'] = found
        encoder['tokenizer'] = f'{here}/tokenizer'
    changes.append(f'language_encoder: tokenizer={name!r} became '
                   f'{encoder["tokenizer"]!r}')
