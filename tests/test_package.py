# Licensed under the Apache License, Version 2.0.
"""What a built and installed package brings, and what importing it does."""

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from packaging.version import Version

import mmrefseg
from mmrefseg import _setup

ROOT = Path(__file__).parents[1]
INSTALLED = {
    'onedl-mmengine': Version('0.10.12'),
    'onedl-mmcv': Version('2.3.6'),
    'onedl-mmsegmentation': Version('1.4.2')
}
OFFICIAL = {
    'mmengine': Version('0.10.7'),
    'mmcv': Version('2.1.0'),
    'mmsegmentation': Version('1.2.2')
}
MODULES = ['mmengine', 'mmcv', 'mmseg']


def run_python(code, *, cwd, path):
    """Run code in a fresh process with one folder on PYTHONPATH."""
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=cwd,
                          env=dict(
                              os.environ,
                              PYTHONPATH=str(path),
                              PYTHONWARNINGS='ignore'),
                          capture_output=True,
                          text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def copy_sources(source):
    """Copy what is built, so that nothing is left in the tree."""
    source.mkdir()
    for name in ('mmrefseg', 'configs', 'tools'):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    for name in ('pyproject.toml', 'setup.py', 'setup.cfg', 'MANIFEST.in',
                 'README.md', 'LICENSE', 'model-index.yml'):
        shutil.copy(ROOT / name, source / name)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    copy_sources(source)
    subprocess.run([
        sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-index',
        '--no-build-isolation', '-w', folder, source
    ],
                   check=True,
                   timeout=300)
    found = list(folder.glob('mmrefseg-*.whl'))
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """A folder into which the wheel was installed."""
    target = tmp_path_factory.mktemp('site')
    subprocess.run([
        sys.executable, '-m', 'pip', 'install', '-q', '--no-deps',
        '--no-index', '--target', target, wheel
    ],
                   check=True,
                   timeout=300)
    return target


def tracked(folder, pattern='*'):
    """Files of a folder of the source, without what Python cached."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob(pattern)
        if path.is_file() and '__pycache__' not in path.parts
        and '.mim' not in path.parts
    }


@pytest.fixture(scope='module')
def editable(tmp_path_factory):
    """A copy of the repository, and a folder into which it was installed so
    that edits count."""
    folder = tmp_path_factory.mktemp('editable')
    source, target = folder / 'source', folder / 'site'
    copy_sources(source)
    build = f"""
import pathlib, zipfile
from setuptools import build_meta
wheel = build_meta.build_editable({str(folder)!r})
zipfile.ZipFile(pathlib.Path({str(folder)!r}) / wheel).extractall(
    {str(target)!r})
"""
    run_python(build, cwd=source, path=source)
    return source, target


class TestEditable:

    def test_mim_finds_the_model_index(self, editable):
        """As openmim does: in the folder of the package beside its metadata;
        the checkout is on the path."""
        model_index = editable[1] / 'mmrefseg' / '.mim' / 'model-index.yml'
        assert next(editable[1].glob('mmrefseg-*.dist-info')).is_dir()
        methods = yaml.safe_load(model_index.read_text())['Import']
        assert methods == yaml.safe_load(
            (ROOT / 'model-index.yml').read_text())['Import']
        for method in methods:
            content = yaml.safe_load((model_index.parent / method).read_text())
            for model in content['Models']:
                assert (model_index.parent / model['Config']).is_file()

    def test_that_folder_hides_no_module(self, editable, tmp_path):
        source, target = editable
        code = f"""
