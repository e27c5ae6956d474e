# Licensed under the Apache License, Version 2.0.
"""Completeness and faults of a set in the layout of REFER."""

from .check_report import format_report
from .refer_check import check_folder

__all__ = ['check_folder', 'format_report']
