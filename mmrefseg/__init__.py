# Licensed under the Apache License, Version 2.0.
"""mmrefseg: referring image segmentation with MMSegmentation and MMEngine."""

import os

from ._setup import check_dependencies, register_package
from .version import __version__

check_dependencies()
register_package()
if os.environ.get('MMREFSEG_SECURE_CHECKPOINTS') == '1':
    from .fileio import secure_checkpoint_loading
    secure_checkpoint_loading()

__all__ = ['__version__']
