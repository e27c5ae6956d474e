# Licensed under the Apache License, Version 2.0.
"""Single files of a folder or of the Hugging Face hub, its cache first."""

from collections.abc import Sequence
from pathlib import Path

from mmrefseg.fileio import first_line

HUB = ('With a network the hub is asked once and its cache serves from then '
       'on (HF_HUB_OFFLINE=1 keeps to the cache).')


def find_file(name: str, files: Sequence[str], what: str,
              remedy: str) -> Path:
    """The first of some files in a folder or, failing that, on the hub.

    Args:
        name (str): Folder or hub name.
        files (Sequence[str]): Names of files; the first that is there.
        what (str): What is looked for, for the message ('weights').
        remedy (str): What to set where there is none, for the message.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: There is none.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        for file in files:
            if (folder / file).is_file():
                return folder / file
        raise FileNotFoundError(f'The folder {folder} has no '
                                f'{" and no ".join(files)}: {remedy}')
    if name.startswith(('.', '/', '~')) or name.count('/') > 1:
        raise FileNotFoundError(f"'{name}' is not a folder: {remedy}")
    return _find_on_hub(name, files, what, remedy)


def _find_on_hub(name: str, files: Sequence[str], what: str,
                 remedy: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import (EntryNotFoundError,
                                       LocalEntryNotFoundError)
    for file in files:  # the cache first: no network where none is needed
        try:
            return Path(hf_hub_download(name, file, local_files_only=True))
        except Exception:
            continue
    reason = Exception('no file was named')
    for file in files:
        try:
            return Path(hf_hub_download(name, file))
        except Exception as error:  # several HTTP libraries, by its version
            reason = error
            if not isinstance(error, EntryNotFoundError) or isinstance(
                    error, LocalEntryNotFoundError):
                break  # the other names would fail in the same way
    raise FileNotFoundError(
        f"The {what} of '{name}' ({' or '.join(files)}) can be had neither "
        'from a folder of that name nor from the Hugging Face hub or its '
        f'cache ({type(reason).__name__}: {first_line(reason)}): '
        f'{remedy}') from reason
