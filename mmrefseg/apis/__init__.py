# Licensed under the Apache License, Version 2.0.
"""What people call: models by name, masks of sentences, measuring, files."""

from .analysis import Complexity, count_complexity
from .checkpoints import (convert_lavt_checkpoint, init_model, list_models,
                          packaged_models, publish_model, read_metadata)
from .inference import RefSegInferencer
from .mask_evaluation import evaluate_masks

__all__ = [
    'Complexity', 'RefSegInferencer', 'convert_lavt_checkpoint',
    'count_complexity', 'evaluate_masks', 'init_model', 'list_models',
    'packaged_models', 'publish_model', 'read_metadata'
]
