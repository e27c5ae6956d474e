# Licensed under the Apache License, Version 2.0.
"""Check of a set in the layout of REFER, gRefCOCO or R-RefCOCO."""

import logging
import os
import os.path as osp
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mmrefseg.datasets.annotation_store import AnnotationStore
from mmrefseg.datasets.field_checks import id_key, is_note
from mmrefseg.datasets.grefcoco import GRefCOCODataset
from mmrefseg.datasets.refcoco import RefCOCODataset
from mmrefseg.datasets.refer_files import (ALL_NAMES, IMAGE_FOLDERS,
                                           annotations_of, find_image,
                                           find_image_folder, list_refs_files,
                                           load_refs, read_instances)
from mmrefseg.datasets.rrefcoco import RRefCOCODataset
from mmrefseg.datasets.transforms import LoadRefImage
from .mask_faults import find_mask_faults
from .ref_faults import Fault, find_ref_faults, repeated
from .refer_counts import (SplitCount, count_splits, differs, known_counts,
                           split_by_of)

# Faults of a ref for which no split of its file is loaded.
_REFUSED_WHOLE = ('several or no annotations', 'duplicate ref_id')


@dataclass
class RefsReport:
    """What was found about one refs file.

    Attributes:
        path (str): The file, or its folder where there is none.
        counts (dict[str, SplitCount]): What is there, by split.
        known (dict[str, SplitCount]): What the public file has.
        faults (list[Fault]): All faults, harmless ones included.
    """
    path: str
    counts: dict[str, SplitCount] = field(default_factory=dict)
    known: dict[str, SplitCount] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def is_whole(self, strict: bool = False) -> bool:
        """Whether there is no fault; with ``strict`` no harmless one."""
        return not any(strict or not x.harmless for x in self.faults)

    def add(self, kind: str, what: str, split: str | None = None,
            harmless: bool = False) -> None:
        """Note a fault."""
        self.faults.append(Fault(kind, what, split, harmless))


def check_folder(folder: str,
                 *,
                 images: str | None = None,
                 split_by: str | None = None,
                 read_images: bool = False,
                 sentence_field: str = 'raw') -> list[RefsReport]:
    """Check a folder of annotations and its images.

    Args:
        folder (str): With ``instances.json`` and refs files.
        images (str, optional): Folder of the images. Defaults to None: the
            first of the usual places where one of them is.
        split_by (str, optional): Check this refs file alone.
        read_images (bool): Read every image that is spoken of, instead of
            only looking whether it is there. Defaults to False.
        sentence_field (str): Where the sentences are, 'raw' or 'sent', see
            :class:`RefCOCODataset`. Defaults to 'raw'.

    Returns:
        list[RefsReport]: One for each refs file. Faults never raise.
    """
    if not osp.isdir(folder):
        report = RefsReport(folder)
        report.add(
            'missing folder', f'{folder} is a file, not a folder: give the '
            'folder of instances.json.' if osp.exists(folder) else
            f'{folder} does not exist: give the folder of instances.json.')
        return [report]
    names = list_refs_files(folder, ALL_NAMES)
    if split_by is not None:
        wanted = {name.format(split_by) for name in ALL_NAMES}
        names = [x for x in names if x in wanted]
    if not names:
        report = RefsReport(folder)
        report.add(
            'missing file', f'{folder} has no refs file '
            f'({", ".join(x.format(split_by or "...") for x in ALL_NAMES)}): '
            'see docs/data.md for where the files are found.')
        return [report]
    return [
        _check_refs_file(folder, name, images, read_images, sentence_field)
        for name in names
    ]


def _check_refs_file(folder: str, name: str, images: str | None,
                     read_images: bool, sentence_field: str) -> RefsReport:
    path = osp.join(folder, name)
    report = RefsReport(path)
    try:
        # Each ref by itself; what they are together is looked at below.
        refs = load_refs(path, many=True)
    except (ValueError, OSError) as error:
        report.add('unusable file', str(error))
        return report
    report.counts = count_splits(refs)
    _compare_counts(report, folder, name)
    kind = _dataset_type(folder, name, refs)
    report.faults += find_ref_faults(
        refs,
        path,
        general=kind is GRefCOCODataset,
        absent=kind is RRefCOCODataset,
        sentence_field=sentence_field)

    ann_file = osp.join(folder, 'instances.json')
    ids_of = [annotations_of(ref, path) for ref in refs]
    try:
        records, kept, all_ids = read_instances(
            ann_file, {x
                       for ids in ids_of
                       for x in ids})
    except FileNotFoundError as error:
        report.add('missing file', str(error))
        return report
    except (ValueError, OSError) as error:
        report.add('unusable file', str(error))
        return report
    for what, ids in (('image', [x['id'] for x in records]),
                      ('annotation', all_ids)):
        for twice in repeated(ids):
            report.add(f'duplicate {what} id',
                       f'{ann_file} has {what} {twice} twice.')
    found_images = {id_key(x['id']): x for x in records}
    annotations = {id_key(x['id']): x for x in kept}
    _check_masks(report, refs, ids_of, found_images, annotations, ann_file)
    place = _check_images(report, refs, found_images, folder, images,
                          read_images)
    _load_splits(
        report,
        kind,
        split_file=osp.abspath(path),
        ann_file=osp.abspath(ann_file),
        data_prefix=dict(img_path=place or ''),
        sentence_field=sentence_field)
    return report


