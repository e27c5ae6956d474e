# Licensed under the Apache License, Version 2.0.
from .bsam import BSAM
from .build import build_fusions, build_gates
from .cafg import CAFG
from .cmsa import CMSA
from .language_gate import LanguageGate
from .pwam import PWAM
from .tile_concat import TileConcat

__all__ = [
    'BSAM', 'CAFG', 'CMSA', 'LanguageGate', 'PWAM', 'TileConcat',
    'build_fusions', 'build_gates'
]
