# Licensed under the Apache License, Version 2.0.
from .hooks import (AtomicCheckpointHook, IterationSeedHook,
                    RefVisualizationHook)
from .optimizers import (AutocastOptimWrapper, MuonAdamW,
                         RefSegOptimWrapperConstructor)

__all__ = [
    'AtomicCheckpointHook', 'AutocastOptimWrapper', 'IterationSeedHook',
    'MuonAdamW', 'RefSegOptimWrapperConstructor', 'RefVisualizationHook'
]
