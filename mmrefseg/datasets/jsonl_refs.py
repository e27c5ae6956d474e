# Licensed under the Apache License, Version 2.0.
"""One's own data: a text file with one sentence per line."""

import json
import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmrefseg.fileio.mask_images import check_choice
from mmrefseg.registry import DATASETS
from mmrefseg.structures import find_text_fault
from .annotation_store import AnnotationStore
from .field_checks import as_length, is_file_name, is_id, is_note, is_truth
from .ref_dataset import BaseRefDataset
from .refer_files import read_file


@DATASETS.register_module()
class JSONLinesRefDataset(BaseRefDataset):
    """Referring expressions from JSON lines.

    Each line is one sentence::

        {"image": "a.jpg", "text": "the left cup", "mask": "a_cup.png"}
        {"image": "b.jpg", "text": "a red car",
         "segmentation": [[x0, y0, x1, y1, ...]]}

    ``image`` is relative to ``data_prefix.img_path``. The object is either
    ``mask``, the path of a PNG that is not black on it (relative to
    ``data_prefix.mask_path``), or ``segmentation`` in COCO's format, polygons
    or run lengths. A mask file with several values needs ``mask_value`` or
    ``mask_threshold``, which say what the object is, see
    :func:`~mmrefseg.fileio.mask_images.read_mask`. A line with
    ``"no_target": true`` and neither of the two says that nothing in the image
    fits; every item of such a file has ``no_target``. Optional are ``ref_id``
    (the same in all lines about one object; lines with the same image and the
    same segmentation or mask are one object without it), ``sent_id``,
    ``image_id``, ``split``, ``height`` with ``width``, and any of
    ``extra_fields``.

    Args:
        ann_file (str): The text file, UTF-8.
        split (str, optional): Use only lines whose ``split`` is this.
            Defaults to None: all lines.
        data_root (str): Folder that relative paths start from.
        data_prefix (dict): Folders of images (``img_path``) and masks
            (``mask_path``). Defaults to ``data_root`` itself.
        extra_fields (Sequence[str]): Fields to carry in the items where
            present.
        mask_value (int or str, optional): Of the lines that do not say it.
        mask_threshold (float, optional): Of the lines that do not say it.
        others: See :class:`BaseRefDataset`.

    Raises:
        FileNotFoundError: The file or the first image is missing.
        ValueError: A line is not of this form (the message begins with file
            and line), or the split is empty.

    Example:
        >>> import json, tempfile
        >>> from mmrefseg.datasets import JSONLinesRefDataset
        >>> folder = tempfile.mkdtemp()
        >>> line = dict(image='a.jpg', text='the cup', mask='a.png')
        >>> with open(f'{folder}/val.jsonl', 'w') as file:
        ...     json.dump(line, file)
        >>> open(f'{folder}/a.jpg', 'w').close()
        >>> dataset = JSONLinesRefDataset(
        ...     ann_file='val.jsonl', data_root=folder)
        >>> dataset.get_data_info(0)['text'], dataset.get_ref_groups()
        ('the cup', [array([0])])
    """

    def __init__(self,
                 *,
                 ann_file: str,
                 split: str | None = None,
                 data_root: str = '',
                 data_prefix: Mapping[str, str] = dict(
                     img_path='', mask_path=''),
                 extra_fields: Sequence[str] = ('kind', ),
                 mask_value: int | str | None = None,
                 mask_threshold: float | None = None,
                 check_images: bool = False,
                 missing_images: str = 'error',
                 size_mismatch: str = 'error',
                 allow_moving_transforms: bool = False,
                 pipeline: Sequence = (),
                 metainfo: Mapping | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True,
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 backend_args: dict | None = None) -> None:
        self.split = split
        check_choice(mask_value, mask_threshold)
        self.choice = dict(
            mask_value=mask_value, mask_threshold=mask_threshold)
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=pipeline,
            extra_fields=extra_fields,
            check_images=check_images,
            missing_images=missing_images,
            size_mismatch=size_mismatch,
            allow_moving_transforms=allow_moving_transforms,
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            test_mode=test_mode,
            lazy_init=lazy_init,
            backend_args=backend_args)

    def load_data_list(self) -> list[dict]:
        """Read the file.

        Returns:
            list[dict]: Items in the order of the lines.
        """
        data_list: list[dict] = []
        splits: dict[Any, int] = {}
        masks: dict[tuple, int] = {}
        refs: dict[Any, tuple[int, str, int]] = {}
        for number, line in self._lines():
            where = f'{self.ann_file}:{number}'
            record = self._parse_line(line, where)
            split = record.get('split')
            splits[split] = splits.get(split, 0) + 1
            if self.split is not None and split != self.split:
                continue
            choice = self._choice_of(record, where)
            mask = self._mask_of(record, where), *choice.items()
            absent = record.get('no_target', False)
            mask_number = -1 if absent else masks.setdefault(mask, len(masks))
            image = record['image']
            ref_id = record.get('ref_id')
            # Without a ref_id, the object itself says which ref it is.
            key = ('id', ref_id) if ref_id is not None else (
                number if absent else (image, mask))
            first = refs.setdefault(key, (number, image, mask_number))
            if first[1:] != (image, mask_number):
                raise ValueError(
                    f'{where}: ref_id {ref_id} has another image or another '
                    f'mask than in line {first[0]}: one ref_id is one object '
                    'in one image.')
            data_list.append(
                self._make_item(
                    mask=() if absent else (mask_number, ),
                    group=first[0],
                    no_target=bool(absent),
                    **choice,
                    **self._fields_of(record, number, first[0])))
        if not data_list:
            listed = ', '.join(f'{x} ({n} lines)' for x, n in splits.items())
            raise ValueError(
                f'{self.ann_file} has no sentence' +
                ('' if self.split is None else
                 f' of split {self.split!r}; there are: {listed or "none"}') +
                '.')
        if not any(item['no_target'] for item in data_list):
            for item in data_list:
                del item['no_target']
        data_list = self._find_images(data_list)
        self._set_masks([mask for mask, *_ in masks])
        return data_list

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Number, from 1, and content of each line that is not blank."""
        content = read_file(self.ann_file, self.backend_args)
        content = content.removeprefix(b'\xef\xbb\xbf')  # byte order mark
        for number, line in enumerate(content.split(b'\n'), 1):
            if line.strip():
                yield number, line

    def _parse_line(self, line: bytes, where: str) -> dict:
        record = parse_line(line, where)
        for key in self.extra_fields:
            if not is_note(record.get(key)):
                raise ValueError(f'{where}: "{key}" cannot be carried along: '
                                 'give a text or a number.')
        return record

    def _choice_of(self, record: dict, where: str) -> dict[str, Any]:
        """What of a mask file is the object, as far as it is said."""
        own = {key: record[key] for key in self.choice if key in record}
        if own and 'mask' not in record:
            raise ValueError(f'{where}: "{min(own)}" is for mask files, but '
                             'the line has a "segmentation".')
        try:
            check_choice(own.get('mask_value'), own.get('mask_threshold'))
        except ValueError as error:
            raise ValueError(f'{where}: {error}.') from None
        choice = own or (self.choice if 'mask' in record else {})
        return {key: x for key, x in choice.items() if x is not None}

    def _mask_of(self, record: dict, where: str) -> bytes:
        if 'mask' in record:
            path = osp.join(self.data_prefix['mask_path'], record['mask'])
            return AnnotationStore.dumps(path)
        try:
            return AnnotationStore.dumps(record.get('segmentation', []))
        except RecursionError:
            raise ValueError(f'{where}: "segmentation" is nested too '
                             'deeply.') from None

    def _fields_of(self, record: dict, number: int, first: int) -> dict:
        """What an item says to the outside; ids default to line numbers."""
        fields = dict(
            img_path=osp.join(self.data_prefix['img_path'], record['image']),
            image_id=record.get('image_id', record['image']),
            ref_id=record.get('ref_id', first),
            sent_id=record.get('sent_id', number),
            text=record['text'])
        optional = ('height', 'width', 'split', 'ann_id', 'category_id')
        for key in optional + self.extra_fields:
            if key in record:
                fields[key] = record[key]
        return fields


def parse_line(line: bytes, where: str) -> dict:
    """The record of one line, checked.

    Args:
        line (bytes): JSON.
        where (str): File and line, which an error message begins with.

    Returns:
        dict: The record.

    Raises:
        ValueError: It is none that :class:`JSONLinesRefDataset` reads.
    """
    try:
        record = json.loads(line)
    except ValueError as error:  # JSON or Unicode
        raise ValueError(f'{where}: not a line of JSON ({error}).') from None
    except RecursionError:
        raise ValueError(f'{where}: not a line of JSON (it is nested too '
                         'deeply).') from None
    if not isinstance(record, dict):
        raise ValueError(f'{where}: a line must be an object '
                         '{"image": ..., "text": ..., ...}.')
    for key in ('image', 'text'):
        if not isinstance(record.get(key), str) or not record[key].strip():
            raise ValueError(f'{where}: "{key}" is missing or empty; it must '
                             'be a string.')
    fault = find_text_fault(record['text'])
    if fault is not None:
        raise ValueError(f'{where}: "text" {fault}.')
    if not is_file_name(record['image']):
        raise ValueError(f'{where}: "image" is a name that no file can have.')
    for key in ('ref_id', 'sent_id', 'image_id', 'ann_id', 'split'):
        if not (is_id(record.get(key, 0)) or record[key] is None):
            raise ValueError(f'{where}: "{key}" must be a number or a '
                             'string.')
    if not is_note(record.get('category_id')):
        raise ValueError(f'{where}: "category_id" must be a number or a '
                         'string.')
    absent = record.get('no_target', False)
    if not is_truth(absent):
        raise ValueError(f'{where}: "no_target" must be true or false.')
    if absent and ('mask' in record or record.get('segmentation')):
        raise ValueError(f'{where}: "no_target" is true, but the line has an '
                         'object: leave out one of the two.')
    if absent:
        record.pop('segmentation', None)
    elif ('mask' in record) == ('segmentation' in record):
        raise ValueError(f'{where}: give either "mask" (path of a PNG) or '
                         '"segmentation" (polygons or run lengths).')
    if ('height' in record) != ('width' in record):
        raise ValueError(f'{where}: give both "height" and "width", or '
                         'neither.')
    for key in {'height', 'width'} & set(record):
        record[key] = as_length(record[key])
        if record[key] is None:
            raise ValueError(f'{where}: "height" and "width" must be numbers '
                             'of pixels.')
    if 'mask' in record:
        if not is_file_name(record['mask']):
            raise ValueError(f'{where}: "mask" must be the path of a PNG.')
    elif not absent:
        _check_segmentation(record['segmentation'], where)
    return record


def _check_segmentation(segmentation: Any, where: str) -> None:
    """What people write by mistake; the rest is checked when it is drawn."""
    if isinstance(segmentation, dict):
        return
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(f'{where}: "segmentation" must be polygons [[x0, y0, '
                         'x1, y1, ...], ...] or a run length object.')
    if any(not isinstance(part, (list, dict)) for part in segmentation):
        raise ValueError(f'{where}: "segmentation" is one polygon; write a '
                         'list of polygons: [[x0, y0, x1, y1, ...]].')
    if any(isinstance(value, list) for part in segmentation for value in part
           ) or all(len(part) == 2 and isinstance(part, list)
                    for part in segmentation):
        raise ValueError(f'{where}: "segmentation" holds points as pairs; '
                         'write each polygon flat: [[x0, y0, x1, y1, ...]].')
