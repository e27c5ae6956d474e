# Licensed under the Apache License, Version 2.0.
"""Width of the word features, told to every part that wants to know it."""

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmrefseg.registry import MODELS

_KEY = 'language_channels'
_PARTS = ('backbone', 'neck', 'decode_head', 'auxiliary_head',
          'auxiliary_losses')


def with_language_channels(model: Mapping, width: int) -> dict:
    """Set ``language_channels`` of the parts that need it.

    A backbone, neck, head or auxiliary loss needs it where its constructor
    has that argument without a default. Whatever else wants it, such as the
    ``existence`` of a head, says ``language_channels='auto'`` in its config.

    A neck that gives out words of another width names, in the class attribute
    ``words_width``, the argument of its constructor that says so; the heads
    and auxiliary losses then get that one.

    Args:
        model (Mapping): Config of a segmentor.
        width (int): Width of the word features.

    Returns:
        dict: A copy of the config.
    """
    wide: dict = copy.deepcopy(dict(model))
    after_neck = _width_after(wide.get('neck'), width)
    for name in wide:
        own = width if name in ('backbone', 'neck') else after_neck
        for part in _dicts(wide[name], deep=False):
            if name in _PARTS and _needs_width(part):
                part.setdefault(_KEY, own)
        for part in _dicts(wide[name], deep=True):
            if part.get(_KEY) == 'auto':
                part[_KEY] = own
    return wide


def _width_after(neck: Any, width: int) -> int:
    """Width of the words that a neck gives out."""
    for part in _dicts(neck, deep=False):
        kind = _kind(part)
        argument = getattr(kind, 'words_width', None)
        if argument is not None:
            default = inspect.signature(kind).parameters[argument].default
            width = part.get(argument, default)
    return width


def _dicts(value: Any, *, deep: bool) -> Iterator[dict]:
    """The dicts of a dict or a list, on request those within them too."""
    if isinstance(value, dict):
        yield value
        inner = list(value.values()) if deep else []
    else:
        inner = list(value) if isinstance(value, (list, tuple)) else []
    for item in inner:
        yield from _dicts(item, deep=deep)


def _kind(part: dict) -> Any:
    kind = part.get('type')
    return MODELS.get(kind) if isinstance(kind, str) else kind


def _needs_width(part: dict) -> bool:
    kind = _kind(part)
    if not callable(kind):
        return False  # whoever builds it says what is wrong
    argument = inspect.signature(kind).parameters.get(_KEY)
    if argument is None:
        return False
    return (argument.default is argument.empty
            or getattr(kind, 'uses_language', False))
