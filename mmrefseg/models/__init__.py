# Licensed under the Apache License, Version 2.0.
from .backbones import (EarlyFusionBackbone, EfficientNetLite, HFBackbone,
                        LanguageBackbone, LanguageSwinTransformer,
                        LateFusionBackbone)
from .data_preprocessor import RefSegDataPreProcessor
from .decode_heads import CoordMaskHead, ExistencePredictor, LQPGHead
from .fusion import BSAM, CAFG, PWAM, LanguageGate, TileConcat
from .language_encoders import BertLanguageEncoder, HFTextEncoder
from .necks import ReferringPixelDecoder
from .segmentors import ReferringEncoderDecoder

__all__ = [
    'BSAM', 'BertLanguageEncoder', 'CAFG', 'CoordMaskHead',
    'EarlyFusionBackbone', 'EfficientNetLite', 'ExistencePredictor',
    'HFBackbone', 'HFTextEncoder', 'LQPGHead', 'LanguageBackbone',
    'LanguageGate', 'LanguageSwinTransformer',
    'LateFusionBackbone', 'PWAM', 'RefSegDataPreProcessor',
    'ReferringEncoderDecoder', 'ReferringPixelDecoder', 'TileConcat'
]
