# Licensed under the Apache License, Version 2.0.
"""Check of the data, which is not repeated while its files stay the same."""

import hashlib
import json
import os
import os.path as osp
from collections.abc import Callable

from dataset_converters.refer_checks import check_folder, format_report

from mmrefseg.fileio import write_atomically
from .settings import Settings
from .tables import Row

DONE = 'checked.json'


def _stamp(folder: str) -> str:
    """Names, sizes and times of the files of annotations."""
    found = []
    for name in sorted(os.listdir(folder)) if osp.isdir(folder) else ():
        path = osp.join(folder, name)
        if osp.isfile(path):
            info = os.stat(path)
            found.append((name, info.st_size, info.st_mtime_ns))
    return hashlib.sha256(repr(found).encode()).hexdigest()


def check_data(rows: list[Row], settings: Settings,
               report: Callable[[str], None] = print) -> None:
    """Check the sets of some rows by the code of check_dataset.py.

    Args:
        rows (list[Row]): The rows.
        settings (Settings): With the folder of the data and of the table.
        report (Callable): Gets what is found.

    Raises:
        ValueError: A set has faults that are not harmless.
    """
    path = osp.join(settings.work_dir, DONE)
    known = {}
    if osp.exists(path):
        with open(path, encoding='utf-8') as file:
            known = json.load(file)
    bad = []
    for folder, split_by in dict.fromkeys(
        (osp.join(settings.data, x.folder), x.split_by) for x in rows):
        key, stamp = f'{folder} ({split_by})', _stamp(folder)
        if known.get(key) == stamp:
            report(f'data, {key}: checked before')
            continue
        reports = check_folder(folder, split_by=split_by)
        for each in reports:
            report(format_report(each))
        if all(each.is_whole() for each in reports):
            known[key] = stamp
            os.makedirs(settings.work_dir, exist_ok=True)
            write_atomically(path, json.dumps(known, indent=1).encode())
        else:
            bad.append(key)
    if bad:
        raise ValueError(
            f'The data has faults: {", ".join(bad)}. See docs/data.md for '
            'where the files are found, and --data for their folder.')
