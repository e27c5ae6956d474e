# Licensed under the Apache License, Version 2.0.
from .bsam import BSAM
from .build import build_fusions, build_gates
from .cafg import CAFG
from .cmsa import CMSA
from .language_gate import LanguageGate
from .lda import LDA
from .pwam import PWAM
from .tile_concat import TileConcat
from .vltf import VLTF
from .wgfm import WGFM

__all__ = [
    'BSAM', 'CAFG', 'CMSA', 'LDA', 'LanguageGate', 'PWAM', 'TileConcat',
    'VLTF', 'WGFM', 'build_fusions', 'build_gates'
]
