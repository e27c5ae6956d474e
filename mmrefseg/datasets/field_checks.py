# Licensed under the Apache License, Version 2.0.
"""Checks of the values in annotation files.

Pickles and JSON hold anything. What passes these checks can be compared,
hashed, printed, pickled and opened, so that nothing further on stumbles.
"""

import reprlib
from typing import Any

_LARGEST_ID = 2**63
# Of an id that is a number; Python reads no number of thousands.
_MAX_DIGITS = 100


def is_id(value: Any) -> bool:
    """Whether a value can be an id: a text, or a number of 64 bits."""
    if isinstance(value, int):
        return -_LARGEST_ID <= value < _LARGEST_ID
    return isinstance(value, str) and _is_whole(value)


def id_key(value: Any) -> Any:
    """An id by which to look something up, the same however it is written:
    9, '9' and '000000000009' (as in the names of COCO's files) are one."""
    if isinstance(value, str) and value.isdecimal() and (
            len(value) <= _MAX_DIGITS):
        return int(value)
    return value


def is_file_name(value: Any) -> bool:
    """Whether a value can be the name or the path of a file."""
    return (isinstance(value, str) and bool(value.strip())
            and '\0' not in value and _is_whole(value))


def as_length(value: Any) -> int | None:
    """A height or a width as an int (some programs write 160.0), or None if
    the value is no number of pixels."""
    # NaN is no number between the two; math.isfinite fails at huge integers.
    if (not isinstance(value, (int, float)) or isinstance(value, bool)
            or not 0 < value < _LARGEST_ID or value != int(value)):
        return None
    return int(value)


def is_note(value: Any, depth: int = 3) -> bool:
    """Whether a value can be carried along: text, a number, nothing, or a
    list or dict of such, not nested deeply."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        return depth > 0 and all(is_note(x, depth - 1) for x in value)
    if isinstance(value, str):
        return _is_whole(value)
    return value is None or isinstance(value, float) or is_id(value)


def is_truth(value: Any) -> bool:
    """Whether a value is true or false, 1 and 0 included."""
    return isinstance(value, (bool, int, float)) and value in (True, False)


def _is_whole(text: str) -> bool:
    """Whether a text has no lone surrogates."""
    return not any('\ud800' <= char <= '\udfff' for char in text)


def show(value: Any) -> str:
    """A value for a message, cut short."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python prints no number of thousands of digits
        return f'a {type(value).__name__} too large to be printed'


def show_id(value: Any) -> str:
    """An id, or what stands in its place, for a message."""
    return str(value) if is_id(value) else show(value)
