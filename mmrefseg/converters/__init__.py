# Licensed under the Apache License, Version 2.0.
"""Sets of referring expressions in other layouts, as JSON lines."""

from .convert import FORMATS, Format, convert_refs
from .guess import guess_format
from .source import Source
from .writer import Report, Skipped

__all__ = [
    'FORMATS', 'Format', 'Report', 'Skipped', 'Source', 'convert_refs',
    'guess_format'
]
