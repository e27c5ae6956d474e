# Licensed under the Apache License, Version 2.0.
"""What is counted and measured about models: parameters and multiply-adds,
ablations, words that training never had."""

from .complexity import Complexity, count_complexity

__all__ = ['Complexity', 'count_complexity']
