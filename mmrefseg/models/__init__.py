# Licensed under the Apache License, Version 2.0.
from .backbones import (EarlyFusionBackbone, EfficientNetLite, HFBackbone,
                        LanguageBackbone, LanguageSwinTransformer,
                        LateFusionBackbone)
from .data_preprocessor import RefSegDataPreProcessor
from .decode_heads import CoordMaskHead, ExistencePredictor, LQPGHead
from .foundation import (CLIPSegSegmentor, FoundationSegmentor, GroundedSAM,
                         SAM3Segmentor)
from .fusion import BSAM, CAFG, CMSA, PWAM, LanguageGate, TileConcat
from .language_encoders import (BertLanguageEncoder, HFTextEncoder,
                                WordEmbeddingEncoder)
from .necks import GatedMultiLevelFusion, ReferringPixelDecoder
from .segmentors import ReferringEncoderDecoder

__all__ = [
    'BSAM', 'BertLanguageEncoder', 'CAFG', 'CLIPSegSegmentor', 'CMSA',
    'CoordMaskHead', 'EarlyFusionBackbone', 'EfficientNetLite',
    'ExistencePredictor', 'FoundationSegmentor', 'GatedMultiLevelFusion',
    'GroundedSAM', 'HFBackbone', 'HFTextEncoder', 'LQPGHead',
    'LanguageBackbone', 'LanguageGate', 'LanguageSwinTransformer',
    'LateFusionBackbone', 'PWAM', 'RefSegDataPreProcessor',
    'ReferringEncoderDecoder', 'ReferringPixelDecoder', 'SAM3Segmentor',
    'TileConcat', 'WordEmbeddingEncoder'
]
