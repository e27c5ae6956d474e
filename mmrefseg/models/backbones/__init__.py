# Licensed under the Apache License, Version 2.0.
from .language_swin import LanguageSwinTransformer
from .late_fusion import LateFusionBackbone

__all__ = ['LanguageSwinTransformer', 'LateFusionBackbone']
