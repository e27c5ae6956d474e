# Licensed under the Apache License, Version 2.0.
from .masked_mean import masked_mean
from .position import coordinates, sine_position_2d
from .window_attention import ShiftedWindowAttention, WindowAttention

__all__ = [
    'ShiftedWindowAttention', 'WindowAttention', 'coordinates',
    'masked_mean', 'sine_position_2d'
]
