# Licensed under the Apache License, Version 2.0.
"""Reading and writing files of all kinds: each done once, and safely."""

from .atomic import TEMPORARY_SUFFIX, AtomicLocalBackend, write_atomically
from .download import download_file
from .messages import first_line, name_some
from .plain_pickle import PlainPickleError, loads_plain_pickle
from .secure_checkpoints import secure_checkpoint_loading
from .weights import CheckpointAdapter, read_weights

__all__ = [
    'AtomicLocalBackend', 'CheckpointAdapter', 'PlainPickleError',
    'TEMPORARY_SUFFIX', 'download_file', 'first_line', 'loads_plain_pickle',
    'name_some', 'read_weights', 'secure_checkpoint_loading',
    'write_atomically'
]
