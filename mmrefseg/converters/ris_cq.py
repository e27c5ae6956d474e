# Licensed under the Apache License, Version 2.0.
"""RIS-CQ: complex sentences about things and stuff of COCO 2017.

Layout (of the public subset of 1,000 sentences; Ji et al., "Towards
Complex-query Referring Image Segmentation: A Novel Benchmark", arXiv
2309.17205): a JSON list of ``{"file_name": "train2017/000000417720.jpg",
"sentence": ..., "pan_seg_file": "panoptic_train2017/000000417720.png", "id":
...}``. The mask is what has ``R + 256 G + 65536 B == id`` in the panoptic PNG
of COCO (cocodataset.org, "panoptic segmentation" format).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmrefseg.datasets.field_checks import show
from mmrefseg.fileio.run_lengths import encode_run_lengths
from .mask_files import read_pixels
from .source import Source, entries, name_of, text_of
from .writer import Skipped


def read_ris_cq(source: Source,
                *,
                masks: str | None = None,
                split: str | None = None,
                skip_missing: bool = False) -> Iterator[dict | Skipped]:
    """The lines of a file of RIS-CQ.

    Args:
        source (Source): The JSON file.
        masks (str, optional): Folder that ``pan_seg_file`` starts from.
            Defaults to None: that of the JSON file.
        split (str, optional): Written in every line.
        skip_missing (bool): Leave out sentences whose mask file is missing,
            instead of stopping. Defaults to False.

    Yields:
        dict or Skipped: Masks as run lengths; ``ann_id`` is the id of the
        segment, ``sent_id`` the place in the list, from 0.

    Raises:
        FileNotFoundError: A mask file is missing.
        ValueError: An entry is not of this form, or a mask file is damaged.
    """
    root = Path(masks or source.folder)
    last: tuple[Path | None, np.ndarray] = (None, np.zeros(0))
    for number, row in enumerate(entries(source.json(), None, source)):
        where = f'{source}: entry {number}'
        image = name_of(row, 'file_name', where)
        path = root / name_of(row, 'pan_seg_file', where)
        segment = row.get('id')
        if type(segment) is not int or not 0 < segment < 1 << 24:
            raise ValueError(f'{where} has the "id" {show(segment)}, which is '
                             'no id of a segment (1 to 16777215).')
        if skip_missing and not path.is_file():
            yield Skipped('the mask file does not exist', f'{where}, {path}')
            continue
        if path != last[0]:
            last = path, segment_ids(path, where)
        mask = last[1] == segment
        if not mask.any():
            yield Skipped('no pixel of the mask file has the id',
                          f'{where}, id {segment} in {path}')
            continue
        stem = Path(image).stem
        line = dict(
            where=where,
            image=image,
            text=text_of(row, 'sentence', where),
            segmentation=encode_run_lengths(mask),
            height=mask.shape[0],
            width=mask.shape[1],
            image_id=int(stem) if stem.isdecimal() else stem,
            ref_id=f'{stem}_{segment}',
            ann_id=segment,
            sent_id=number)
        yield line if split is None else dict(line, split=split)


def segment_ids(path: Path, where: str) -> np.ndarray:
    """Ids of the segments in a panoptic PNG.

    Args:
        path (Path): The file.
        where (str): The entry that names it, for the message.

    Returns:
        np.ndarray: ``H x W``, int32, 0 where there is no segment.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is damaged, or no image of three channels.
    """
    pixels = read_pixels(path, where, 'RGB').astype(np.int32)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]
