# Licensed under the Apache License, Version 2.0.
from .features import LanguageFeatures, MultimodalFeatures
from .sentences import find_text_fault

__all__ = ['LanguageFeatures', 'MultimodalFeatures', 'find_text_fault']
