# Licensed under the Apache License, Version 2.0.
"""Puts configs, tools and the model index into the package at build time.

MIM and ``mmengine.config`` look for them in ``mmrefseg/.mim``. Metadata and
everything else stand in ``pyproject.toml``.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools', 'model-index.yml')


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, without what Python cached in it."""
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(source, target)


def link(source: Path, target: Path) -> None:
    """Link to a file or a folder beside the package, so that edits count;
    where links are not allowed (Windows), copy it."""
    try:
        os.symlink(os.path.relpath(source, target.parent), target)
    except OSError:
        copy(source, target)


class BuildWithMim(build_py):
    """Builds the package and its ``.mim`` folder."""

    def run(self) -> None:
        super().run()
        if not getattr(self, 'editable_mode', False):
            self._fill(Path(self.build_lib), copy)
            return
        # An editable install is served from the source tree, where edits
        # count. openmim looks beside the installed metadata instead, and
        # finds what the package had when it was installed.
        self._fill(ROOT, link)
        install = self.get_finalized_command('install')
        self._fill(Path(install.install_lib), copy)

    @staticmethod
    def _fill(folder: Path, put: Callable[[Path, Path], None]) -> None:
        mim = folder / 'mmrefseg' / '.mim'
        # What an earlier build left there may have been deleted since.
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in SHIPPED:
            put(ROOT / name, mim / name)


setup(cmdclass={'build_py': BuildWithMim})
