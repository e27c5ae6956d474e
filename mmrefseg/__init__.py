# Licensed under the Apache License, Version 2.0.
"""mmrefseg: referring image segmentation with MMSegmentation and MMEngine."""

from ._setup import check_dependencies, register_package

check_dependencies()
register_package()

from .version import __version__  # noqa: E402

__all__ = ['__version__']