import site, sys
others = list(sys.path)
site.addsitedir({str(target)!r})
sys.path[:0] = [x for x in sys.path if x not in others]
import mmrefseg.version
print(mmrefseg.version.__file__)
"""
        done = run_python(code, cwd=tmp_path, path=tmp_path)
        assert done.stdout.strip() == str(source / 'mmrefseg' / 'version.py')

    def test_configs_are_those_of_the_checkout(self, editable):
        configs = editable[0] / 'mmrefseg' / '.mim' / 'configs'
        assert configs.resolve() == editable[0] / 'configs'


class TestWheel:

    def test_holds_the_whole_package(self, wheel):
        names = set(zipfile.ZipFile(wheel).namelist())
        missing = {
            name
            for name in tracked('mmrefseg')
            if not name.endswith(('.pyc', '.pyo'))
        } - names
        assert not missing
        assert 'mmrefseg/py.typed' in names
        assert not [name for name in names if name.startswith('tests/')]

    def test_holds_configs_tools_and_model_index(self, wheel):
        names = set(zipfile.ZipFile(wheel).namelist())
        wanted = tracked('configs') | tracked('tools') | {'model-index.yml'}
        assert 'configs/_base_/default_runtime.py' in wanted
        assert 'tools/train.py' in wanted
        assert {f'mmrefseg/.mim/{name}' for name in wanted} <= names

    def test_metadata(self, wheel):
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist()
                        if n.endswith('.dist-info/METADATA'))
            metadata = Parser().parsestr(archive.read(name).decode())
        assert metadata['Name'] == 'mmrefseg'
        assert metadata['Version'] == mmrefseg.__version__
        assert metadata['Requires-Python'] == '>=3.10'
        base = [
            line for line in metadata.get_all('Requires-Dist')
            if 'extra ==' not in line
        ]
        # Either line of the OpenMMLab packages will do: none is required.
        assert not [line for line in base if 'mmcv' in line or 'onedl' in line]
        assert [line for line in base if line.startswith('torch')]
        assert {'onedl', 'mmpretrain', 'test', 'docs',
                'demo'} <= set(metadata.get_all('Provides-Extra'))

    def test_configs_inherit_from_it_anywhere(self, installed, tmp_path):
        """From an empty folder, with nothing but the installed package."""
        (tmp_path / 'mine.py').write_text(
            "_base_ = ['mmrefseg::mpg_lqgnet/mpg-lqgnet_swin-t_1xb8-35e_"
            "refcoco-448x448.py']\n"
            'default_hooks = dict(logger=dict(interval=7))\n')
        code = '''
import mmrefseg
from mmengine.config import Config
cfg = Config.fromfile('mine.py')
print(mmrefseg.__file__)
print(cfg.model.type, cfg.default_scope, cfg.default_hooks.logger.interval)
'''
        done = run_python(code, cwd=tmp_path, path=installed)
        file, values = done.stdout.splitlines()
        assert file == str(installed / 'mmrefseg' / '__init__.py')
        assert values == 'ReferringEncoderDecoder mmrefseg 7'
        assert done.stderr == ''


class TestSourceTree:

    def test_configs_inherit_from_mmseg(self, tmp_path):
        """By the name of whichever distribution brings mmseg."""
        path = tmp_path / 'mine.py'
        path.write_text("_base_ = ['mmseg::_base_/default_runtime.py']\n")
        assert Config.fromfile(path).default_scope == 'mmseg'

    def test_a_checkout_needs_no_installation(self, tmp_path):
        """On PYTHONPATH, as on a cluster; also if it cannot be written."""
        for name in ('mmrefseg', 'configs', 'tools'):
            shutil.copytree(
                ROOT / name,
                tmp_path / name,
                ignore=shutil.ignore_patterns('__pycache__', '.mim'))
        shutil.copy(ROOT / 'model-index.yml', tmp_path)
        (tmp_path / 'mine.py').write_text(
            "_base_ = 'mmrefseg::_base_/default_runtime.py'\n")
        code = """
import mmrefseg
from mmengine.config import Config
try:
    print(Config.fromfile('mine.py').default_scope)
except ModuleNotFoundError as error:
    print(error)
