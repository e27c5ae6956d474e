# Licensed under the Apache License, Version 2.0.
"""Referring expressions derived from instance annotations of photos."""

from .coco_file import Instances, read_ids, read_instances
from .facts import KINDS, Fact, FactFinder
from .layout import Layout, make_layout
from .writer import DerivedRef, RefOptions, derive_refs, write_refs

__all__ = [
    'KINDS', 'DerivedRef', 'Fact', 'FactFinder', 'Instances', 'Layout',
    'RefOptions', 'derive_refs', 'make_layout', 'read_ids', 'read_instances',
    'write_refs'
]
