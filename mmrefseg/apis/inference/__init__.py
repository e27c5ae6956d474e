# Licensed under the Apache License, Version 2.0.
"""Images and sentences in, masks out."""

from .inferencer import RefSegInferencer

__all__ = ['RefSegInferencer']
