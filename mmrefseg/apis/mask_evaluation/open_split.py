# Licensed under the Apache License, Version 2.0.
"""A split of a dataset from paths, without a config."""

import os.path as osp
import re
from collections.abc import Sequence
from typing import Any

from mmrefseg.datasets import (BaseRefDataset, GRefCOCODataset,
                               JSONLinesRefDataset, RRefCOCODataset)
from mmrefseg.datasets.refer_files import (find_image_folder, find_refs_file,
                                           list_refs_files, read_instances)

# Files of a folder, which one names where the folder is asked for.
_PART_OF_A_SET = r'instances\.json|g?refs\(.+\)\.json|.+\.(p|pkl|pickle)'


def open_split(annotations: str,
               *,
               split: Sequence[str] | None = None,
               split_by: str | None = None,
               images: str | None = None,
               masks: str | None = None,
               extra_fields: Sequence[str] = ('kind', )) -> BaseRefDataset:
    """Open the sentences of a split.

    Args:
        annotations (str): A folder with ``instances.json`` and
            ``refs(<split_by>).p`` (REFER, R-RefCOCO) or
            ``grefs(<split_by>).json`` (gRefCOCO), or a file of JSON lines.
        split (sequence[str], optional): Which; for JSON lines one, or None
            for all lines.
        split_by (str, optional): Whose split; may be missing where the
            folder has one.
        images (str, optional): Folder of the images. Defaults to the folder
            of the annotations or the first of the usual places in it and
            beside it where one of them is; for JSON lines to the folder of
            the file.
        masks (str, optional): Folder of the mask files of JSON lines.
            Defaults to the folder of the annotations.
        extra_fields (sequence[str]): Fields of the annotations to carry.

    Returns:
        BaseRefDataset: Without a pipeline. Sentences without text are left
        out with a warning that names them; nothing can be predicted there.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: An argument is missing, or see the dataset.
    """
    if not osp.exists(annotations):
        raise FileNotFoundError(
            f'{annotations} does not exist: give a folder with instances.json '
            'and refs(...).p or grefs(...).json, or a file of JSON lines.')
    if osp.isdir(annotations):
        return _open_folder(annotations, split, split_by, images, extra_fields)
    folder = osp.dirname(annotations)
    if re.fullmatch(_PART_OF_A_SET, osp.basename(annotations)):
        raise ValueError(f'{annotations} is one file of a set: give the '
                         f'folder, {folder or "."}.')
    if split and len(split) > 1:
        raise ValueError('Of JSON lines one split is taken at a time, '
                         f'not {", ".join(split)}.')
    return _open(
        JSONLinesRefDataset,
        ann_file=annotations,
        split=split[0] if split else None,
        data_prefix=dict(
            img_path=folder if images is None else images,
            mask_path=folder if masks is None else masks),
        extra_fields=extra_fields)


def _open_folder(folder: str, split: Sequence[str] | None,
                 split_by: str | None, images: str | None,
                 extra_fields: Sequence[str]) -> BaseRefDataset:
    """A split of a folder in the layout of REFER or gRefCOCO."""
    kind: type[BaseRefDataset] = GRefCOCODataset
    if not list_refs_files(folder, GRefCOCODataset.refs_names):
        kind = RRefCOCODataset  # of which REFER's own layout is a part
    found = list_refs_files(folder, kind.refs_names)
    ann_file = osp.join(folder, 'instances.json')
    if not found:
        raise FileNotFoundError(
            f'{folder} has neither refs(...).p nor grefs(...).json: give the '
            'folder of the annotations.')
    if split_by is None:
        if len(found) > 1:
            raise ValueError(f'{folder} has {", ".join(found)}: say with '
                             '--split-by whose split to take.')
        split_by = found[0].split('(')[1].split(')')[0]
    find_refs_file(folder, split_by, names=kind.refs_names)
    if not osp.exists(ann_file):
        raise FileNotFoundError(f'{folder} has no instances.json: it must be '
                                'beside the refs file, see docs/data.md.')
    if not split:
        raise ValueError(f'Say with --split which split of {folder} to take, '
                         'such as val.')
    return _open(
        kind,
        ann_file=ann_file,
        data_prefix=dict(
            img_path=_find_images(folder) if images is None else images),
        split=split,
        split_by=split_by,
        empty_sentences='skip',
        extra_fields=extra_fields)


def _find_images(folder: str) -> str:
    """Where the images of a folder of annotations are."""
    records, _, _ = read_instances(osp.join(folder, 'instances.json'), ())
    names = [x['file_name'] for x in records]
    if any(osp.exists(osp.join(folder, name)) for name in names):
        return folder
    return find_image_folder(folder, names) or folder


def _open(kind: type[BaseRefDataset], **kwargs: Any) -> BaseRefDataset:
    """A dataset whose annotations are there."""
    try:
        return kind(**kwargs)
    except FileNotFoundError as error:
        # an image is not; what is said on of configs does not help here
        what = str(error).partition(': set data_root')[0]
        raise FileNotFoundError(f'{what}: say with --images where the images '
                                'are.') from None
