# Licensed under the Apache License, Version 2.0.
"""Registries of mmrefseg: children of MMSegmentation's, so that a config with
``default_scope='mmrefseg'`` finds every part of mmrefseg, mmseg and mmengine
by its bare name.

Each registry names mmseg's module before our own in ``locations``. A lookup
that climbs to a parent registry imports nothing, so without this a config
would find ``FCNHead`` only if somebody had imported ``mmseg.models`` before.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from mmengine.registry import Registry as _Registry
from mmseg import registry as mmseg

__all__ = [
    'DATASETS', 'DATA_SAMPLERS', 'EVALUATOR', 'HOOKS', 'INFERENCERS',
    'LOG_PROCESSORS', 'LOOPS', 'METRICS', 'MODELS', 'MODEL_WRAPPERS',
    'OPTIMIZERS', 'OPTIM_WRAPPERS', 'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS', 'RUNNERS', 'RUNNER_CONSTRUCTORS', 'TASK_UTILS',
    'TRANSFORMS', 'VISBACKENDS', 'VISUALIZERS', 'WEIGHT_INITIALIZERS'
]


class UnknownTypeError(KeyError):
    """A config names a type that is registered nowhere."""

    def __str__(self) -> str:
        # KeyError would print the repr of the message, quotes escaped.
        return str(self.args[0])


# What MMEngine's builders say of it.
_NOT_FOUND = re.compile(r"'?([\w.]+)'? is not in the (\w+)::([\w ]+) registry")


@contextmanager
def explain_unknown_types() -> Iterator[None]:
    """Within it, an unknown name in a registry of ours is answered with the
    nearest known ones, whichever registry of MMEngine builds the part.

    It also serves as a decorator, ``@explain_unknown_types()``.

    Raises:
        UnknownTypeError: In place of MMEngine's KeyError.
    """
    try:
        yield
    except KeyError as error:
        found = _NOT_FOUND.search(str(error))
        if isinstance(error, UnknownTypeError) or found is None:
            raise
        key, scope, name = found.groups()
        for part in _ALL:
            if scope == part.scope and name == part.name:
                raise UnknownTypeError(part._unknown(key)) from None
        raise


class Registry(_Registry):
    """A registry that answers an unknown name with the nearest known ones.

    Everything else is as in MMEngine: :meth:`get` returns None for it, and
    :meth:`build` raises a KeyError.
    """

    def build(self, cfg: dict, *args: Any, **kwargs: Any) -> Any:
        """Build a part of a config; see MMEngine.

        Raises:
            UnknownTypeError: Its type is registered nowhere (a KeyError).
        """
        with explain_unknown_types():
            return super().build(cfg, *args, **kwargs)

    def _unknown(self, key: str) -> str:
        """The message for a name that is registered nowhere."""
        scope, name = self.split_scope_key(key)
        searched = self._reachable()
        if scope is not None:
            sibling = self.root.children.get(scope)
            named = [
                registry for registry in (*searched, sibling)
                if registry is not None and registry.scope == scope
            ]
            if not named:
                return (f"'{key}' is neither registered nor importable: "
                        f"there is no package '{scope}' with a {self.name} "
                        'registry here, and no object of this full path.')
            # Names of the other registries are offered as well: the scope
            # may be what is wrong.
            searched, suggested = named[:1], [*named, *searched]
        else:
            suggested = searched
        owners = {}
        for registry in suggested:
            for known in registry.module_dict:
                owners.setdefault(known, registry.scope)
        near = _nearest(name, owners)
        if near:
            hint = 'Did you mean ' + ' or '.join(
                f"'{known}' (of {owners[known]})" for known in near) + '?'
        else:
            hint = ('No registered name is near to it: see that the module '
                    "which registers it is imported, e.g. by the config's "
                    '`custom_imports`.')
        scopes = ', '.join(registry.scope for registry in searched)
        return (f"'{key}' is not in the {self.name} registry of {scopes}. "
                f'{hint}')

    def _reachable(self) -> list[_Registry]:
        """This registry and all above it: where a bare name is looked up."""
        chain: list[_Registry] = [self]
        while chain[-1].parent is not None:
            chain.append(chain[-1].parent)
        return chain


def _nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names most similar to a name, nearest first, in any case."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)
    return [by_lower[lower] for lower in near]


_ALL: list[Registry] = []


def _child(parent: _Registry, *locations: str) -> Registry:
    _ALL.append(
        Registry(
            parent.name,
            parent=parent,
            scope='mmrefseg',
            locations=list(locations)))
    return _ALL[-1]


_MODELS = ('mmseg.models', 'mmrefseg.models')
_ENGINE = ('mmseg.engine', 'mmrefseg.engine')
_VISUALIZATION = ('mmseg.visualization', 'mmrefseg.visualization')

RUNNERS = _child(mmseg.RUNNERS, *_ENGINE)
RUNNER_CONSTRUCTORS = _child(mmseg.RUNNER_CONSTRUCTORS, *_ENGINE)
LOOPS = _child(mmseg.LOOPS, *_ENGINE)
HOOKS = _child(mmseg.HOOKS, *_ENGINE)

DATASETS = _child(mmseg.DATASETS, 'mmseg.datasets', 'mmrefseg.datasets')
DATA_SAMPLERS = _child(mmseg.DATA_SAMPLERS, 'mmseg.datasets',
                       'mmrefseg.datasets')
TRANSFORMS = _child(mmseg.TRANSFORMS, 'mmseg.datasets.transforms',
                    'mmrefseg.datasets.transforms')

MODELS = _child(mmseg.MODELS, *_MODELS)
MODEL_WRAPPERS = _child(mmseg.MODEL_WRAPPERS, *_MODELS)
WEIGHT_INITIALIZERS = _child(mmseg.WEIGHT_INITIALIZERS, *_MODELS)
TASK_UTILS = _child(mmseg.TASK_UTILS, *_MODELS)

OPTIMIZERS = _child(mmseg.OPTIMIZERS, *_ENGINE)
OPTIM_WRAPPERS = _child(mmseg.OPTIM_WRAPPERS, *_ENGINE)
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmseg.OPTIM_WRAPPER_CONSTRUCTORS, *_ENGINE)
PARAM_SCHEDULERS = _child(mmseg.PARAM_SCHEDULERS, *_ENGINE)

METRICS = _child(mmseg.METRICS, 'mmseg.evaluation', 'mmrefseg.evaluation')
EVALUATOR = _child(mmseg.EVALUATOR, 'mmseg.evaluation', 'mmrefseg.evaluation')

VISUALIZERS = _child(mmseg.VISUALIZERS, *_VISUALIZATION)
VISBACKENDS = _child(mmseg.VISBACKENDS, *_VISUALIZATION)
LOG_PROCESSORS = _child(mmseg.LOG_PROCESSORS, *_VISUALIZATION)

INFERENCERS = _child(mmseg.INFERENCERS, 'mmrefseg.apis')
