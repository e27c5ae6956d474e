# Licensed under the Apache License, Version 2.0.
"""Lists of images that must not be trained on, since others test on them.

RefCOCO, RefCOCO+ and RefCOCOg take their images from the same COCO train2014
and split them each in its own way: what one trains on, another tests on. A
leak list is a text file of such images, one COCO image id per line; what
follows a ``#`` is a remark.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .field_checks import id_key
from .refer_files import load_refs, read_file

REFS_SUFFIXES = ('.p', '.json')


def is_held_out(split: str) -> bool:
    """Whether a split is one to test on: val, test, testA, ..."""
    return split.startswith(('val', 'test'))


def held_out_images(path: str,
                    splits: Sequence[str] | None = None,
                    backend_args: dict | None = None) -> set[str]:
    """Images of a refs file's val and test splits.

    Args:
        path (str): A refs file, a pickle or JSON, of one or of several
            targets a ref.
        splits (Sequence[str], optional): Take these splits instead.

    Returns:
        set[str]: Image ids as text.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is no refs file, or has none of these splits.
    """
    refs = load_refs(path, backend_args, many=True)
    counts = Counter(ref['split'] for ref in refs)
    wanted = set(filter(is_held_out, counts)) if splits is None else set(
        splits)
    missing = sorted(wanted - set(counts))
    if missing or not wanted:
        listed = ', '.join(f'{x} ({n} refs)' for x, n in counts.items())
        what = ('no val and no test split'
                if splits is None else f'no split {", ".join(missing)}')
        raise ValueError(f'{path} has {what}, but {listed}: name the splits '
                         'whose images are to be left out.')
    return {image_key(x['image_id']) for x in refs if x['split'] in wanted}


def read_leak_list(path: str,
                   backend_args: dict | None = None) -> set[str]:
    """Read a leak list.

    Returns:
        set[str]: Image ids as text.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A line is no image id, or there is none.
    """
    text = read_file(path, backend_args).decode('utf-8', 'replace')
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition('#')[0].strip()
        if not line:
            continue
        if not isinstance(id_key(line), int):
            raise ValueError(
                f'{path}:{number}: {line[:40]!r} is no image id: a leak list '
                'has one number in a line, see docs/data.md.')
        found.add(image_key(line))
    if not found:
        raise ValueError(f'{path} names no image at all: make it again with '
                         'tools/dataset_converters/make_leak_list.py.')
    return found


def images_to_exclude(paths: Sequence[str],
                      backend_args: dict | None = None) -> set[str]:
    """Images that several files forbid.

    Args:
        paths (Sequence[str]): Refs files (``.p``, ``.json``), of which all
            val and test splits count, and leak lists (any other name).

    Returns:
        set[str]: Image ids as text.
    """
    found: set[str] = set()
    for path in paths:
        if path.endswith(REFS_SUFFIXES):
            found |= held_out_images(path, backend_args=backend_args)
        else:
            found |= read_leak_list(path, backend_args)
    return found


def keep_others(refs: Sequence[dict], excluded: set[str]) -> list[dict]:
    """The refs whose images are not excluded."""
    return [ref for ref in refs if image_key(ref['image_id']) not in excluded]


def image_key(image_id: Any) -> str:
    """An image id as text, the same however it is written."""
    return str(id_key(image_id))
