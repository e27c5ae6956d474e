# Licensed under the Apache License, Version 2.0.
from .bsam import BSAM
from .build import build_fusions, build_gates
from .cafg import CAFG

__all__ = ['BSAM', 'CAFG', 'build_fusions', 'build_gates']
