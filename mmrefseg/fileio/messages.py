# Licensed under the Apache License, Version 2.0.
"""Pieces of error messages."""

from collections.abc import Sequence


def first_line(error: BaseException | str) -> str:
    """What an error says, without what its library recommends below it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip()


def name_some(names: Sequence[str], count: int = 3) -> str:
    """The first of some names, and how many more there are."""
    shown = list(names[:count])
    if len(names) > count:
        shown.append(f'and {len(names) - count} more')
    return ', '.join(shown)
