# Licensed under the Apache License, Version 2.0.
from .attention import (MultiHeadAttention, check_heads, merge_heads,
                        split_heads)
from .position import cell_coordinates, coordinates, sine_position_2d
from .window_attention import ShiftedWindowAttention, WindowAttention

__all__ = [
    'MultiHeadAttention', 'ShiftedWindowAttention', 'WindowAttention',
    'cell_coordinates', 'check_heads', 'coordinates', 'merge_heads',
    'sine_position_2d', 'split_heads'
]
