# Licensed under the Apache License, Version 2.0.
from .early_fusion import EarlyFusionBackbone
from .efficientnet_lite import EfficientNetLite
from .feature_pyramid import SimpleFeaturePyramid
from .hf_backbone import HFBackbone
from .language_backbone import LanguageBackbone
from .language_swin import LanguageSwinTransformer
from .late_fusion import LateFusionBackbone

__all__ = [
    'EarlyFusionBackbone', 'EfficientNetLite', 'HFBackbone',
    'LanguageBackbone', 'LanguageSwinTransformer', 'LateFusionBackbone',
    'SimpleFeaturePyramid'
]
