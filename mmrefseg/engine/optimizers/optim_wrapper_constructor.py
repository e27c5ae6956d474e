# Licensed under the Apache License, Version 2.0.
"""Parameter groups by class and path."""

import logging
from collections.abc import Iterator

import torch.nn as nn
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from prettytable import PrettyTable

from mmrefseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
_OPTIONS = ('norm_decay_mult', 'bias_decay_mult', 'no_decay', 'lr_mult',
            'decay_mult', 'custom_keys', 'muon_lr')
_TABLES = ('relative_position_bias_table', 'absolute_pos_embed')


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation.

    torch's layer, group, batch and instance norms and what derives from them
    are; so is any class whose name ends in 'Norm', as those that come with
    language models (``T5LayerNorm``, ``LlamaRMSNorm``).
    """
    return isinstance(module, _NORMS) or type(module).__name__.endswith('Norm')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RefSegOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Parameter groups by what a module is and where it stands.

    MMEngine's constructor matches substrings of parameter names: there
    'layer.1' hits 'layer.10', and a match switches ``norm_decay_mult`` off
    for the norms inside. Here a norm is recognised by its class,
    and a part of the model by its dotted path, name by name. Learning rate
    and weight decay are decided apart from each other. Parameters that agree
    in both share a group. Frozen parameters are left out, and a parameter
    that occurs twice is taken once.

    ``paramwise_cfg`` may have these keys:

    - ``norm_decay_mult`` (float | dict[str, float]): Factor on the weight
      decay of norms, weights and biases; or such factors by dotted path, the
      norms elsewhere being decayed. Defaults to 0.
    - ``bias_decay_mult`` (float): The same for the biases of all other
      modules. Defaults to 1.
    - ``no_decay`` (sequence of str): Names of parameters, that is the last
      part of their dotted path, that get no decay. Defaults to
      ``('relative_position_bias_table', 'absolute_pos_embed')``.
    - ``lr_mult`` (dict[str, float]): Factor on the learning rate by dotted
      path of a module or a parameter. The longest path that fits counts.
    - ``decay_mult`` (dict[str, float]): Factor on the weight decay by dotted
      path, on top of the rules above.
    - ``custom_keys`` (dict[str, dict]): MMEngine's, for configs that come
      from elsewhere: ``lr_mult`` and ``decay_mult`` (1 if not given) of the
      parameters whose path contains the key. The longest key that fits
      counts, of equally long ones the first in the alphabet, and nothing else
      of this list applies to the parameter: a norm that fits is decayed.
    - ``muon_lr`` (float): Learning rate, before ``lr_mult``, of the weights
      of linear layers, which then form groups of their own, marked
      ``use_muon=True`` for ``MuonAdamW``. Defaults to None: no such groups.

    Args:
        optim_wrapper_cfg (dict): The config of the optimizer wrapper, with
            its ``optimizer``.
        paramwise_cfg (dict, optional): See above.

    Raises:
        ValueError: If ``paramwise_cfg`` or one of its ``custom_keys`` has an
            unknown key.
        KeyError: When the groups are made, if a path fits no parameter.

    Example:
        >>> from mmrefseg.engine import RefSegOptimWrapperConstructor
        >>> build = RefSegOptimWrapperConstructor(
        ...     dict(optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.05)),
        ...     dict(lr_mult={'backbone': 0.1, 'backbone.norm': 1.0}))
        >>> build.paramwise_cfg['norm_decay_mult']
        0.0

    In a config::

        optim_wrapper = dict(
            constructor='RefSegOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.05),
            paramwise_cfg=dict(lr_mult={'backbone': 0.1}))
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: dict | None = None) -> None:
        options = dict(
            norm_decay_mult=0., bias_decay_mult=1., no_decay=_TABLES)
        options.update(paramwise_cfg or {})
        super().__init__(optim_wrapper_cfg, options)

    def _validate_cfg(self) -> None:
        unknown = sorted(set(self.paramwise_cfg) - set(_OPTIONS))
        if unknown:
            raise ValueError(
                f'paramwise_cfg of {type(self).__name__} has unknown keys '
                f'{unknown}; it knows {list(_OPTIONS)}.')
        for key, mults in self._custom_keys().items():
            unknown = sorted(set(mults) - {'lr_mult', 'decay_mult'})
            if unknown:
                raise ValueError(
                    f'paramwise_cfg.custom_keys[{key!r}] has unknown keys '
                    f"{unknown}; it knows 'lr_mult' and 'decay_mult'.")
        if self.base_lr is None:
            raise ValueError('The optimizer config must set `lr`.')

    def add_params(self,
                   params: list[dict],
                   module: nn.Module,
                   prefix: str = '',
                   is_dcn_module=None) -> None:
        """Append the parameter groups of a model.

        Args:
            params (list[dict]): Groups, extended in place.
            module (nn.Module): The whole model.
            prefix (str): Path of ``module``, put before the names.
            is_dcn_module: Unused; part of MMEngine's interface.
        """
        self._check_paths(module, prefix)
        groups: dict[tuple, dict] = {}
        for path, owner, param in _trainable(module, prefix):
            muon = self._is_for_muon(owner, param)
            lr = self.paramwise_cfg['muon_lr'] if muon else self.base_lr
            lr_mult, decay_mult = self._mults(path, owner)
            lr *= lr_mult
            decay = None
            if self.base_wd is not None:
                decay = self.base_wd * decay_mult
            group = groups.setdefault((lr, decay, muon),
                                      dict(params=[], lr=lr))
            if muon:
                group['use_muon'] = True
            if decay is not None:
                group['weight_decay'] = decay
            group['params'].append(param)
        # the highest learning rate first, decay before no decay: the order,
        # which a resumed optimizer relies on, then depends on the model alone
        order = sorted(
            groups, key=lambda key: (-key[0], -(key[1] or 0.), key[2]))
        params.extend(groups[key] for key in order)
        _log([groups[key] for key in order])

    def _is_for_muon(self, owner: nn.Module, param: nn.Parameter) -> bool:
        return (
            self.paramwise_cfg.get('muon_lr') is not None
            and isinstance(owner, nn.Linear) and param.ndim == 2)

    def _custom_keys(self) -> dict[str, dict]:
        return self.paramwise_cfg.get('custom_keys') or {}

    def _mults(self, path: str, owner: nn.Module) -> tuple[float, float]:
        """Factors on learning rate and weight decay of a parameter."""
        custom = self._custom_keys()
        fitting = sorted(key for key in custom if key in path)
        if fitting:
            mults = custom[max(fitting, key=len)]
            return mults.get('lr_mult', 1.), mults.get('decay_mult', 1.)
        return (self._by_path('lr_mult', path), self._decay_mult(path, owner))

    def _decay_mult(self, path: str, owner: nn.Module) -> float:
        name = path.rsplit('.', 1)[-1]
        if name in self.paramwise_cfg['no_decay']:
            return 0.
        mult = self._by_path('decay_mult', path)
        if is_norm(owner):
            of_norms = self.paramwise_cfg['norm_decay_mult']
            if isinstance(of_norms, dict):
                of_norms = self._by_path('norm_decay_mult', path)
            return mult * of_norms
        if name == 'bias':
            return mult * self.paramwise_cfg['bias_decay_mult']
        return mult

    def _by_path(self, option: str, path: str) -> float:
        """The factor of the longest path in ``option`` that holds ``path``."""
        mults = self.paramwise_cfg.get(option) or {}
        fitting = [key for key in mults if _holds(key, path)]
        return mults[max(fitting, key=len)] if fitting else 1.

    def _check_paths(self, module: nn.Module, prefix: str) -> None:
        names = [_join(prefix, name) for name, _ in module.named_parameters()]
        for key in self._custom_keys():
            if not any(key in name for name in names):
                print_log(
                    f'paramwise_cfg.custom_keys[{key!r}] has no effect: no '
                    'name of a parameter contains it.',
                    logger='current',
                    level=logging.WARNING)
        for option in ('lr_mult', 'decay_mult', 'norm_decay_mult'):
            mults = self.paramwise_cfg.get(option)
            for key in mults if isinstance(mults, dict) else ():
                if not any(_holds(key, name) for name in names):
                    known = sorted({name.split('.')[0] for name in names})
                    raise KeyError(
                        f'paramwise_cfg.{option} names "{key}", but no '
                        'parameter of the model stands under that path. The '
                        f'parts of the model are {known}; a path is made of '
                        'whole names, e.g. "language_encoder.model".')


def _join(prefix: str, name: str) -> str:
    return f'{prefix}.{name}' if prefix else name


def _holds(key: str, path: str) -> bool:
    return path == key or path.startswith(key + '.')


def _trainable(module: nn.Module, prefix: str
               ) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Path, owning module and parameter of each parameter to be trained."""
    seen = set()
    for module_name, owner in module.named_modules(prefix=prefix):
        for name, param in owner.named_parameters(recurse=False):
            if param.requires_grad and id(param) not in seen:
                seen.add(id(param))
                yield _join(module_name, name), owner, param


def _log(groups: list[dict]) -> None:
    table = PrettyTable()
    table.field_names = ['tensors', 'parameters (M)', 'lr', 'weight decay']
    for group in groups:
        count = sum(param.numel() for param in group['params'])
        table.add_row([
            len(group['params']), f'{count / 1e6:.3f}', f"{group['lr']:g}",
            f"{group.get('weight_decay', float('nan')):g}"
        ])
    print_log(f'Parameter groups:\n{table}', logger='current')
