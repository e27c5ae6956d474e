# Licensed under the Apache License, Version 2.0.
"""Measurement of masks that any program has written."""

from .evaluate import MaskEvaluation, evaluate_masks
from .mask_report import format_evaluation, write_evaluation
from .open_split import open_split

__all__ = [
    'MaskEvaluation', 'evaluate_masks', 'format_evaluation', 'open_split',
    'write_evaluation'
]
