# Licensed under the Apache License, Version 2.0.
from .files import sample_name
from .overlay import draw_referring_overlay
from .panels import draw_heat_map, draw_panels
from .visualizer import RefSegVisualizer

__all__ = [
    'RefSegVisualizer', 'draw_heat_map', 'draw_panels',
    'draw_referring_overlay', 'sample_name'
]