"""
        done = run_python(code, cwd=tmp_path, path=tmp_path)
        assert done.stdout == 'mmrefseg\n'
        shutil.rmtree(tmp_path / 'mmrefseg/.mim')
        (tmp_path / 'mmrefseg/.mim').write_text('no folder')
        done = run_python(code, cwd=tmp_path, path=tmp_path)
        assert 'mmrefseg-with-pip-install is not installed' in done.stdout

    def test_model_index_lists_every_method(self):
        index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
        methods = {
            str(path.relative_to(ROOT))
            for path in (ROOT / 'configs').glob('*/metafile.yml')
        }
        assert set(index['Import']) == methods

    def test_every_module_is_importable_and_quiet(self, tmp_path):
        """Harmless warnings of mmcv are no business of ours; what mmseg
        prints is its own."""
        code = '''
import mmrefseg
from mmrefseg import registry
for name in registry.__all__:
    getattr(registry, name).import_from_location()
'''
        done = run_python(code, cwd=tmp_path, path=ROOT)
        assert set(done.stdout.splitlines()) <= {'Could not import OneDL'}
        assert done.stderr == ''

    def test_every_python_file_names_the_licence(self):
        line = '# Licensed under the Apache License, Version 2.0.'
        files = [ROOT / 'setup.py']
        for folder in ('mmrefseg', 'tools', 'tests', 'demo', 'projects'):
            files += [
                ROOT / name for name in tracked(folder, '*.py')
                if 'configs' not in Path(name).parts
            ]
        assert len(files) > 20
        assert [
            str(file) for file in files
            if line not in file.read_text().splitlines()[:2]
        ] == []


class TestDependencies:

    @pytest.mark.parametrize('installed', [INSTALLED, OFFICIAL])
    def test_one_complete_set_is_fine(self, installed):
        assert _setup._find_problem(installed, MODULES) is None

    def test_a_source_tree_on_the_path_is_fine(self):
        assert _setup._find_problem({}, MODULES) is None

    @pytest.mark.parametrize('found, importable, words', [
        ({}, [], ["'mmengine'", 'pip install onedl-mmengine onedl-mmcv '
                  'onedl-mmsegmentation']),
        ({**INSTALLED, 'mmcv': Version('2.1.0')}, MODULES,
         ["'onedl-mmcv' and 'mmcv'", 'pip uninstall -y onedl-mmcv mmcv',
          'pip install onedl-mmcv`']),
        ({**INSTALLED, 'onedl-mmsegmentation': Version('1.3.9')}, MODULES,
         ['1.4.0 or newer', '1.3.9', 'pip install -U '
          '"onedl-mmsegmentation>=1.4.0"']),
        ({**OFFICIAL, 'mmengine': Version('0.9.1')}, MODULES,
         ['mmengine 0.10.0 or newer', '0.9.1']),
        ({'mmengine': Version('0.10.7')}, ['mmengine'],
         ["'mmcv'", '"mmcv>=2.0.0,<2.2.0"']),
        ({**OFFICIAL, 'mmcv': Version('2.2.0')}, MODULES,
         ['mmcv 2.2.0', '"mmcv>=2.0.0,<2.2.0"']),
        ({'mmengine': Version('0.10.7'), 'mmcv-lite': Version('2.1.0')},
         MODULES[:2], ["'mmcv-lite'", 'pip uninstall -y mmcv-lite']),
    ], ids=['none', 'both', 'old', 'old-official', 'part', 'too-new', 'lite'])
    def test_else_one_sentence_says_what_to_do(self, found, importable,
                                               words):
        problem = _setup._find_problem(found, importable)
        for word in words:
            assert word in problem
        assert '\n' not in problem and problem.endswith('.')

    def test_import_raises_it(self, monkeypatch):
        monkeypatch.setattr(_setup, '_installed', lambda: {})
        monkeypatch.setattr(_setup, 'find_spec', lambda name: None)
        with pytest.raises(ImportError, match='`pip install onedl-mmengine'):
            _setup.check_dependencies()
