# Licensed under the Apache License, Version 2.0.
from .bert import BertLanguageEncoder
from .sentence_tokenizer import SentenceTokenizer

__all__ = ['BertLanguageEncoder', 'SentenceTokenizer']
