# Licensed under the Apache License, Version 2.0.
"""A file or folder to convert: read once, and checked entry by entry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmrefseg.datasets.field_checks import is_file_name, is_id, show
from mmrefseg.datasets.refer_files import ALL_NAMES, list_refs_files

_NOT_READ = object()


class Source:
    """What a converter reads.

    Args:
        path (str | Path): A file or a folder.

    Raises:
        FileNotFoundError: It does not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(
                f'{path} does not exist: give the file or folder of the set, '
                'see docs/data.md.')
        self._content: Any = _NOT_READ

    def __str__(self) -> str:
        return str(self.path)

    @property
    def folder(self) -> Path:
        """The folder that other files of the set are looked for in."""
        return self.path if self.path.is_dir() else self.path.parent

    def json(self) -> Any:
        """The content of a JSON file.

        Raises:
            ValueError: It is a folder, or not JSON.
        """
        if self._content is _NOT_READ:
            if self.path.is_dir():
                raise ValueError(f'{self.path} is a folder: give the JSON '
                                 'file in it.')
            self._content = read_json(self.path)
        return self._content

    def starts_with(self, *marks: bytes) -> bool:
        """Whether it is a file that begins so."""
        if self.path.is_dir():
            return False
        with self.path.open('rb') as file:
            return file.read(8).startswith(marks)

    def refs_files(self) -> list[str]:
        """Names of the refs files of REFER in a folder."""
        return list_refs_files(str(self.path), ALL_NAMES)


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, or no JSON at all.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f'{path} does not exist.') from None
    return parse_json(content, str(path))


def parse_json(text: str | bytes, where: str) -> Any:
    """The content of JSON.

    Raises:
        ValueError: It is damaged, or no JSON at all.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{where} is not JSON ({error}): it is damaged or '
                         'cut off, or of another kind; get it again.'
                         ) from None


def entries(content: Any, key: str | None, source: Any) -> list[dict]:
    """A list of objects, or an error that says where it should be.

    Args:
        content (Any): Of a JSON file.
        key (str, optional): Where the list is in it. None: it is the list.
        source (Any): The file, for the message.

    Raises:
        ValueError: There is no list, or something else is in it.
    """
    where = f'"{key}" of {source}' if key else str(source)
    if key is not None:
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, list):
        raise ValueError(f'{where} is not a list of objects: it is not of '
                         'this format, or damaged.')
    for number, each in enumerate(content):
        if not isinstance(each, dict):
            raise ValueError(f'{where}: entry {number} is {show(each)}, not '
                             'an object.')
    return content


def text_of(entry: Mapping, key: str, where: str) -> str:
    """A text of an entry, as it is.

    Raises:
        ValueError: It is missing or no text.
    """
    if not isinstance(entry.get(key), str):
        raise ValueError(f'{where} has no text "{key}", but '
                         f'{show(entry.get(key))}.')
    return entry[key]


def name_of(entry: Mapping, key: str, where: str) -> str:
    """A file name of an entry.

    Raises:
        ValueError: It is missing, or no file can have it.
    """
    if not is_file_name(entry.get(key)):
        raise ValueError(f'{where} has no file name "{key}", but '
                         f'{show(entry.get(key))}.')
    return entry[key]


def id_of(entry: Mapping, key: str, where: str) -> Any:
    """An id of an entry, a number or a text.

    Raises:
        ValueError: It is missing or something else.
    """
    if not is_id(entry.get(key)):
        raise ValueError(f'{where} has no id "{key}", but '
                         f'{show(entry.get(key))}.')
    return entry[key]
