# Licensed under the Apache License, Version 2.0.
"""What happens at ``import mmrefseg``: the OpenMMLab packages are looked for,
and config inheritance across packages (``mmrefseg::...``) is made to work.

For other packages nothing changes, and nothing heavy is imported."""

import contextlib
import os
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
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


def _installed() -> dict[str, Version]:
    """Versions of the OpenMMLab distributions in this environment, by name."""
    names = [dist.name for dists in _MODULES.values() for dist in dists]
    found = {}
    for name in [*names, 'mmcv-lite', 'mmpretrain', 'onedl-mmpretrain']:
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


def register_configs() -> None:
    """Let configs inherit from ``mmrefseg::...`` and ``mmseg::...``."""
    from mmengine.config.utils import MODULE2PACKAGE

    # MMEngine looks the distribution up and joins its location with the name
    # of the module, which fails for an editable install (official MMEngine)
    # and finds a wrong copy when two are on the path. For a name that is no
    # distribution it takes the folder of the module of that name instead:
    # that of this very package. A name that is neither ends in the sentence
    # that it is not installed.
    MODULE2PACKAGE['mmrefseg'] = (
        'mmrefseg.version' if _has_configs() else 'mmrefseg-with-pip-install')

    # MMEngine knows mmseg and MMPretrain by their official distributions.
    # Where only the maintained ones are installed, which it would not find,
    # their names are mended.
    installed = _installed()
    for module, maintained in (('mmseg', 'onedl-mmsegmentation'),
                               ('mmpretrain', 'onedl-mmpretrain')):
        if (MODULE2PACKAGE.get(module) not in installed
                and maintained in installed):
            MODULE2PACKAGE[module] = maintained


def _has_configs() -> bool:
    """Whether ``.mim``, where MMEngine looks for configs, is there. A mere
    checkout gets it as ``pip install -e .`` would give it: by links."""
    mim = Path(__file__).parent / '.mim'
    configs = mim.parents[1] / 'configs'
    if configs.is_dir() and not (mim / 'configs').is_dir():
        with contextlib.suppress(OSError):  # read-only, or made meanwhile
            mim.mkdir(exist_ok=True)
            for name in ('configs', 'tools', 'model-index.yml'):
                with contextlib.suppress(FileExistsError):
                    os.symlink(os.path.join('..', '..', name), mim / name)
    return (mim / 'model-index.yml').is_file()


def secure_if_asked() -> None:
    """Secure MMEngine's loading of checkpoints for the whole process, if
    ``MMREFSEG_SECURE_CHECKPOINTS`` is set (and not to 0)."""
    if os.environ.get('MMREFSEG_SECURE_CHECKPOINTS', '0') not in ('', '0'):
        from .fileio import secure_checkpoint_loading
        secure_checkpoint_loading()
