# Licensed under the Apache License, Version 2.0.
from .browse import browse_dataset
from .overlay import draw_referring_overlay
from .panels import draw_heat_map, draw_panels
from .visualizer import RefSegVisualizer, sample_name

__all__ = [
    'RefSegVisualizer', 'browse_dataset', 'draw_heat_map', 'draw_panels',
    'draw_referring_overlay', 'sample_name'
]
