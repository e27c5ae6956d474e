# Licensed under the Apache License, Version 2.0.
from .loading import LoadRefImage, LoadRefMask
from .packing import PackRefInputs

__all__ = ['LoadRefImage', 'LoadRefMask', 'PackRefInputs']
