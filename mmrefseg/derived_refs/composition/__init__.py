# Licensed under the Apache License, Version 2.0.
"""Copy-paste compositions of photos with instance annotations."""

from .composed_set import compose_set
from .composer import ComposeOptions, Composer

__all__ = ['ComposeOptions', 'Composer', 'compose_set']
