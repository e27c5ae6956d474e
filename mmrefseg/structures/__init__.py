# Licensed under the Apache License, Version 2.0.
from .features import LanguageFeatures, MultimodalFeatures

__all__ = ['LanguageFeatures', 'MultimodalFeatures']
