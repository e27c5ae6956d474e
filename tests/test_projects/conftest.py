# Licensed under the Apache License, Version 2.0.
"""The tiny model of the tests of `mmrefseg.apis`."""

import runpy
from pathlib import Path

tiny_model = runpy.run_path(
    str(Path(__file__).parents[1] / 'test_apis/conftest.py'))['tiny_model']
