# Licensed under the Apache License, Version 2.0.
"""Settings that a command changes in a config (``--cfg-options``)."""

import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import Registry
from mmengine.runner import Runner

from mmrefseg import registry

# What MMEngine reads of a config beside the arguments of its Runner.
_READ_FROM_CONFIG = {
    'activation_checkpointing', 'compile', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'gpu_ids', 'model_wrapper_cfg', 'runner_type',
    'sync_bn'
}
# Keys beside ``type`` that a builder takes out before it calls a class.
_TAKEN_BY_BUILDERS = {
    '_delete_', '_scope_', 'by_epoch', 'constructor', 'convert_to_iter_based',
    'optimizer', 'paramwise_cfg', 'priority', 'requires_grad', 'type'
}


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Change settings of a config, and warn of those without effect.

    A top-level name has an effect if the Runner reads it; the variables of a
    config file are used up when the file has been read. A new name further
    in has an effect if the class there takes such an argument. In a dict
    without ``type`` any name may have one; one that is nearly that of a
    neighbour gives a warning.

    Args:
        cfg (Config): The config, changed in place.
        options (Mapping[str, Any]): Settings, their names with dots:
            ``{'optim_wrapper.optimizer.lr': 1e-4}``.

    Raises:
        ValueError: If a class does not take such an argument (the message
            names the nearest that it takes), or there is no such place.
    """
    before = cfg.to_dict()
    try:
        cfg.merge_from_dict(options)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f'--cfg-options {", ".join(options)} cannot be applied to the '
            f'config: {error}') from error
    after = cfg.to_dict()
    read = _names_read(after)
    for option in options:
        first, *rest = option.split('.')
        if first in read:
            _check_inside(option, before, after)
        else:
            places = _hint(first, read) or _where_used(before, read, first)
            advice = ' or '.join('.'.join([x, *rest]) for x in places)
            _warn(f'{option} has no effect: no part of a run reads {first!r}.'
                  + (f' Set {advice} instead.' if advice else ''))


def accepted_arguments(kind: type | str) -> tuple[set[str], bool]:
    """Names of the arguments of what a config's ``type`` names.

    Args:
        kind (type | str): The type, or its registered name.

    Returns:
        tuple[set[str], bool]: The names, and whether there are no others: it
        is False if the type is unknown or takes ``**kwargs`` of any name.
    """
    found: list = [kind]
    if isinstance(kind, str):
        # One name may stand in several registries.
        registries = [x for x in vars(registry).values()
                      if isinstance(x, Registry)]
        found = [x.get(kind) for x in registries if kind in x]
    names, closed = set(_TAKEN_BY_BUILDERS), bool(found)
    for obj in found:
        functions = [obj]
        if inspect.isclass(obj):
            functions = [vars(base)['__init__'] for base in obj.__mro__
                         if '__init__' in vars(base)]
        for function in functions:
            try:
                parameters = inspect.signature(function).parameters.values()
            except (TypeError, ValueError):  # of C code without a signature
                closed = False
                break
            names |= {x.name for x in parameters}
            if all(x.kind is not x.VAR_KEYWORD for x in parameters):
                break
        else:
            closed = False
    return names, closed


def _check_inside(option: str, before: Any, after: Any) -> None:
    """Look at the first name of an option that is new."""
    place: list[str] = []
    for name in option.split('.'):
        if isinstance(before, list):
            before, after = before[int(name)], after[int(name)]
        elif isinstance(before, dict) and name in before:
            before, after = before[name], after[name]
        else:
            break
        place.append(name)
    else:
        return
    if not isinstance(before, dict) or not isinstance(after, dict):
        return
    kind: Any = after.get('type')
    where = '.'.join(place)
    known, closed = set(before), False
    if kind is not None:
        known, closed = accepted_arguments(kind)
    if name in known or not place:
        return
    near = _hint(name, known, 0.6 if closed else 0.85)
    hint = f' Did you mean {where}.{near[0]}?' if near else ''
    if closed:
        kind = kind if isinstance(kind, str) else kind.__name__
        raise ValueError(f'--cfg-options {option}: {kind} of {where} takes '
                         f'no argument {name!r}.{hint}')
    if near:
        _warn(f'{option} may have no effect: the config has no '
              f'{where}.{name}.{hint}')


def _names_read(cfg: Mapping) -> set[str]:
    """Top-level names of a config that have an effect on a run."""
    names = _READ_FROM_CONFIG | set(inspect.signature(Runner).parameters)
    names -= {'cfg'}
    if 'runner_type' in cfg:
        names |= accepted_arguments(cfg['runner_type'])[0]
    return names


def _where_used(cfg: dict, read: Iterable[str], name: str) -> list[str]:
    """Up to three places where the value of a variable has gone."""

    def places(node: Any, path: str) -> Iterator[str]:
        if type(node) is type(value) and node == value and (
                isinstance(value, (str, list, tuple, dict))
                or path.endswith(f'.{name}')):
            yield path
        elif isinstance(node, (dict, list)):
            items = node.items() if isinstance(node, dict) else enumerate(node)
            for key, item in items:
                yield from places(item, f'{path}.{key}')

    value = cfg.get(name)
    found = [place for key in cfg if key in read
             for place in places(cfg[key], key)]
    return found[:3] if value not in (None, {}, []) else []


def _hint(name: str, known: Iterable[str], cutoff: float = 0.8) -> list[str]:
    return get_close_matches(name, sorted(known), n=1, cutoff=cutoff)


def _warn(text: str) -> None:
    print_log(f'--cfg-options {text}', logger='current', level=logging.WARNING)
