# Licensed under the Apache License, Version 2.0.
from .atomic_checkpoint_hook import (AtomicCheckpointHook,
                                     is_complete_checkpoint)
from .iteration_seed_hook import IterationSeedHook, seed_generators
from .visualization_hook import RefVisualizationHook

__all__ = [
    'AtomicCheckpointHook', 'IterationSeedHook', 'RefVisualizationHook',
    'is_complete_checkpoint', 'seed_generators'
]
