# Licensed under the Apache License, Version 2.0.
"""What happens at ``import mmrefseg``: the OpenMMLab packages are looked for,
and config inheritance across packages (``mmrefseg::...``) is made to work."""

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

from packaging.version import Version


class _Distribution(NamedTuple):
    """A distribution that brings a module, and the oldest one that works."""
    name: str
    minimum: str


# The module, then the maintained distribution of it and the official one.
_MODULES = {
    'mmengine': (_Distribution('onedl-mmengine', '0.10.8'),
                 _Distribution('mmengine', '0.10.0')),
    'mmcv': (_Distribution('onedl-mmcv', '2.3.0'),
             _Distribution('mmcv', '2.0.0')),
    'mmseg': (_Distribution('onedl-mmsegmentation', '1.4.0'),
              _Distribution('mmsegmentation', '1.2.0')),
}
_INSTALL_MAINTAINED = ('pip install onedl-mmengine onedl-mmcv '
                       'onedl-mmsegmentation')
_INSTALL_OFFICIAL = {
    'mmengine': 'pip install "mmengine>=0.10.0"',
    'mmcv': 'pip install --no-build-isolation "mmcv>=2.0.0,<2.2.0"',
    'mmseg': 'pip install "mmsegmentation>=1.2.0"',
}

# What mmseg, mmcv and mmengine print and warn of though nothing is wrong.
_NOISE_PRINTED = re.compile(r'^Could not import OneDL\n', re.MULTILINE)
_NOISE_WARNED = (r'Fail to import ``MultiScaleDeformableAttention``',
                 'pkg_resources is deprecated as an API',
                 # mmseg's advice, which LAVT does not follow: it aligns
                 # corners and weighs classes, and no label is ignored here.
                 'When align_corners=True, the output would more aligned',
                 'Default ``avg_non_ignore`` is False')


def _installed() -> dict[str, Version]:
    """Versions of the OpenMMLab distributions in this environment, by name."""
    names = [dist.name for dists in _MODULES.values() for dist in dists]
    found = {}
    for name in names + ['mmcv-lite']:
        try:
            found[name] = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            pass
    return found


def _find_problem(installed: dict[str, Version],
                  importable: list[str]) -> str | None:
    """Say in one sentence what is wrong with the OpenMMLab packages.

    Args:
        installed (dict[str, Version]): Distributions and their versions.
        importable (list[str]): Modules that can be imported, whether or not
            a distribution brought them (a source tree on ``PYTHONPATH``).

    Returns:
        str | None: What is wrong and the command that mends it; None when
        nothing is.
    """
    official = any(dists[1].name in installed for dists in _MODULES.values())
    for module, (maintained, other) in _MODULES.items():
        present = [d for d in (maintained, other) if d.name in installed]
        if len(present) == 2:
            return (f"mmrefseg found both '{maintained.name}' and "
                    f"'{other.name}', which overwrite each other's files in "
                    f"the folder '{module}': run `pip uninstall -y "
                    f'{maintained.name} {other.name}` and then `pip install '
                    f'{maintained.name}`.')
        if not present and module == 'mmcv' and 'mmcv-lite' in installed:
            return ("mmrefseg found 'mmcv-lite', which lacks the operators "
                    'that mmseg imports: run `pip uninstall -y mmcv-lite` '
                    'and then `'
                    + (_INSTALL_OFFICIAL['mmcv'] if official else
                       'pip install onedl-mmcv') + '`.')
        if not present and module not in importable:
            command = (
                _INSTALL_OFFICIAL[module] if official else _INSTALL_MAINTAINED)
            return (f"mmrefseg needs the package '{module}', which is not "
                    f'installed: run `{command}` (docs/install.md has more).')
        for dist in present:
            if installed[dist.name] < Version(dist.minimum):
                return (f'mmrefseg needs {dist.name} {dist.minimum} or newer '
                        f'and found {installed[dist.name]}: run `pip install '
                        f'-U "{dist.name}>={dist.minimum}"`.')
    if 'mmsegmentation' in installed and 'mmcv' in installed:
        # mmsegmentation refuses it as well, but tells to install 2.0 or newer.
        if installed['mmcv'] >= Version('2.2.0'):
            return ('mmsegmentation does not work with mmcv '
                    f"{installed['mmcv']}: run "
                    f"`{_INSTALL_OFFICIAL['mmcv']}`.")
    return None


def check_dependencies() -> None:
    """Check that one complete set of the OpenMMLab packages is installed.

    pip cannot check it: the maintained packages (``onedl-mmcv``, ...) and the
    official ones (``mmcv``, ...) own the same folders without knowing of each
    other, so neither can be a plain dependency.

    Raises:
        ImportError: If a package is missing, too old or installed from both
            sources. The message names the command that mends it.
    """
    importable = [module for module in _MODULES if find_spec(module)]
    problem = _find_problem(_installed(), importable)
    if problem:
        raise ImportError(problem)


def register_package() -> None:
    """Let configs inherit from ``mmrefseg::...`` and ``mmseg::...``, and
    checkpoints load without running anything that they ask for."""
    from mmengine.config.utils import MODULE2PACKAGE

    from ._safe_globals import (allow_checkpoint_globals,
                                guard_checkpoint_loaders)

    # MMEngine looks the distribution up and joins its location with the name
    # of the module, which fails for an editable install (official MMEngine)
    # and finds a wrong copy when two are on the path. For a name that is no
    # distribution it takes the folder of the module of that name instead:
    # that of this very package.
    MODULE2PACKAGE['mmrefseg'] = 'mmrefseg.version'

    # MMEngine knows mmseg by its official distribution only.
    for dist in _MODULES['mmseg']:
        try:
            metadata.version(dist.name)
        except metadata.PackageNotFoundError:
            continue
        MODULE2PACKAGE['mmseg'] = dist.name
        break
    try:
        metadata.version('onedl-mmpretrain')
        MODULE2PACKAGE['mmpretrain'] = 'onedl-mmpretrain'
    except metadata.PackageNotFoundError:
        pass

    # These come up wherever mmcv and mmengine are used first.
    for message in _NOISE_WARNED:
        warnings.filterwarnings('ignore', message=message)
    allow_checkpoint_globals()
    guard_checkpoint_loaders()


class _NoiseFilter(io.TextIOBase):
    """Passes text on to a stream, but for the lines known to be noise."""

    def __init__(self, stream) -> None:
        self.stream = stream
        self.line = ''

    def write(self, text: str) -> int:
        self.line += text
        if self.line.endswith('\n'):
            self.flush()
        return len(text)

    def flush(self) -> None:
        self.stream.write(_NOISE_PRINTED.sub('', self.line))
        self.stream.flush()
        self.line = ''


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Leave out the line that mmseg prints when its data sets are imported.

    Everything else is printed as ever.
    """
    noise_filter = _NoiseFilter(sys.stdout)
    with contextlib.redirect_stdout(noise_filter):
        try:
            yield
        finally:
            noise_filter.flush()