def _dataset_type(folder: str, name: str,
                  refs: Sequence[dict]) -> type[RefCOCODataset]:
    """Which dataset a refs file is made for."""
    if name.startswith('grefs'):
        return GRefCOCODataset
    says_exist = any('exist' in x for ref in refs for x in ref['sentences'])
    if says_exist or name.endswith('.json') or osp.basename(
            osp.abspath(folder)).lower().startswith('rref'):
        return RRefCOCODataset
    return RefCOCODataset


def _load_splits(report: RefsReport, kind: type[RefCOCODataset],
                 **kwargs: Any) -> None:
    """What the dataset itself says, where nothing else was found: so what is
    well here can be loaded."""
    faults = [x for x in report.faults if not x.harmless]
    known = {x.split for x in faults}
    if None in known or any(x.kind in _REFUSED_WHOLE for x in faults):
        return
    if kind is GRefCOCODataset:  # as its configs have it
        kwargs.update(empty_sentences='skip')
    refusals: dict[str, list[str]] = {}
    for split in report.counts:
        if split in known:
            continue
        try:
            with quiet():
                # read once, so not worth to be packed
                kind(split=split, serialize_data=False, **kwargs)
        except Exception as error:  # a fault, whatever it is
            refusals.setdefault(str(error), []).append(split)
    for refusal, splits in refusals.items():
        whole = len(splits) == len(report.counts) > 1
        for part in [None] if whole else splits:
            report.add('cannot be loaded',
                       f'{kind.__name__} refuses it: {refusal}', part)


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings, which would stand amid the report."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _compare_counts(report: RefsReport, folder: str, name: str) -> None:
    report.known = known_counts(folder, split_by_of(name))
    for split, right in report.known.items():
        count = report.counts.get(split, SplitCount(0, 0, 0))
        if differs(count, right):
            report.add(
                'other counts than published',
                f'{report.path} is not the public file, or damaged: split '
                f'{split} has {_words(count)}, published are '
                f'{_words(right)}.', split)


def _words(count: SplitCount) -> str:
    names = ('refs', 'sentences', 'images')
    return ', '.join(f'{n} {name}' for n, name in zip(count, names)
                     if n is not None)


def _check_masks(report: RefsReport, refs: Sequence[dict],
                 ids_of: Sequence[tuple], images: dict[Any, dict],
                 annotations: dict[Any, dict], ann_file: str) -> None:
    checked = set()
    for ref, ids in zip(refs, ids_of):
        where, split = f'Ref {ref["ref_id"]}', ref['split']
        image = images.get(id_key(ref['image_id']))
        if image is None:
            report.add(
                'missing image record', f'{where} speaks of image '
                f'{ref["image_id"]}, which {ann_file} does not have.', split)
        for ann_id in ids:
            ann = annotations.get(id_key(ann_id))
            if ann is None:
                report.add(
                    'missing annotation', f'{where} speaks of annotation '
                    f'{ann_id}, which {ann_file} does not have.', split)
                continue
            lies_in = ann.get('image_id', ref['image_id'])
            if id_key(lies_in) != id_key(ref['image_id']):
                report.add(
                    'annotation of another image', f'{where} speaks of image '
                    f'{ref["image_id"]}, but its annotation {ann_id} lies in '
                    f'image {lies_in}.', split)
            elif image is not None and (ann_id, split) not in checked:
                checked.add((ann_id, split))
                _check_mask(report, ann, image, where, split)


def _check_mask(report: RefsReport, ann: dict, image: dict, where: str,
                split: str) -> None:
    where = f'Annotation {ann["id"]} of {where[:1].lower()}{where[1:]}'
    if 'segmentation' not in ann:
        report.add('annotation without a mask',
                   f'{where} has no "segmentation".', split)
        return
    if not is_note(ann.get('category_id')):
        report.add(
            'category_id that is no number', f'{where} has a '
            f'{type(ann["category_id"]).__name__} as category_id.', split)
    segmentation = AnnotationStore([ann['segmentation']])[0]
    for fault in find_mask_faults(segmentation, image['height'],
                                  image['width']):
        report.add(fault.kind, f'{where}: {fault.what}.', split,
                   fault.harmless)


def _check_images(report: RefsReport, refs: Sequence[dict],
                  images: dict[Any, dict], folder: str, place: str | None,
                  read: bool) -> str | None:
    """Looks at them, and gives the folder where they are."""
    spoken_of = {  # and by a ref of which split
        id_key(ref['image_id']): ref['split']
        for ref in reversed(refs) if id_key(ref['image_id']) in images
    }
    names = [images[i]['file_name'] for i in spoken_of]
    if place is None:
        place = find_image_folder(folder, names[:1000])
    if place is None:
        report.add(
            'missing file', f'None of the images was found near {folder} '
            f'({", ".join(IMAGE_FOLDERS)}): say where they are with '
            '--images.')
        return None
    load = LoadRefImage()
    for image_id, split in spoken_of.items():
        record = images[image_id]
        path = osp.join(place, record['file_name'])
        path = find_image(path) or path
        if not osp.isfile(path):
            report.add('missing image', f'Image {path} does not exist.', split)
        elif not os.path.getsize(path):
            report.add('unreadable image', f'Image {path} is empty (0 bytes).',
                       split)
        elif read:
            try:
                size = load(dict(img_path=path))['ori_shape']
            except (ValueError, OSError) as error:
                report.add('unreadable image', str(error), split)
                continue
            height, width = record['height'], record['width']
            if tuple(size) != (height, width):
                report.add(
                    'image of another size',
                    f'Image {path} is {size[0]} x {size[1]} (height x width), '
                    f'but annotated as {height} x {width}: use the images '
                    'that were annotated, or load with '
                    'size_mismatch="resize".', split)
    return place
