# Licensed under the Apache License, Version 2.0.
"""A split of a dataset from paths, without a config."""

import os.path as osp
from typing import Optional, Sequence

from mmrefseg.datasets import (BaseRefDataset, GRefCOCODataset,
                               JSONLinesRefDataset, RRefCOCODataset)
from mmrefseg.datasets.refer_files import list_refs_files


def open_split(annotations: str,
               *,
               split: Optional[Sequence[str]] = None,
               split_by: Optional[str] = None,
               images: Optional[str] = None,
               masks: Optional[str] = None,
               extra_fields: Sequence[str] = ('kind', )) -> BaseRefDataset:
    """Open the sentences of a split.

    Args:
        annotations (str): A folder with ``instances.json`` and
            ``refs(<split_by>).p`` (REFER, R-RefCOCO) or
            ``grefs(<split_by>).json`` (gRefCOCO), or a file of JSON lines.
        split (sequence[str], optional): Which; for JSON lines one, or None
            for all lines.
        split_by (str, optional): Whose split; may be left away where the
            folder has one.
        images (str, optional): Folder of the images. Defaults to the folder
            of the annotations.
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
    if not osp.isdir(annotations):
        if split and len(split) > 1:
            raise ValueError('Of JSON lines one split is taken at a time, '
                             f'not {", ".join(split)}.')
        folder = osp.dirname(annotations)
        return JSONLinesRefDataset(
            ann_file=annotations,
            split=split[0] if split else None,
            data_prefix=dict(
                img_path=folder if images is None else images,
                mask_path=folder if masks is None else masks),
            extra_fields=extra_fields)
    kind = GRefCOCODataset
    if not list_refs_files(annotations, GRefCOCODataset.refs_names):
        kind = RRefCOCODataset  # of which REFER's own layout is a part
    if split_by is None:
        found = list_refs_files(annotations, kind.refs_names)
        if len(found) != 1:
            raise ValueError(
                f'{annotations} has {", ".join(found) or "no refs file"}: '
                'say by split_by whose split to take.')
        split_by = found[0].split('(')[1].split(')')[0]
    if not split:
        raise ValueError(f'Say which split of {annotations} to take, such as '
                         'val.')
    return kind(
        ann_file=osp.join(annotations, 'instances.json'),
        data_prefix=dict(img_path=annotations if images is None else images),
        split=split,
        split_by=split_by,
        empty_sentences='skip',
        extra_fields=extra_fields)
