# Licensed under the Apache License, Version 2.0.
"""Conventions of published code for computing scores, as presets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

NO_TARGET_RULES = ('rela', 'rris')


@dataclass(frozen=True)
class Convention:
    """The choices that two scores must share to be comparable.

    Attributes:
        eval_size (str): Where masks are compared: 'original', at the size of
            the image file, or 'input', at that of the network's input.
        precision_compare (str): '>=' or '>', how an IoU is compared with a
            threshold.
        foreground (str or float): Which pixels are predicted: 'argmax', or
            those whose probability is above a number.
        empty_iou (int): IoU of a sentence whose union is empty, 0 or 1.
        thresholds (tuple[float]): Of P@X, 0 to 1.
        no_target (tuple[str]): Rules for no-target sentences: 'rela'
            (gRefCOCO), 'rris' (R-RefCOCO). Without any, they are counted as
            all others are.
    """

    eval_size: str = 'original'
    precision_compare: str = '>='
    foreground: str | float = 'argmax'
    empty_iou: int = 0
    thresholds: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)
    no_target: tuple[str, ...] = ()


CONVENTIONS: dict[str, Convention] = {
    'default':
    Convention(),
    # MPG-LQGNet: 'initial image size' (the network's), 'higher than X'
    'paper':
    Convention(eval_size='input', precision_compare='>'),
    'lavt':
    Convention(eval_size='input'),
    'cris':
    Convention(precision_compare='>', foreground=0.35),
    'cgformer':
    Convention(precision_compare='>'),
    'vlt':
    Convention(precision_compare='>', foreground=0.35, empty_iou=1),
    'polyformer':
    Convention(eval_size='input'),
    'evf-sam':
    Convention(empty_iou=1, thresholds=()),
    'lisa':
    Convention(empty_iou=1, thresholds=()),
    'rela':
    Convention(
        eval_size='input', thresholds=(0.7, 0.8, 0.9), no_target=('rela', )),
    'refsegformer':
    Convention(eval_size='input', no_target=('rris', )),
}

_CHOICES: dict[str, Sequence] = dict(
    eval_size=('original', 'input'),
    precision_compare=('>=', '>'),
    empty_iou=(0, 1))
# Fields that an argument may not contradict. Thresholds and rules change no
# other score; given together with a convention, they replace its own.
_CONTRADICTING = (*_CHOICES, 'foreground')


def resolve_convention(name: str | None = None, **given: Any) -> Convention:
    """The convention that some arguments define.

    Args:
        name (str, optional): One of :data:`CONVENTIONS`. None is 'default'.
        **given: Fields of :class:`Convention`; None leaves a field to the
            named convention, ``thresholds`` and ``no_target`` replace its
            own, and any other field must agree with it.

    Raises:
        ValueError: If the name or a value is none of the choices, or if a
            value contradicts the name.

    Example:
        >>> from mmrefseg.evaluation.conventions import resolve_convention
        >>> paper = resolve_convention('paper', thresholds=(0.5, 0.95))
        >>> paper.eval_size, paper.precision_compare, paper.thresholds
        ('input', '>', (0.5, 0.95))
    """
    preset = CONVENTIONS.get('default' if name is None else name)
    if preset is None:
        raise ValueError('ReferringIoUMetric knows the conventions '
                         f'{sorted(CONVENTIONS)}, not {name!r}.')
    given = {key: value for key, value in given.items() if value is not None}
    if 'thresholds' in given:
        given['thresholds'] = tuple(given['thresholds'])
    if 'no_target' in given:
        rules = given['no_target']
        given['no_target'] = (
            rules, ) if isinstance(rules, str) else tuple(rules)
    for key, value in given.items():
        _check(key, value)
        if name is not None and key in _CONTRADICTING and value != getattr(
                preset, key):
            raise ValueError(
                f'convention={name!r} means {key}={getattr(preset, key)!r}, '
                f'but {key}={value!r} is given too: remove one of them.')
    return replace(preset, **given)


def _check(key: str, value: Any) -> None:
    """Refuse a value that a field cannot have."""
    name = f'{key} of ReferringIoUMetric'
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ValueError(f'{name} is one of {_CHOICES[key]}, not {value!r}.')
    if key == 'thresholds' and not all(0 <= x <= 1 for x in value):
        raise ValueError(f'{name} lie between 0 and 1, got {value}.')
    if key == 'no_target' and not set(value) <= set(NO_TARGET_RULES):
        raise ValueError(f'{name} takes of {NO_TARGET_RULES}, not {value}.')
    if key == 'foreground' and value != 'argmax' and not (isinstance(
            value, float) and 0 < value < 1):
        raise ValueError(f"{name} is 'argmax' or a probability between 0 "
                         f'and 1, not {value!r}.')
