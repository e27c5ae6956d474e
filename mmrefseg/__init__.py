# Licensed under the Apache License, Version 2.0.
"""mmrefseg: referring image segmentation with MMSegmentation and MMEngine."""

from ._setup import check_dependencies, register_configs, secure_if_asked

check_dependencies()
register_configs()
secure_if_asked()

from .version import __version__  # noqa: E402

__all__ = ['__version__']
