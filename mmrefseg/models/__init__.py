# Licensed under the Apache License, Version 2.0.
from .backbones import (EarlyFusionBackbone, EfficientNetLite, HFBackbone,
                        LanguageBackbone, LanguageSwinTransformer,
                        LateFusionBackbone)
from .data_preprocessor import RefSegDataPreProcessor
from .decode_heads import (CoordMaskHead, ExistencePredictor, GlobalAlignment,
                           LQPGHead, TokenExistencePredictor)
from .foundation import (CLIPSegSegmentor, FoundationSegmentor, GroundedSAM,
                         SAM3Segmentor)
from .fusion import BSAM, CAFG, LDA, PWAM, VLTF, WGFM, LanguageGate, TileConcat
from .language_encoders import BertLanguageEncoder, HFTextEncoder
from .necks import ASPPNeck, MultiLevelInteraction, ReferringPixelDecoder
from .segmentors import ReferringEncoderDecoder

__all__ = [
    'ASPPNeck', 'BSAM', 'BertLanguageEncoder', 'CAFG', 'CLIPSegSegmentor',
    'CoordMaskHead', 'EarlyFusionBackbone', 'EfficientNetLite',
    'ExistencePredictor', 'FoundationSegmentor', 'GlobalAlignment',
    'GroundedSAM', 'HFBackbone', 'HFTextEncoder', 'LDA', 'LQPGHead',
    'LanguageBackbone', 'LanguageGate', 'LanguageSwinTransformer',
    'LateFusionBackbone', 'MultiLevelInteraction', 'PWAM',
    'RefSegDataPreProcessor', 'ReferringEncoderDecoder',
    'ReferringPixelDecoder', 'SAM3Segmentor', 'TileConcat',
    'TokenExistencePredictor', 'VLTF', 'WGFM'
]
