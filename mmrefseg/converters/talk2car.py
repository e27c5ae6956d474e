# Licensed under the Apache License, Version 2.0.
"""Talk2Car-RegSeg: where a car should go, by what its passenger says.

Layout (Rufus et al., "Grounding Linguistic Commands to Navigable Regions",
IROS 2021, arXiv 2112.13031, and readers that others published): a JSON object
keyed by split, then by index, of ``{"img", "command", "command_token",
"referred_object": [x, y, w, h]}``; the region of an entry is what is above 0
in ``gt_img_ann_<split>_<index>.png``, read as grey. The file of short
commands has ``img`` and ``command`` alone. Several regions may be right; all
that are drawn are in the mask.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmrefseg.datasets.field_checks import is_id, show
from mmrefseg.fileio.run_lengths import encode_run_lengths
from .mask_files import read_pixels
from .source import Source, name_of, text_of
from .writer import Skipped


def read_talk2car(source: Source,
                  *,
                  masks: str | None = None,
                  split: str | None = None,
                  skip_missing: bool = False) -> Iterator[dict | Skipped]:
    """The lines of an annotation file of Talk2Car-RegSeg.

    Args:
        source (Source): The JSON file.
        masks (str, optional): Folder of the mask files. Defaults to None:
            ``masks`` beside the JSON file.
        split (str, optional): Read this split alone.
        skip_missing (bool): Leave out commands whose mask file is missing,
            instead of stopping. Defaults to False.

    Yields:
        dict or Skipped: Masks as run lengths; ``ref_id`` is
        '<split>_<index>', ``sent_id`` the ``command_token`` where there is
        one.

    Raises:
        FileNotFoundError: A mask file is missing.
        ValueError: The file is not of this form, it has no such split, or a
            mask file is damaged.
    """
    folder = Path(masks or source.folder / 'masks')
    for name, index, row in _rows(source, split):
        where = f'{source}: {name} {index}'
        if not isinstance(row, dict):
            raise ValueError(f'{where} is {show(row)}, not an object.')
        path = folder / f'gt_img_ann_{name}_{index}.png'
        if skip_missing and not path.is_file():
            yield Skipped('the mask file does not exist', f'{where}, {path}')
            continue
        mask = read_pixels(path, where, 'L') > 0
        if not mask.any():
            yield Skipped('no region is drawn in the mask file',
                          f'{where}, {path}')
            continue
        ref_id = f'{name}_{index}'
        token = row.get('command_token')
        line = dict(
            where=where,
            image=name_of(row, 'img', where),
            text=text_of(row, 'command', where),
            segmentation=encode_run_lengths(mask),
            height=mask.shape[0],
            width=mask.shape[1],
            split=name,
            ref_id=ref_id,
            sent_id=token if is_id(token) else ref_id)
        if 'referred_object' in row:
            line['referred_object'] = row['referred_object']
        yield line


def _rows(source: Source,
          split: str | None) -> Iterator[tuple[str, Any, Any]]:
    """Split, index and entry of each command."""
    content = source.json()
    if not isinstance(content, dict):
        raise ValueError(f'{source} is not an object keyed by split: it is '
                         'not of this format, or damaged.')
    if split is not None and split not in content:
        raise ValueError(f'{source} has no split {split!r}, but '
                         f'{", ".join(content)}: choose one of these.')
    for name, part in content.items():
        if split not in (None, name):
            continue
        if not isinstance(part, (dict, list)):
            raise ValueError(f'{source}: split {name} is {show(part)}, not '
                             'commands by index.')
        pairs = part.items() if isinstance(part, dict) else enumerate(part)
        for index, row in pairs:
            yield name, index, row
