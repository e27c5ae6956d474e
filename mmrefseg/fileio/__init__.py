# Licensed under the Apache License, Version 2.0.
"""Reading and writing files of all kinds: each done once, and safely."""

from .atomic import TEMPORARY_SUFFIX, AtomicLocalBackend, write_atomically
from .plain_pickle import PlainPickleError, loads_plain_pickle

__all__ = [
    'AtomicLocalBackend', 'PlainPickleError', 'TEMPORARY_SUFFIX',
    'loads_plain_pickle', 'write_atomically'
]
