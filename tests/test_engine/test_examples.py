# Licensed under the Apache License, Version 2.0.
"""The examples in the docstrings of the engine."""

import doctest
import importlib
import pkgutil

import pytest
import torch

from mmrefseg import engine

MODULES = [
    module.name
    for module in pkgutil.walk_packages(engine.__path__, 'mmrefseg.engine.')
]


@pytest.mark.parametrize('name', MODULES)
def test_examples_run(name):
    if name.endswith('muon_adamw') and not hasattr(torch.optim, 'Muon'):
        pytest.skip('this PyTorch has no Muon')
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_every_public_class_has_one():
    without = [
        name for name in engine.__all__
        if '>>>' not in getattr(engine, name).__doc__
    ]
    assert not without
