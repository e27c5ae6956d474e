# Licensed under the Apache License, Version 2.0.
from .bsam import BSAM
from .build import build_fusions, build_gates
from .cafg import CAFG
from .language_gate import LanguageGate

__all__ = ['BSAM', 'CAFG', 'LanguageGate', 'build_fusions', 'build_gates']
