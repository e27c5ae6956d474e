# Licensed under the Apache License, Version 2.0.
"""Low-rank adapters (Hu et al.: LoRA, ICLR 2022), by the package ``peft``."""

from typing import Any

from torch import nn

ADAPTER = '.lora_'
_BASE = '.base_layer'
# What projects to queries and to values, by the names of many models; of one
# layer that does both, the whole.
_QUERY_AND_VALUE = ('q_proj', 'v_proj', 'query', 'value', 'q', 'v', 'q_lin',
                    'v_lin', 'Wqkv', 'qkv')


def add_lora(model: nn.Module, lora: dict) -> None:
    """Put adapters into a model, in place; nothing else of it trains then.

    Args:
        model (nn.Module): The model.
        lora (dict): Keyword arguments of ``peft.LoraConfig``: ``r``,
            ``lora_alpha``, ``lora_dropout``, ``target_modules``. Without
            ``target_modules`` the projections to queries and values get one.

    Raises:
        ImportError: peft is not installed.
        ValueError: No module has such a name.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError(
            'lora=dict(...) needs the package peft: pip install peft (or '
            'mmrefseg[lora]), or remove lora.') from error
    options: dict[str, Any] = dict(lora)
    if options.get('target_modules') is None:
        names = {
            name.rpartition('.')[2]
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear)
        }
        options['target_modules'] = sorted(names & set(_QUERY_AND_VALUE))
    try:
        inject_adapter_in_model(LoraConfig(**options), model)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'lora={lora} does not fit {type(model).__name__} ({error}): name '
            'its linear layers in lora.target_modules.') from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(ADAPTER in name)


def without_adapter(name: str) -> str:
    """The name of a tensor before adapters were put in."""
    return name.replace(_BASE, '')
