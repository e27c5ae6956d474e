# Licensed under the Apache License, Version 2.0.
from .backbones import (EarlyFusionBackbone, EfficientNetLite, HFBackbone,
                        LanguageBackbone, LanguageSwinTransformer,
                        LateFusionBackbone)
from .data_preprocessor import RefSegDataPreProcessor
from .decode_heads import (CoordMaskHead, ExistencePredictor, GlobalAlignment,
                           LQPGHead, TokenExistencePredictor)
from .foundation import (CLIPSegSegmentor, FoundationSegmentor, GroundedSAM,
                         SAM3Segmentor)
from .fusion import (BSAM, CAFG, CMSA, LDA, PWAM, VLTF, WGFM, LanguageGate,
                     TileConcat)
from .language_encoders import (BertLanguageEncoder, HFTextEncoder,
                                WordEmbeddingEncoder)
from .necks import (ASPPNeck, GatedMultiLevelFusion, MultiLevelInteraction,
                    ReferringPixelDecoder)
from .segmentors import MaskedTraining, ReferringEncoderDecoder

__all__ = [
    'ASPPNeck', 'BSAM', 'BertLanguageEncoder', 'CAFG', 'CLIPSegSegmentor',
    'CMSA', 'CoordMaskHead', 'EarlyFusionBackbone', 'EfficientNetLite',
    'ExistencePredictor', 'FoundationSegmentor', 'GatedMultiLevelFusion',
    'GlobalAlignment', 'GroundedSAM', 'HFBackbone', 'HFTextEncoder', 'LDA',
    'LQPGHead', 'LanguageBackbone', 'LanguageGate', 'LanguageSwinTransformer',
    'LateFusionBackbone', 'MaskedTraining', 'MultiLevelInteraction', 'PWAM',
    'RefSegDataPreProcessor', 'ReferringEncoderDecoder',
    'ReferringPixelDecoder', 'SAM3Segmentor', 'TileConcat',
    'TokenExistencePredictor', 'VLTF', 'WGFM', 'WordEmbeddingEncoder'
]
