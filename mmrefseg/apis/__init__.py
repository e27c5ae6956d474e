# Licensed under the Apache License, Version 2.0.
from .analysis import Complexity, count_complexity
from .checkpoints import (convert_lavt_checkpoint, init_model, list_models,
                          packaged_models, publish_model, read_metadata)
from .inference import RefSegInferencer

__all__ = [
    'Complexity', 'RefSegInferencer', 'convert_lavt_checkpoint',
    'count_complexity', 'init_model', 'list_models', 'packaged_models',
    'publish_model', 'read_metadata'
]
