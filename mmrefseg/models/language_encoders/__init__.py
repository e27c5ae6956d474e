# Licensed under the Apache License, Version 2.0.
from .bert import BertLanguageEncoder
from .family_tokenizer import FamilyTokenizer
from .hf_text import HFTextEncoder
from .sentence_encoder import SentenceEncoder
from .sentence_tokenizer import SentenceTokenizer
from .token_replacement import ReplacementIds, TokenReplacement
from .word_embedding import WordEmbeddingEncoder
from .word_tokenizer import WordTokenizer, split_words

__all__ = [
    'BertLanguageEncoder', 'FamilyTokenizer', 'HFTextEncoder',
    'ReplacementIds', 'SentenceEncoder', 'SentenceTokenizer',
    'TokenReplacement', 'WordEmbeddingEncoder', 'WordTokenizer', 'split_words'
]
