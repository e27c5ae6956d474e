# Licensed under the Apache License, Version 2.0.
from .masked_training import MaskedTraining
from .referring_encoder_decoder import ReferringEncoderDecoder

__all__ = ['MaskedTraining', 'ReferringEncoderDecoder']
