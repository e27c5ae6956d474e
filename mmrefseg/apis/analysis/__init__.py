# Licensed under the Apache License, Version 2.0.
"""Parameters and multiply-adds of a model."""

from .complexity import Complexity, count_complexity

__all__ = ['Complexity', 'count_complexity']
