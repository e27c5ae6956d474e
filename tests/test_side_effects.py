# Licensed under the Apache License, Version 2.0.
"""Importing mmrefseg changes nothing for other packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mmrefseg

ROOT = Path(mmrefseg.__file__).parents[1]
# What other packages share in a process, as text; what registers with a
# registry of ours, or under a name of ours, is no change of theirs.
STATE = '''
import json, os, sys, warnings
import torch
import mmengine, mmengine.runner, mmseg
import mmseg.datasets, mmseg.engine, mmseg.evaluation, mmseg.models
import mmseg.registry, mmseg.visualization
from mmengine import registry as engine_registry
from mmengine.config import utils
from mmengine.fileio.backends import backends
from mmengine.runner import CheckpointLoader

def registries(module):
    return {name: sorted(value.module_dict)
            for name, value in vars(module).items()
            if isinstance(value, engine_registry.Registry)}

def state():
    return dict(
        schemes={k: repr(v) for k, v in CheckpointLoader._schemes.items()},
        warnings=[repr(x) for x in warnings.filters],
        streams=[repr(sys.stdout), repr(sys.stderr)],
        load=repr(torch.load),
        safe=sorted(map(repr, torch.serialization.get_safe_globals()))
        if hasattr(torch.serialization, 'get_safe_globals') else [],
        environment=dict(os.environ),
        packages={k: v for k, v in utils.MODULE2PACKAGE.items()
                  if k not in ('mmrefseg', 'mmseg', 'mmpretrain')},
        backends={k: repr(v) for k, v in backends.items()
                  if k != 'atomic_local'},
        mmengine=registries(engine_registry),
        mmseg=registries(mmseg.registry),
        scope=repr(engine_registry.DefaultScope.get_current_instance()))
'''
USE = '''
import mmrefseg
from mmrefseg import apis, registry
for name in registry.__all__:
    getattr(registry, name).import_from_location()
registry.TRANSFORMS.build(dict(type='mmrefseg.LoadRefMask'))
'''


def _run(code, **environment):
    done = subprocess.run([sys.executable, '-c', code],
                          env=dict(
                              os.environ, PYTHONPATH=str(ROOT), **environment),
                          capture_output=True,
                          text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_changes_nothing_of_others():
    code = STATE + 'before = state()\n' + USE + (
        'after = state()\n'
        'print(json.dumps([k for k in before if before[k] != after[k]]))')
    assert json.loads(_run(code).splitlines()[-1]) == []


def test_loading_and_asking_a_model_changes_nothing(tmp_path):
    code = STATE + USE + '''
before = state()
import numpy as np
found = apis.RefSegInferencer('mpg-lqgnet_nano', device='cpu')(
    np.zeros((64, 64, 3), np.uint8), 'the red star')
after = state()
print(json.dumps([k for k in before if before[k] != after[k]]))'''
    assert json.loads(_run(code).splitlines()[-1]) == []


def test_import_is_light():
    """A program that only reads configs pays for no network code."""
    code = ('import sys, mmseg; before = set(sys.modules); import mmrefseg; '
            'print(sorted({x.split(".")[0] for x in set(sys.modules) - before'
            '} & {"torch", "transformers", "matplotlib", "pycocotools"}))')
    assert _run(code).splitlines()[-1] == '[]'


def test_secure_loading_can_be_asked_for():
    code = ('import mmrefseg\n'
            'from mmengine.runner import CheckpointLoader\n'
            'print({v.__module__ for v in CheckpointLoader._schemes.values()'
            '} - {"mmengine.runner.checkpoint"})')
    assert _run(code).splitlines()[-1] == 'set()'
    secure = _run(code, MMREFSEG_SECURE_CHECKPOINTS='1')
    assert 'mmrefseg.fileio.secure_checkpoints' in secure
