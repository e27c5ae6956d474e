# Licensed under the Apache License, Version 2.0.
from .aspp_neck import ASPPNeck
from .multi_level_interaction import MultiLevelInteraction
from .pixel_decoder import ReferringPixelDecoder

__all__ = ['ASPPNeck', 'MultiLevelInteraction', 'ReferringPixelDecoder']
