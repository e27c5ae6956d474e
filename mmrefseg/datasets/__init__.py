# Licensed under the Apache License, Version 2.0.
from .exchanged_sentences import ExchangedSentences
from .grefcoco import GRefCOCODataset
from .jsonl_refs import JSONLinesRefDataset
from .ref_dataset import BaseRefDataset
from .refcoco import RefCOCODataset
from .rrefcoco import RRefCOCODataset
from .samplers import OneSentencePerRefSampler
from .transforms import LoadRefImage, LoadRefMask, PackRefInputs

__all__ = [
    'BaseRefDataset', 'ExchangedSentences', 'GRefCOCODataset',
    'JSONLinesRefDataset', 'LoadRefImage', 'LoadRefMask',
    'OneSentencePerRefSampler', 'PackRefInputs', 'RRefCOCODataset',
    'RefCOCODataset'
]
