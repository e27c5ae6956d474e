# Licensed under the Apache License, Version 2.0.
"""From files to models, and from models to files that can be given away."""

from .init_model import init_model
from .lavt_checkpoints import convert_lavt_checkpoint
from .model_zoo import list_models, packaged_models, read_metadata
from .publish import publish_model

__all__ = [
    'convert_lavt_checkpoint', 'init_model', 'list_models', 'packaged_models',
    'publish_model', 'read_metadata'
]
