# Licensed under the Apache License, Version 2.0.
from .exchanged_sentences import ExchangedSentences
from .jsonl_refs import JSONLinesRefDataset
from .ref_dataset import BaseRefDataset
from .refcoco import RefCOCODataset
from .samplers import OneSentencePerRefSampler
from .transforms import LoadRefImage, LoadRefMask

__all__ = [
    'BaseRefDataset', 'ExchangedSentences', 'JSONLinesRefDataset',
    'LoadRefImage', 'LoadRefMask', 'OneSentencePerRefSampler',
    'RefCOCODataset'
]
