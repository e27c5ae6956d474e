# Licensed under the Apache License, Version 2.0.
"""A set of compositions in COCO's layout, written by several processes."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmrefseg.fileio.run_lengths import encode_run_lengths
from ..coco_file import Instances
from .composer import ComposeOptions, Composer

_ANN_IDS = 1000  # of one composition


def compose_set(instances: Instances,
                images: str | Path,
                out_dir: str | Path,
                *,
                number: int,
                seed: int = 0,
                options: ComposeOptions | None = None,
                originals: bool = False,
                workers: int = 1) -> int:
    """Write compositions as ``images/*.jpg`` and ``instances.json``.

    Composition number i depends on the photos, the options, the seed and i
    alone: not on ``number`` and ``workers``.

    Args:
        instances (Instances): The photos to compose from.
        images (str | Path): Folder that their file names start from.
        out_dir (str | Path): Folder to write; new or empty.
        number (int): Of compositions.
        seed (int): At least 0.
        options (ComposeOptions, optional): What to vary.
        originals (bool): Copy the photos themselves into the set as well.
        workers (int): Processes.

    Returns:
        int: Objects in the set, crowds included.

    Raises:
        FileExistsError: The folder holds something.
        FileNotFoundError: A photo is missing.
        ValueError: A number out of range, or nothing to write.
    """
    if number < 0 or seed < 0 or workers < 1 or not (number or originals):
        raise ValueError(
            'A set needs number and seed of at least 0, at least 1 worker, '
            'and either compositions or the originals; got '
            f'number={number}, seed={seed}, workers={workers}.')
    out_dir = Path(out_dir)
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise FileExistsError(f'{out_dir} is there already and not empty: '
                              'choose another folder, or remove it first.')
    composer = Composer(instances, images, options or ComposeOptions())
    (out_dir / 'images').mkdir(parents=True, exist_ok=True)
    records: list[dict] = []
    annotations: list[dict] = []
    if originals:
        for image in instances.images:
            name = f'original_{Path(image["file_name"]).name}'
            source = Path(images) / image['file_name']
            if not source.exists():
                raise FileNotFoundError(f'There is no photo {source}.')
            shutil.copyfile(source, out_dir / 'images' / name)
            records.append(dict(image, file_name=name))
            annotations += instances.annotations[image['id']]
    first_image = _round_up(x['id'] for x in instances.images)
    first_ann = _round_up(
        x['id'] for own in instances.annotations.values() for x in own)
    jobs = [(index, seed, first_image, first_ann, str(out_dir / 'images'))
            for index in range(number)]
    for record, own in _run(composer, jobs, workers):
        records.append(record)
        annotations += own
    content = dict(
        images=records,
        annotations=annotations,
        categories=instances.categories)
    (out_dir / 'instances.json').write_text(json.dumps(content))
    return len(annotations)


def _round_up(ids: Iterator[Any]) -> int:
    """The first million beyond all ids that are numbers."""
    largest = max((x for x in ids if isinstance(x, int)), default=0)
    return (max(largest, 0) // 10**6 + 1) * 10**6


_composer: Composer | None = None


def _start(composer: Composer) -> None:
    global _composer
    _composer = composer
    cv2.setNumThreads(1)


def _run(composer: Composer, jobs: list[tuple],
         workers: int) -> Iterator[tuple[dict, list[dict]]]:
    if workers == 1 or len(jobs) < 2:
        threads = cv2.getNumThreads()
        _start(composer)
        try:
            yield from map(_write_one, jobs)
        finally:
            cv2.setNumThreads(threads)
        return
    with multiprocessing.get_context('spawn').Pool(workers, _start,
                                                   (composer, )) as pool:
        yield from pool.imap(_write_one, jobs, chunksize=8)


def _write_one(job: tuple) -> tuple[dict, list[dict]]:
    """Compose, write the image, and give its records."""
    index, seed, first_image, first_ann, folder = job
    assert _composer is not None
    image, objects, source = _composer.compose(index, seed)
    name = f'composed_{index:06d}.jpg'
    written, data = cv2.imencode(
        '.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, source['quality']])
    if not written:
        raise ValueError(f'{name} could not be encoded.')
    Path(folder, name).write_bytes(data.tobytes())
    image_id = first_image + index
    record = dict(
        id=image_id,
        file_name=name,
        width=image.shape[1],
        height=image.shape[0],
        source_id=source['id'])
    if 'license' in source:
        record['license'] = source['license']
    annotations = []
    for number, each in enumerate(objects):
        ys, xs = np.nonzero(each.mask)
        x, y = int(xs.min()), int(ys.min())
        annotations.append(
            dict(
                id=first_ann + index * _ANN_IDS + number,
                image_id=image_id,
                category_id=each.category_id,
                iscrowd=int(each.crowd),
                area=len(xs),
                bbox=[x, y, int(xs.max()) + 1 - x,
                      int(ys.max()) + 1 - y],
                segmentation=encode_run_lengths(each.mask),
                source_id=each.source))
    return record, annotations
