# Licensed under the Apache License, Version 2.0.
from .referring_encoder_decoder import ReferringEncoderDecoder

__all__ = ['ReferringEncoderDecoder']
