# Licensed under the Apache License, Version 2.0.
from .position import coordinates, sine_position_2d
from .window_attention import ShiftedWindowAttention, WindowAttention

__all__ = [
    'ShiftedWindowAttention', 'WindowAttention', 'coordinates',
    'sine_position_2d'
]
