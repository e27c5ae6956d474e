# Licensed under the Apache License, Version 2.0.
"""Check of a set: its files, its parts and its numbers."""

from .check_report import format_report
from .refer_check import check_folder, find_image_folder

__all__ = ['check_folder', 'find_image_folder', 'format_report']
