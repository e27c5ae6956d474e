# Licensed under the Apache License, Version 2.0.
"""Registries of mmrefseg: children of MMSegmentation's, so that a config with
``default_scope='mmrefseg'`` finds every part of mmrefseg, mmseg and mmengine
by its bare name.

Each registry names mmseg's module before our own in ``locations``. A lookup
that climbs to a parent registry imports nothing, so without this a config
would find ``FCNHead`` only if somebody had imported ``mmseg.models`` before.
"""

import sys
import warnings
from difflib import get_close_matches

from mmengine.registry import Registry as _Registry
from mmengine.registry import build_functions
from mmseg import registry as mmseg

__all__ = [
    'DATASETS', 'DATA_SAMPLERS', 'EVALUATOR', 'HOOKS', 'INFERENCERS',
    'LOG_PROCESSORS', 'LOOPS', 'METRICS', 'MODELS', 'MODEL_WRAPPERS',
    'OPTIMIZERS', 'OPTIM_WRAPPERS', 'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS', 'RUNNERS', 'RUNNER_CONSTRUCTORS', 'TASK_UTILS',
    'TRANSFORMS', 'VISBACKENDS', 'VISUALIZERS', 'WEIGHT_INITIALIZERS'
]

_BUILDERS = build_functions.__name__
# What mmseg and mmcv warn of while they are imported though nothing is wrong.
_HARMLESS = ('Fail to import ``MultiScaleDeformableAttention``',
             'pkg_resources is deprecated as an API')


class UnknownTypeError(KeyError):
    """A config names a type that is registered nowhere."""

    def __str__(self) -> str:
        # KeyError would print the repr of the message, quotes escaped.
        return str(self.args[0])


class Registry(_Registry):
    """A registry that answers an unknown name with the nearest known ones.

    Everything else is as in MMEngine: :meth:`get` returns None for what is
    registered nowhere. Only where something is to be built does it raise, as
    the builder itself would do a line later with less to say.

    Example:
        >>> from mmrefseg.registry import MODELS
        >>> MODELS.get('BSAN') is None
        True
        >>> MODELS.build(dict(type='BSAN'))
        Traceback (most recent call last):
        ...
        mmrefseg.registry.UnknownTypeError: 'BSAN' is not in the model \
registry of mmrefseg, mmseg, mmengine. Did you mean 'BSAM' (of mmrefseg) ...
    """

    def get(self, key: str) -> type | None:
        """Find a registered class or function.

        Args:
            key (str): Its name, with or without a scope (``'FCNHead'``,
                ``'mmseg.FCNHead'``), or its full path.

        Returns:
            type | Callable | None: What is registered under the name.
        """
        found = super().get(key)
        # The Runner builds by MMEngine's registries, whose builders ask the
        # one of the default scope: `get` is all that they call of ours.
        if found is None and sys._getframe(1).f_globals.get(
                '__name__') == _BUILDERS:
            raise UnknownTypeError(self._unknown(key))
        return found

    def import_from_location(self) -> None:
        """Import the modules that register something."""
        with warnings.catch_warnings():
            for message in _HARMLESS:
                warnings.filterwarnings('ignore', message=message)
            super().import_from_location()

    def _unknown(self, key: str) -> str:
        """The message for a name that is registered nowhere."""
        scope, name = self.split_scope_key(key)
        searched: list[_Registry] = [self]  # for a bare name: all above it
        while searched[-1].parent is not None:
            searched.append(searched[-1].parent)
        named = {registry.scope: registry for registry in searched}
        named = {**self.root.children, **named}
        if scope not in (None, *named):
            return (f"'{key}' is neither registered nor importable: there is "
                    f"no package '{scope}' with a {self.name} registry here, "
                    'and no object of this full path.')
        owners = {  # also of other scopes: the scope may be what is wrong
            known.lower(): f"'{known}' (of {registry.scope})"
            for registry in [*reversed(searched), named.get(scope, self)]
            for known in registry.module_dict
        }
        near = get_close_matches(name.lower(), owners, cutoff=0.6)
        hint = ('No registered name is near to it: see that the module which '
                "registers it is imported, e.g. by the config's "
                '`custom_imports`.')
        if near:
            hint = f'Did you mean {" or ".join(owners[x] for x in near)}?'
        scopes = scope or ', '.join(registry.scope for registry in searched)
        return (f"'{key}' is not in the {self.name} registry of {scopes}. "
                f'{hint}')


def _child(parent: _Registry, *locations: str) -> Registry:
    return Registry(
        parent.name,
        parent=parent,
        scope='mmrefseg',
        locations=list(locations))


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
