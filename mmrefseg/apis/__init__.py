# Licensed under the Apache License, Version 2.0.
from .complexity import Complexity, count_complexity
from .inferencer import RefSegInferencer
from .init_model import init_model
from .lavt_checkpoints import convert_lavt_checkpoint
from .model_zoo import list_models, packaged_models, read_metadata
from .publish import publish_model

__all__ = [
    'Complexity', 'RefSegInferencer', 'convert_lavt_checkpoint',
    'count_complexity', 'init_model', 'list_models', 'packaged_models',
    'publish_model', 'read_metadata'
]
