# Licensed under the Apache License, Version 2.0.
from .backbones import (EarlyFusionBackbone, EfficientNetLite, HFBackbone,
                        LanguageBackbone, LanguageSwinTransformer,
                        LateFusionBackbone)
from .data_preprocessor import RefSegDataPreProcessor
from .decode_heads import CoordMaskHead, ExistencePredictor, LQPGHead
from .foundation import (CLIPSegSegmentor, FoundationSegmentor, GroundedSAM,
                         SAM3Segmentor)
from .fusion import BSAM, CAFG, PWAM, LanguageGate, TileConcat
from .language_encoders import BertLanguageEncoder, HFTextEncoder
from .necks import ReferringPixelDecoder
from .segmentors import MaskedTraining, ReferringEncoderDecoder

__all__ = [
    'BSAM', 'BertLanguageEncoder', 'CAFG', 'CLIPSegSegmentor', 'CoordMaskHead',
    'EarlyFusionBackbone', 'EfficientNetLite', 'ExistencePredictor',
    'FoundationSegmentor', 'GroundedSAM', 'HFBackbone', 'HFTextEncoder',
    'LQPGHead', 'LanguageBackbone', 'LanguageGate', 'LanguageSwinTransformer',
    'LateFusionBackbone', 'MaskedTraining', 'PWAM', 'RefSegDataPreProcessor',
    'ReferringEncoderDecoder', 'ReferringPixelDecoder', 'SAM3Segmentor',
    'TileConcat'
]
