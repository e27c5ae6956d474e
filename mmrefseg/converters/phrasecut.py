# Licensed under the Apache License, Version 2.0.
"""PhraseCut: phrases about regions of Visual Genome's images.

Layout (README and loader of github.com/ChenyunWu/PhraseCutDataset; Wu et al.,
"PhraseCut: Language-based Image Segmentation in the Wild", CVPR 2020):
``refer_<split>.json`` is a list of ``{"task_id", "image_id", "ann_ids",
"instance_boxes", "Polygons", "phrase", "phrase_structure"}``, where
``Polygons`` holds for each instance a list of polygons, and a polygon is a
list of points ``[x, y]``. An image is ``<image_id>.jpg``; sizes are in
``image_data_split3000.json``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmrefseg.datasets.field_checks import as_length, id_key, show
from mmrefseg.fileio.run_lengths import encode_run_lengths
from .source import Source, entries, id_of, read_json, text_of
from .writer import Skipped

Polygon = list[list[float]]


def read_phrasecut(source: Source,
                   *,
                   split: str | None = None,
                   image_data: str | None = None,
                   draw: str = 'coco') -> Iterator[dict | Skipped]:
    """The lines of a ``refer_<split>.json``.

    Args:
        source (Source): The JSON file.
        split (str, optional): Written in every line. Defaults to None: as
            the file is called.
        image_data (str, optional): File of the images' sizes, which are
            written where it is given.
        draw (str): 'coco': polygons are written, to be drawn as those of
            COCO. 'phrasecut': run lengths of what PhraseCut's own code
            draws, which cuts coordinates to whole pixels and adds the
            outline; needs ``image_data``. Defaults to 'coco'.

    Yields:
        dict or Skipped: The mask is all instances together; ``ref_id`` and
        ``sent_id`` are the ``task_id``.

    Raises:
        FileNotFoundError: ``image_data`` does not exist.
        ValueError: An entry is not of this form, or its image is not in
            ``image_data``.
    """
    if draw == 'phrasecut' and image_data is None:
        raise ValueError('--draw phrasecut needs the sizes of the images: '
                         'give --image-data image_data_split3000.json.')
    sizes = None if image_data is None else _sizes(Path(image_data))
    if split is None:
        named = re.fullmatch(r'refer_(\w+)', source.path.stem)
        split = named[1] if named else None
    for number, row in enumerate(entries(source.json(), None, source)):
        where = f'{source}: entry {number}'
        task, image_id = (id_of(row, x, where) for x in ('task_id',
                                                         'image_id'))
        where += f' (task_id {task})'
        polygons = _polygons(row, where)
        line: dict[str, Any] = dict(
            where=where,
            image=f'{image_id}.jpg',
            text=text_of(row, 'phrase', where),
            image_id=image_id,
            ref_id=task,
            sent_id=task)
        if split is not None:
            line['split'] = split
        if isinstance(row.get('ann_ids'), list):
            line['ann_ids'] = row['ann_ids']
        if sizes is not None:
            if id_key(image_id) not in sizes:
                raise ValueError(f'{where}: image {image_id} is not in '
                                 f'{image_data}: it is of another version.')
            line['height'], line['width'] = sizes[id_key(image_id)]
        if draw == 'phrasecut':
            mask = draw_as_phrasecut(polygons, line['height'], line['width'])
            line['segmentation'] = encode_run_lengths(mask)
            empty = not mask.any()
        else:
            line['segmentation'] = [[x for point in polygon for x in point]
                                    for polygon in polygons
                                    if len(polygon) > 2]
            empty = not line['segmentation']
        yield Skipped('no polygon has an area', where) if empty else line


def draw_as_phrasecut(polygons: list[Polygon], height: int,
                      width: int) -> np.ndarray:
    """The union of some polygons, drawn as PhraseCut's evaluation does.

    Args:
        polygons (list): Each a list of points ``[x, y]`` in pixels, at least
            two of which are needed.
        height (int): Of the image, pixels.
        width (int): Of the image, pixels.

    Returns:
        np.ndarray: ``height x width``, bool.
    """
    mask = Image.new('L', (width, height), 0)
    for polygon in polygons:
        if len(polygon) > 1:
            points = [(int(x), int(y)) for x, y in polygon]
            ImageDraw.Draw(mask).polygon(points, outline=1, fill=1)
    return np.asarray(mask) > 0


def _polygons(row: dict, where: str) -> list[Polygon]:
    """All polygons of all instances."""
    found = row.get('Polygons')
    if not isinstance(found, list) or not all(
            isinstance(x, list) for x in found):
        raise ValueError(f'{where} has no list "Polygons" of instances, but '
                         f'{show(found)}.')
    polygons = [polygon for instance in found for polygon in instance]
    for polygon in polygons:
        try:
            points = np.asarray(polygon, dtype=np.float64)
        except (TypeError, ValueError):
            points = np.zeros(0)
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(
                points).all():
            raise ValueError(f'{where}: a polygon is {show(polygon)}, not a '
                             'list of points [x, y].')
    return polygons


def _sizes(path: Path) -> dict[Any, tuple[int, int]]:
    """Height and width by image id."""
    sizes = {}
    for number, row in enumerate(entries(read_json(path), None, path)):
        where = f'{path}: entry {number}'
        height, width = (as_length(row.get(x)) for x in ('height', 'width'))
        if height is None or width is None:
            raise ValueError(f'{where} has no "height" and "width".')
        sizes[id_key(id_of(row, 'image_id', where))] = height, width
    return sizes
