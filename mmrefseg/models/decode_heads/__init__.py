# Licensed under the Apache License, Version 2.0.
from .coord_mask_head import CoordMaskHead
from .existence import BaseExistencePredictor, ExistencePredictor
from .global_alignment import GlobalAlignment
from .lqpg_head import LQPGHead
from .mask_prior_generator import LanguageQueryPriorGenerator
from .token_existence import TokenExistencePredictor

__all__ = [
    'BaseExistencePredictor', 'CoordMaskHead', 'ExistencePredictor',
    'GlobalAlignment', 'LQPGHead', 'LanguageQueryPriorGenerator',
    'TokenExistencePredictor'
]
