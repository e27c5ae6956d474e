# Licensed under the Apache License, Version 2.0.
from .position import cell_coordinates, coordinates, sine_position_2d
from .window_attention import ShiftedWindowAttention, WindowAttention

__all__ = [
    'ShiftedWindowAttention', 'WindowAttention', 'cell_coordinates',
    'coordinates', 'sine_position_2d'
]
