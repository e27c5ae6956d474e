# Licensed under the Apache License, Version 2.0.
"""What parts made of models of ``transformers`` have in common."""
from .build import (build_model, copy_config, make_config, model_class,
                    recompute)
from .lora import add_lora
from .weights import load_pretrained

__all__ = [
    'add_lora', 'build_model', 'copy_config', 'load_pretrained',
    'make_config', 'model_class', 'recompute'
]
