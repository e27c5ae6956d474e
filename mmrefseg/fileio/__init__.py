# Licensed under the Apache License, Version 2.0.
"""Reading and writing files of all kinds: each done once, and safely."""

from .atomic import TEMPORARY_SUFFIX, AtomicLocalBackend, write_atomically
from .plain_pickle import PlainPickleError, loads_plain_pickle
from .secure_checkpoints import (load_plain_checkpoint,
                                 secure_checkpoint_loading)

__all__ = [
    'AtomicLocalBackend', 'PlainPickleError', 'TEMPORARY_SUFFIX',
    'load_plain_checkpoint', 'loads_plain_pickle', 'secure_checkpoint_loading',
    'write_atomically'
]
