# Licensed under the Apache License, Version 2.0.
"""Check of JSON lines: sentences, images, masks."""

import os.path as osp
from typing import Any

from mmrefseg.datasets.jsonl_refs import JSONLinesRefDataset, parse_line
from mmrefseg.datasets.refer_files import IMAGE_FOLDERS, find_image, read_file
from mmrefseg.datasets.transforms import LoadRefImage
from mmrefseg.fileio.images import read_size
from mmrefseg.fileio.mask_images import read_mask
from .mask_faults import find_mask_faults
from .refer_check import RefsReport, quiet
from .refer_counts import SplitCount

NO_SPLIT = '(none)'
_PLACES = ('', 'imgs', '..', *IMAGE_FOLDERS)
_MASK_PLACES = ('', 'masks', '../masks')


def check_lines(path: str,
                *,
                images: str | None = None,
                read_images: bool = False) -> list[RefsReport]:
    """Check a file for :class:`~mmrefseg.datasets.JSONLinesRefDataset`.

    Args:
        path (str): The file.
        images (str, optional): Folder of the images. Defaults to None: the
            first of the usual places where one of them is.
        read_images (bool): Read every image, instead of only looking whether
            it is there and how large it says to be. Defaults to False.

    Returns:
        list[RefsReport]: One. Faults never raise.
    """
    report = RefsReport(path)
    try:
        content = read_file(path)
    except OSError as error:
        report.add('missing file', str(error))
        return [report]
    records = []
    for number, line in enumerate(content.split(b'\n'), 1):
        if line.strip():
            try:
                records.append(parse_line(line, f'{path}:{number}'))
            except ValueError as error:
                report.add('unusable line', str(error))
    if not records:
        report.add('unusable file', f'{path} has no sentence.')
        return [report]
    report.counts = _count(records)
    place, sizes = _check_images(report, records, path, images, read_images)
    _check_masks(report, records, path, sizes)
    if not report.faults:
        try:
            with quiet():
                JSONLinesRefDataset(
                    ann_file=osp.abspath(path),
                    data_prefix=dict(img_path=osp.abspath(place or '')),
                    serialize_data=False)
        except Exception as error:  # a fault, whatever it is
            report.add('cannot be loaded', str(error))
    return [report]


def _count(records: list[dict]) -> dict[str, SplitCount]:
    parts: dict[str, tuple[set, list, set]] = {}
    for record in records:
        refs, sentences, images = parts.setdefault(
            str(record.get('split', NO_SPLIT)), (set(), [], set()))
        refs.add(record.get('ref_id') or _object_of(record))
        sentences.append(record['text'])
        images.add(record['image'])
    return {
        split: SplitCount(len(refs), len(sentences), len(images))
        for split, (refs, sentences, images) in parts.items()
    }


def _object_of(record: dict) -> Any:
    """What tells the objects of a file from each other."""
    if record.get('no_target'):
        return id(record)
    return (record['image'], record.get('mask'),
            repr(record.get('segmentation')))


def _check_images(report: RefsReport, records: list[dict], path: str,
                  place: str | None,
                  read: bool) -> tuple[str | None, dict]:
    """Looks at them; gives their folder and their sizes."""
    sizes: dict[str, tuple[int, int]] = {}
    names = {x['image']: x for x in reversed(records)}
    if place is None:
        for each in _PLACES:
            folder = osp.normpath(osp.join(osp.dirname(path), each))
            if any(find_image(osp.join(folder, x))
                   for x in list(names)[:1000]):
                place = folder
                break
        else:
            report.add(
                'missing file', f'None of the images was found near {path}: '
                'say where they are with --images.')
            return None, sizes
    load = LoadRefImage()
    for name, record in names.items():
        split = record.get('split')
        image = find_image(osp.join(place, name))
        if image is None:
            report.add('missing image',
                       f'Image {osp.join(place, name)} does not exist.', split)
            continue
        try:
            if read:
                size = tuple(load(dict(img_path=image))['ori_shape'])
            else:
                with open(image, 'rb') as file:
                    size = read_size(file.read())
        except (ValueError, OSError) as error:
            report.add('unreadable image', str(error), split)
            continue
        if size is None:
            report.add('unreadable image', f'Image {image} is not an image.',
                       split)
        else:
            sizes[name] = size
    _compare_sizes(report, records, sizes)
    return place, sizes


def _compare_sizes(report: RefsReport, records: list[dict],
                   sizes: dict[str, tuple[int, int]]) -> None:
    """Each size that a line states with that of the file."""
    seen = set()
    for record in records:
        name, size = record['image'], sizes.get(record['image'])
        stated = record.get('height'), record.get('width')
        if None in stated or size in (None, stated) or (name, stated) in seen:
            continue
        seen.add((name, stated))
        report.add(
            'image of another size',
            f'Image {name} is {size[0]} x {size[1]} (height x width), but '
            f'annotated as {stated[0]} x {stated[1]}: use the images that '
            'were annotated, or load with size_mismatch="resize".',
            record.get('split'))


def _check_masks(report: RefsReport, records: list[dict], path: str,
                 sizes: dict[str, tuple[int, int]]) -> None:
    seen = set()
    for record in records:
        key = _object_of(record)
        if record.get('no_target') or key in seen:
            continue
        seen.add(key)
        split = record.get('split')
        where = f'The mask of "{record["text"]}" in {record["image"]}'
        if 'mask' in record:
            _check_mask_file(report, record, path, where)
            continue
        size = record.get('height'), record.get('width')
        if None in size:
            size = sizes.get(record['image'], size)
        if None in size:
            continue  # the image is missing, which is said above
        for fault in find_mask_faults(record['segmentation'], *size):
            report.add(fault.kind, f'{where}: {fault.what}.', split,
                       fault.harmless)


def _check_mask_file(report: RefsReport, record: dict, path: str,
                     where: str) -> None:
    split = record.get('split')
    files = [
        osp.normpath(osp.join(osp.dirname(path), x, record['mask']))
        for x in _MASK_PLACES
    ]
    found = next(filter(osp.isfile, files), None)
    if found is None:
        report.add('missing mask file',
                   f'{where}: {" or ".join(files)} does not exist.', split)
        return
    try:
        with open(found, 'rb') as file:
            mask = read_mask(
                file.read(),
                value=record.get('mask_value'),
                threshold=record.get('mask_threshold'))
    except ValueError as error:
        report.add('unusable mask file', f'{where}: {found} {error}.', split)
        return
    if not mask.any():
        report.add('empty mask', f'{where}: {found} is black.', split)
