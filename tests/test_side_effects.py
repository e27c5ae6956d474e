# Licensed under the Apache License, Version 2.0.
"""Importing mmrefseg changes nothing for the packages beside it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SNAPSHOT = '''
import os
import sys
import warnings

import mmengine.registry
import mmseg.models
import mmseg.registry
import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader


def registered():
    return {
        (package.__name__, name): dict(registry.module_dict)
        for package in (mmengine.registry, mmseg.registry)
        for name, registry in vars(package).items()
        if isinstance(registry, mmengine.registry.Registry)
    }


def snapshot():
    admitted = getattr(torch.serialization, 'get_safe_globals', list)()
    return dict(
        loaders=list(CheckpointLoader._schemes.items()),
        filters=list(warnings.filters),
        shows=(warnings.showwarning, warnings.warn),
        streams=(sys.stdout, sys.stderr, sys.displayhook, sys.excepthook),
        torch=(torch.load, torch.save, torch.get_default_dtype(),
               torch.is_grad_enabled(), torch.hub.load_state_dict_from_url),
        admitted=sorted(map(str, admitted)),
        environment=dict(os.environ),
        scope=DefaultScope.get_current_instance(),
        registered=registered(),
        packages={k: x for k, x in MODULE2PACKAGE.items()
                  if k not in ('mmrefseg', 'mmseg', 'mmpretrain')},
        builders=vars(mmengine.registry.build_functions).copy(),
    )


for registry in vars(mmseg.registry).values():  # all that mmseg has of its own
    if isinstance(registry, mmengine.registry.Registry):
        registry.import_from_location()
before = snapshot()
'''
COMPARISON = '''
after = snapshot()
for key, value in before.items():
    assert after[key] == value, (key, value, after[key])
'''


def run(code, **env):
    done = subprocess.run([sys.executable, '-W', 'default', '-c', code],
                          env=dict(os.environ, PYTHONPATH=str(ROOT), **env),
                          capture_output=True,
                          text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_registries_and_rooms():
    """Each room is imported, types are found, a model is built and a file of
    weights is read."""
    use = '''
import mmrefseg
from mmrefseg import registry

assert registry.MODELS.get('FCNHead') and registry.MODELS.get('BSAM')
for name in registry.__all__:
    getattr(registry, name).import_from_location()
import mmrefseg.apis
import mmrefseg.engine.launch

mmrefseg.apis.init_model('mpg-lqgnet_nano', device='cpu')
'''
    # Others do such things when they are imported: they are, beforehand.
    others = '\n'.join(
        f'import {name}'
        for name in ('transformers.models.bert', 'matplotlib.pyplot',
                     'pycocotools.mask', 'torch._dynamo', 'rich.progress'))
    run(f'{others}\n{SNAPSHOT}{use}{COMPARISON}')


def test_the_comparison_sees_changes():
    """Of the kinds that this package once made."""
    for change in ("warnings.filterwarnings('ignore', message='x')",
                   'CheckpointLoader.register_scheme("", print, force=True)',
                   'os.environ["X"] = "1"', 'sys.stdout = sys.stderr',
                   'mmseg.registry.MODELS._module_dict["X"] = int'):
        code = SNAPSHOT.replace('import mmseg.models\n', '') + (
            f'{change}\nafter = snapshot()\nassert before != after\n')
        run(code.replace('registry.import_from_location()', 'pass'))


def test_import_is_light():
    """mmrefseg alone needs no more than MMEngine's configs; its registries
    need neither models nor transformers."""
    heavy = ('torch', 'transformers', 'mmengine.runner', 'mmseg.models',
             'mmcv', 'cv2', 'huggingface_hub')
    code = '''
import mmengine.config, mmengine.registry, mmseg.registry, sys
before = set(sys.modules)
import mmrefseg
import mmrefseg.registry
added = set(sys.modules) - before
print([name for name in {!r} if name in added])
print(len(added) < 60)
'''
    assert run(code.format(heavy)).split('\n')[:2] == ['[]', 'True']
