# Licensed under the Apache License, Version 2.0.
"""Examples in docstrings run, and every public class has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest
import torch
from mmengine.registry import init_default_scope

import mmrefseg
from mmrefseg import apis, registry

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(mmrefseg.__path__, 'mmrefseg.')
    if '.model_zoo' not in module.name)


def _examples(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(module, name) if test.examples]


@pytest.mark.parametrize('name', MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    if name.endswith('muon_adamw') and not hasattr(torch.optim, 'Muon'):
        pytest.skip('this PyTorch has no Muon')
    monkeypatch.chdir(tmp_path)
    for test in _examples(name):
        init_default_scope('mmrefseg')
        test.globs = {}  # an example imports what it uses
        runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
        output = []
        runner.run(test, out=output.append)
        assert runner.failures == 0, ''.join(output)


def _public():
    """Registered classes of ours, and what mmrefseg.apis offers."""
    for name in registry.__all__:
        parts = getattr(registry, name)
        parts.import_from_location()
        for part in parts.module_dict.values():
            if part.__module__.startswith('mmrefseg.'):
                yield part
    for name in apis.__all__:
        yield getattr(apis, name)


def test_every_public_class_has_an_example():
    without = sorted({
        part.__qualname__
        for part in _public() if '>>> ' not in (inspect.getdoc(part) or '')
    })
    assert without == []
