# Licensed under the Apache License, Version 2.0.
from .gated_multi_level import GatedMultiLevelFusion
from .pixel_decoder import ReferringPixelDecoder

__all__ = ['GatedMultiLevelFusion', 'ReferringPixelDecoder']
