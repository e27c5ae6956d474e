# Licensed under the Apache License, Version 2.0.
"""What a config finds by name, and what it is told when it finds nothing."""

import os
import subprocess
import sys
from pathlib import Path

import mmengine.registry as mmengine_registry
import mmseg.registry as mmseg_registry
import pytest
import torch
from mmengine.registry import DefaultScope

import mmrefseg
from mmrefseg import registry

ROOT = Path(mmrefseg.__file__).parents[1]
NAMES = registry.__all__


@pytest.fixture
def scope():
    """The default scope that a config of ours sets, as the Runner does."""
    with DefaultScope.overwrite_default_scope('mmrefseg'):
        yield


def test_every_registry_of_mmseg_has_a_child():
    ours = {name: getattr(registry, name) for name in NAMES}
    parents = {
        name: value
        for name, value in vars(mmseg_registry).items()
        if isinstance(value, mmengine_registry.Registry)
    }
    assert set(ours) == set(parents)
    for name, child in ours.items():
        assert child.parent is parents[name]
        assert child.scope == 'mmrefseg'
        assert child.name == parents[name].name


@pytest.mark.parametrize('name', NAMES)
def test_locations_can_be_imported(name):
    """mmseg's first, since a lookup in a parent imports nothing."""
    child = getattr(registry, name)
    child.import_from_location()
    if name != 'INFERENCERS':
        assert child._locations[0].startswith('mmseg.')


def test_no_name_shadows_another_package():
    """A stock config would silently get the wrong class."""
    for name in NAMES:
        child = getattr(registry, name)
        child.import_from_location()
        above, shadowed = child.parent, set()
        while above is not None:
            shadowed |= set(child.module_dict) & set(above.module_dict)
            above = above.parent
        assert not shadowed, name


@pytest.mark.parametrize('name, part', [
    ('MODELS', 'FCNHead'),
    ('MODELS', 'mmseg.FCNHead'),
    ('MODELS', 'SegDataPreProcessor'),
    ('MODELS', 'torch.nn.ReLU'),
    ('TRANSFORMS', 'PackSegInputs'),
    ('TRANSFORMS', 'Resize'),
    ('TRANSFORMS', 'LoadImageFromFile'),
    ('METRICS', 'IoUMetric'),
    ('HOOKS', 'CheckpointHook'),
    ('OPTIM_WRAPPERS', 'AmpOptimWrapper'),
    ('DATASETS', 'ConcatDataset'),
    ('DATA_SAMPLERS', 'DefaultSampler'),
    ('VISBACKENDS', 'LocalVisBackend'),
])
def test_stock_parts_are_found(name, part):
    found = getattr(registry, name).get(part)
    assert found.__name__ == part.rsplit('.')[-1]
    assert part in getattr(registry, name)


def test_a_config_needs_no_import(tmp_path):
    """In a fresh process MMEngine's own registries find every part by the
    default scope alone, and nothing but the asked for is printed."""
    code = '''
from mmengine.registry import (DATASETS, METRICS, MODELS, TRANSFORMS,
                               init_default_scope)
init_default_scope('mmrefseg')
print(type(MODELS.build(dict(type='SegDataPreProcessor'))).__name__)
print(type(TRANSFORMS.build(dict(type='PackSegInputs'))).__name__)
print(type(TRANSFORMS.build(dict(type='LoadRefMask'))).__name__)
print(type(METRICS.build(dict(type='ReferringIoUMetric'))).__name__)
print('RefCOCODataset' in DATASETS.children['mmseg'].children['mmrefseg'])
'''
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=tmp_path,
                          env=dict(os.environ, PYTHONPATH=str(ROOT)),
                          capture_output=True,
                          text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.replace('Could not import OneDL\n', '')  # by mmseg
    assert printed.split() == [
        'SegDataPreProcessor', 'PackSegInputs', 'LoadRefMask',
        'ReferringIoUMetric', 'True'
    ]
    assert done.stderr == ''


class TestUnknownType:

    @pytest.mark.parametrize('part, near', [
        ('FCNHed', "'FCNHead' (of mmseg)"),
        ('fcnhead', "'FCNHead' (of mmseg)"),
        ('ReferingEncoderDecoder', "'ReferringEncoderDecoder' (of mmrefseg)"),
        ('mmseg.FCNHed', "'FCNHead' (of mmseg)"),
        ('mmrefseg.FCNHead', "'FCNHead' (of mmseg)"),
        ('ImgDataPreproc', "'ImgDataPreprocessor' (of mmengine)"),
    ])
    def test_names_the_nearest(self, scope, part, near):
        # The Runner builds by MMEngine's registry.
        with pytest.raises(KeyError) as error:
            mmengine_registry.MODELS.build(dict(type=part))
        message = str(error.value)
        assert message.startswith(f"'{part}' is not in the model registry")
        assert f'Did you mean {near}' in message
        assert '\n' not in message

    def test_without_any_near_name(self, scope):
        with pytest.raises(KeyError, match='custom_imports'):
            mmengine_registry.MODELS.build(dict(type='Qwertzuiop'))

    @pytest.mark.parametrize('part', ['mmnothing.Part', 'torch.nn.Reluu'])
    def test_without_such_a_scope(self, scope, part):
        with pytest.raises(KeyError, match='neither registered nor import'):
            mmengine_registry.MODELS.build(dict(type=part))

    def test_in_other_registries(self, scope):
        with pytest.raises(KeyError, match="'PackSegInputs' .of mmseg"):
            mmengine_registry.TRANSFORMS.build(dict(type='PackSegInput'))
        with pytest.raises(KeyError, match="'PolyLR' .of mmengine"):
            mmengine_registry.PARAM_SCHEDULERS.build(
                dict(
                    type='PolLR', convert_to_iter_based=True, epoch_length=2))

    def test_in_a_nested_config(self, scope):
        pipeline = [dict(type='LoadRefMsk')]
        with pytest.raises(KeyError, match="'LoadRefMask' .of mmrefseg"):
            mmengine_registry.TRANSFORMS.build(
                dict(type='Compose', transforms=pipeline))

    @pytest.mark.parametrize('part', [
        'FCNHed', 'mmseg.FCNHed', 'mmrefseg.FCNHead', 'mmnothing.Part',
        'torch.nn.Reluu'
    ])
    def test_asking_is_answered_as_by_mmengine(self, part):
        assert registry.MODELS.get(part) is None

    def test_of_our_own_registries(self, scope):
        with pytest.raises(registry.UnknownTypeError, match="'BSAM' .of mmr"):
            registry.MODELS.build(dict(type='BSAN'))
        with pytest.raises(registry.UnknownTypeError, match='RefVisualizati'):
            registry.HOOKS.build(dict(type='RefVisualisationHook'))

    def test_without_a_scope(self):
        with pytest.raises(registry.UnknownTypeError, match="'BSAM' .of mmr"):
            registry.MODELS.build(dict(type='BSAN'))

    def test_membership_stays_a_question(self):
        assert 'Qwertzuiop' not in registry.MODELS
        assert 'mmseg.FCNHed' not in registry.MODELS
        assert 'FCNHead' in registry.MODELS

    def test_classes_need_no_name(self, scope):
        built = mmengine_registry.MODELS.build(dict(type=torch.nn.ReLU))
        assert isinstance(built, torch.nn.ReLU)

    def test_other_scopes_are_as_in_mmengine(self):
        with DefaultScope.overwrite_default_scope('mmseg'):
            with pytest.raises(KeyError) as error:
                mmengine_registry.MODELS.build(dict(type='FCNHed'))
        assert type(error.value) is KeyError
