# Licensed under the Apache License, Version 2.0.
"""Models by name, masks of sentences, evaluation, files of weights."""

from .checkpoints import (convert_lavt_checkpoint, init_model, list_models,
                          packaged_models, publish_model, read_metadata)
from .inference import RefSegInferencer
from .mask_evaluation import evaluate_masks

__all__ = [
    'RefSegInferencer', 'convert_lavt_checkpoint', 'evaluate_masks',
    'init_model', 'list_models', 'packaged_models', 'publish_model',
    'read_metadata'
]
