# Licensed under the Apache License, Version 2.0.
"""Segmentors that wrap pretrained models of the ``transformers`` package."""

from .base import FoundationSegmentor
from .clipseg import CLIPSegSegmentor
from .grounded_sam import GroundedSAM
from .sam3 import SAM3Segmentor

__all__ = [
    'CLIPSegSegmentor', 'FoundationSegmentor', 'GroundedSAM', 'SAM3Segmentor'
]
