# Licensed under the Apache License, Version 2.0.
from .loading import LoadRefImage, LoadRefMask

__all__ = ['LoadRefImage', 'LoadRefMask']
