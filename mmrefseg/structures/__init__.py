# Licensed under the Apache License, Version 2.0.
from .features import (FusionOutput, ImageFeatures, LanguageFeatures,
                       MultimodalFeatures, Pairs, SentenceAttention,
                       masked_mean)
from .prediction import (Prediction, PredictOptions, binarize,
                         referent_probability)
from .sentences import find_text_fault

__all__ = [
    'FusionOutput', 'ImageFeatures', 'LanguageFeatures', 'MultimodalFeatures',
    'Pairs', 'PredictOptions', 'Prediction', 'SentenceAttention', 'binarize',
    'find_text_fault', 'masked_mean', 'referent_probability'
]
