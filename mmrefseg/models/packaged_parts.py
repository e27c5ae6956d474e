# Licensed under the Apache License, Version 2.0.
"""Weights that installed packages bring: a published file leaves them out.

A part with ``pretrained='package:NAME/FILE'`` that stays frozen has the
weights of that file. Such a part has two methods: ``packaged_state``, the
names of its tensors that the package brings, and ``load_packaged``, which puts
them into it.
"""

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class _Packaged(Protocol):

    def packaged_state(self) -> list[str]:
        ...

    def load_packaged(self) -> None:
        ...

    def state_dict(self) -> dict[str, Tensor]:
        ...


def _parts(model: nn.Module) -> Iterator[tuple[str, _Packaged, list[str]]]:
    for name, part in model.named_modules():
        frozen = not any(p.requires_grad for p in part.parameters())
        if frozen and isinstance(part, _Packaged):
            names = part.packaged_state()
            if names:
                prefix = f'{name}.' if name else ''
                yield prefix, part, [prefix + own for own in names]


def load_packaged_parts(model: nn.Module,
                        state_dict: Mapping[str, Tensor]) -> set[str]:
    """Load what a file of weights leaves to packages.

    Args:
        model (nn.Module): The model, before the file is loaded.
        state_dict (Mapping[str, Tensor]): What the file has.

    Returns:
        set[str]: Names of the tensors that came from packages.

    Raises:
        FileNotFoundError: A package is not installed.
    """
    loaded: set[str] = set()
    for _, part, names in _parts(model):
        if not any(name in state_dict for name in names):
            part.load_packaged()
            loaded.update(names)
    return loaded


def complete_from_packages(model: nn.Module,
                           state_dict: MutableMapping[str, Tensor],
                           prefix: str = '') -> None:
    """Load what a file of weights leaves to packages, and add it to what the
    file has, so that nothing is missing: MMEngine's own loading.

    Args:
        model (nn.Module): The model, before the file is loaded.
        state_dict (MutableMapping[str, Tensor]): What the file has, changed
            in place.
        prefix (str): Before the names of the model in it. Defaults to none.

    Raises:
        FileNotFoundError: A package is not installed.
    """
    own = {
        name.removeprefix(prefix): tensor
        for name, tensor in state_dict.items() if name.startswith(prefix)
    }
    loaded = load_packaged_parts(model, own)
    if loaded:
        full = model.state_dict()
        state_dict.update((prefix + name, full[name]) for name in loaded)


def drop_packaged_parts(
        model: nn.Module,
        state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Leave out what packages bring, where it is equal to the last bit.

    Args:
        model (nn.Module): The model that the weights are of.
        state_dict (Mapping[str, Tensor]): Its weights.

    Returns:
        tuple[dict, int]: The others, and how many were left out.

    Raises:
        FileNotFoundError: A package is not installed.
    """
    rest = dict(state_dict)
    for prefix, part, names in _parts(model):
        trial = copy.deepcopy(part)
        trial.load_packaged()
        state = trial.state_dict()
        if all(
                torch.equal(state[name.removeprefix(prefix)].cpu(), rest[name])
                for name in names if name in rest):
            for name in names:
                rest.pop(name, None)
    return rest, len(state_dict) - len(rest)
