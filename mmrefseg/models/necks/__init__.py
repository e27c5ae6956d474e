# Licensed under the Apache License, Version 2.0.
from .pixel_decoder import ReferringPixelDecoder

__all__ = ['ReferringPixelDecoder']
