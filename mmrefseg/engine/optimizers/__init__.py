# Licensed under the Apache License, Version 2.0.
from .autocast_optim_wrapper import AutocastOptimWrapper
from .muon_adamw import MuonAdamW
from .optim_wrapper_constructor import RefSegOptimWrapperConstructor

__all__ = [
    'AutocastOptimWrapper', 'MuonAdamW', 'RefSegOptimWrapperConstructor'
]
