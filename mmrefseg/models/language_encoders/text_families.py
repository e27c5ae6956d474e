# Licensed under the Apache License, Version 2.0.
"""How each family of text models was trained: its class, what becomes of
padding, and which of its outputs stands for the sentence."""

import functools
from dataclasses import dataclass
from typing import Any

import transformers
from torch import nn

from ..hf import model_class


@dataclass(frozen=True)
class TextFamily:
    """A family of text models in ``transformers``.

    Attributes:
        names (tuple[str, str] | None): Classes of its config and of its
            model. None means those that ``AutoModel`` finds.
        pooling (str): 'mean', 'cls', 'last' (the token at the end, where
            a causal model has read the whole sentence) or 'pooler' (the
            model's own output for the sentence).
        full_length (bool): Trained on sentences padded to all positions, with
            no mask: padding is read like words.
        lower_case (bool): Trained on lower-cased sentences.
        inner (str): The module that reads, where the model wraps it.
        untrained (tuple[str]): Modules for the sentence alone; parts that
            read only words would give them no gradient.
    """
    names: tuple[str, str] | None = None
    pooling: str = 'mean'
    full_length: bool = False
    lower_case: bool = False
    inner: str = ''
    untrained: tuple[str, ...] = ()


_SIGLIP = functools.partial(
    TextFamily,
    pooling='pooler',
    full_length=True,
    lower_case=True,
    untrained=('head', ))
_T5 = functools.partial(TextFamily, inner='encoder')

FAMILIES = {
    'clip_text_model':
    TextFamily(('CLIPTextConfig', 'CLIPTextModel'), pooling='last'),
    'siglip_text_model': _SIGLIP(('SiglipTextConfig', 'SiglipTextModel')),
    'siglip2_text_model': _SIGLIP(('Siglip2TextConfig', 'Siglip2TextModel')),
    't5': _T5(('T5Config', 'T5EncoderModel')),
    'mt5': _T5(('MT5Config', 'MT5EncoderModel')),
    'umt5': _T5(('UMT5Config', 'UMT5EncoderModel')),
    'modernbert': TextFamily(pooling='cls'),
    'roberta': TextFamily(pooling='cls'),
    'xlm-roberta': TextFamily(pooling='cls'),
    # Sentence encoders that are BERTs, such as MiniLM, take the mean.
    'bert': TextFamily(pooling='mean'),
}


def family_of(model_type: str) -> TextFamily:
    """The family of a ``model_type``; one that is not listed is read with its
    mask, and the mean of its words is the sentence."""
    return FAMILIES.get(model_type, TextFamily())


def config_class(model_type: str) -> type | None:
    """Class of the config of a family that says so, if transformers has it."""
    names = family_of(model_type).names
    return getattr(transformers, names[0], None) if names else None


def text_class(config: Any) -> type:
    """Class of the model of a config.

    Raises:
        ValueError: transformers has none.
    """
    names = family_of(config.model_type).names
    kind = getattr(transformers, names[1], None) if names else None
    return kind or model_class(config)


def most_tokens(model: nn.Module, config: Any) -> int | None:
    """Positions of a model; None where they are relative and without end."""
    positions = getattr(config, 'max_position_embeddings', None)
    if positions is None:
        return None
    # RoBERTa and its kin count positions from the number of its padding on.
    for name, module in model.named_modules():
        if name.endswith('position_embeddings') and isinstance(
                module, nn.Embedding) and module.padding_idx is not None:
            positions -= module.padding_idx + 1
    return positions
