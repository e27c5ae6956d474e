# Licensed under the Apache License, Version 2.0.
from .aspp_neck import ASPPNeck
from .gated_multi_level import GatedMultiLevelFusion
from .multi_level_interaction import MultiLevelInteraction
from .pixel_decoder import ReferringPixelDecoder

__all__ = [
    'ASPPNeck', 'GatedMultiLevelFusion', 'MultiLevelInteraction',
    'ReferringPixelDecoder'
]
