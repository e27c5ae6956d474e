# Licensed under the Apache License, Version 2.0.
"""RefCOCO, RefCOCO+, RefCOCOg, RefCLEF, and all else in the REFER layout."""

import logging
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log

from mmrefseg.registry import DATASETS
from mmrefseg.structures import find_text_fault
from .field_checks import id_key, is_id, is_note, show_id
from .leak_list import image_key, images_to_exclude, keep_others
from .ref_dataset import BaseRefDataset
from .refer_files import (REFS_NAMES, choose_splits, find_refs_file,
                          load_instances, load_refs)


@DATASETS.register_module()
class RefCOCODataset(BaseRefDataset):
    """Referring expressions in the layout of REFER.

    Two files: ``instances.json`` (images and masks in COCO's format) and
    ``refs(<split_by>).p`` in the same folder (which sentences speak of which
    annotation). An item is one pair of a ref and one of its sentences.

    Known choices of ``split_by``: unc and google for RefCOCO, unc for
    RefCOCO+, umd and google for RefCOCOg, unc and berkeley for RefCLEF. Any
    other is taken when its file exists.

    Args:
        split (str or Sequence[str]): Which refs: 'train', 'val', 'testA',
            ...; 'test' means every split whose name contains 'test'. Several
            splits are taken together, and each item says in ``split`` which
            it comes from.
        split_by (str, optional): Whose split, see above.
        split_file (str, optional): Instead of ``split_by``, the path of the
            refs file, relative to ``data_root`` or absolute.
        ann_file (str): Path of ``instances.json``.
        data_root (str): Folder that relative paths start from.
        data_prefix (dict): ``img_path`` is the folder of the images.
        sentence_field (str): 'raw' (as typed, what LAVT uses) or 'sent'
            (lower case without punctuation). Defaults to 'raw'.
        empty_sentences (str): What to do about sentences without text and
            refs without sentences: 'error' raises, 'skip' leaves them out
            and logs a warning that names them. Defaults to 'error'.
        exclude_images (str or Sequence[str]): Files that name images to leave
            out, relative to ``data_root`` or absolute: refs files (``.p``,
            ``.json``), of which all val and test splits count, or leak lists
            (see :mod:`~mmrefseg.datasets.leak_list`). For training on several
            sets that test on each other's images. A file that has no effect
            is a warning. Defaults to ().
        extra_fields (Sequence[str]): Fields of a sentence, or else of its
            ref, to carry in the items where present.
        others: See :class:`BaseRefDataset`.

    Raises:
        FileNotFoundError: A file or the first image is missing.
        ValueError: A file is damaged or refused, the split is empty, a
            sentence is empty, or a ref names an annotation or an image that
            ``instances.json`` does not have.

    Example:
        >>> import json, pickle, tempfile
        >>> from mmrefseg.datasets import RefCOCODataset
        >>> folder = tempfile.mkdtemp()
        >>> image = dict(id=1, file_name='a.jpg', height=40, width=60)
        >>> square = dict(id=7, segmentation=[[5, 5, 9, 5, 9, 9, 5, 9]])
        >>> ref = dict(ref_id=1, image_id=1, ann_id=7, split='val',
        ...            sentences=[dict(sent_id=0, raw='the cup')])
        >>> with open(f'{folder}/instances.json', 'w') as file:
        ...     json.dump(dict(images=[image], annotations=[square]), file)
        >>> with open(f'{folder}/refs(unc).p', 'wb') as file:
        ...     pickle.dump([ref], file)
        >>> open(f'{folder}/a.jpg', 'w').close()
        >>> dataset = RefCOCODataset(
        ...     data_root=folder, data_prefix=dict(img_path=''), split='val',
        ...     split_by='unc')
        >>> dataset.get_data_info(0)['text']
        'the cup'
    """

    # How the refs file may be called.
    refs_names: tuple[str, ...] = REFS_NAMES
    # Whether a ref may speak of several annotations, or of none.
    many_annotations = False

    def __init__(self,
                 *,
                 split: str | Sequence[str],
                 split_by: str | None = None,
                 split_file: str | None = None,
                 ann_file: str = 'instances.json',
                 data_root: str = '',
                 data_prefix: Mapping[str, str] = dict(img_path='train2014/'),
                 sentence_field: str = 'raw',
                 empty_sentences: str = 'error',
                 exclude_images: str | Sequence[str] = (),
                 extra_fields: Sequence[str] = ('kind', ),
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
        if (split_by is None) == (split_file is None):
            raise ValueError('Give exactly one of split_by (such as "unc") '
                             'and split_file (the path of a refs file).')
        if sentence_field not in ('raw', 'sent'):
            raise ValueError(f'sentence_field is {sentence_field!r}: choose '
                             '"raw" or "sent".')
        if empty_sentences not in ('error', 'skip'):
            raise ValueError(f'empty_sentences is {empty_sentences!r}: choose '
                             '"error" or "skip".')
        self.splits = (split, ) if isinstance(split, str) else tuple(split)
        self.split_by = split_by
        self.split_file = split_file
        self.sentence_field = sentence_field
        self.empty_sentences = empty_sentences
        self.exclude_images = (exclude_images, ) if isinstance(
            exclude_images, str) else tuple(exclude_images)
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
        """Read both files.

        Returns:
            list[dict]: Items in the order of the refs file.
        """
        if self.split_by is None:
            assert self.split_file is not None
            refs_file = osp.join(self.data_root, self.split_file)
        else:
            refs_file = find_refs_file(
                osp.dirname(self.ann_file), self.split_by, self.backend_args,
                self.refs_names)
        refs = load_refs(
            refs_file, self.backend_args, many=self.many_annotations)
        chosen = choose_splits([x['split'] for x in refs], self.splits,
                               refs_file)
        refs = self._exclude(refs, chosen, refs_file)
        ids_of = [self._annotation_ids(ref, refs_file) for ref in refs]
        images, annotations = load_instances(
            self.ann_file, {x
                            for ids in ids_of
                            for x in ids}, self.backend_args)

        number_of = {ann_id: i for i, ann_id in enumerate(annotations)}
        data_list, empty = [], []
        for group, (ref, ids) in enumerate(zip(refs, ids_of)):
            where = f'Ref {ref["ref_id"]} of {refs_file}'
            shared = self._parse_ref(ref, ids, images, annotations, where)
            masks = tuple(number_of[id_key(i)] for i in ids)
            if not ref['sentences']:
                empty.append(f'{where} has no sentences')
            for sentence in ref['sentences']:
                if self._is_empty(sentence):
                    sent_id = show_id(sentence.get('sent_id'))
                    empty.append(f'{where}: sentence {sent_id} is empty')
                    continue
                fields = {
                    **shared,
                    **self._parse_sentence(sentence, ref, where)
                }
                means = () if fields.get('no_target', False) else masks
                data_list.append(
                    self._make_item(mask=means, group=group, **fields))
        self._report_empty(empty, data_list)
        data_list = self._find_images(data_list)
        self._set_masks([x['segmentation'] for x in annotations.values()])
        return data_list

    def _exclude(self, refs: list[dict], chosen: set[str],
                 refs_file: str) -> list[dict]:
        """The refs of the chosen splits, but for those whose images are not
        to be seen."""
        wanted = [x for x in refs if x['split'] in chosen]
        if not self.exclude_images:
            return wanted
        own = {image_key(x['image_id']) for x in refs}
        excluded: set[str] = set()
        for path in self.exclude_images:
            path = osp.join(self.data_root, path)
            named = images_to_exclude([path], self.backend_args)
            if named and not named & own:
                print_log(
                    f'exclude_images: none of the {len(named)} images that '
                    f'{path} names (such as {min(named)}) is in {refs_file} '
                    f'(such as {min(own)}): are the ids of the same kind?',
                    logger='current',
                    level=logging.WARNING)
            excluded |= named
        kept = keep_others(wanted, excluded)
        where = f'{", ".join(self.splits)} of {refs_file}'
        if not kept:
            raise ValueError(
                f'Nothing is left of {where}: exclude_images names each of '
                'its images; exclude those of other splits than the one that '
                'is loaded.')
        left_out = len(wanted) - len(kept)
        images = {x['image_id'] for x in wanted} - {
            x['image_id']
            for x in kept
        }
        print_log(
            f'{left_out} of {len(wanted)} refs, in {len(images)} images, are '
            f'left out of {where}: exclude_images names them.'
            if left_out else f'0 of {len(wanted)} refs are left out of '
            f'{where}: exclude_images names none of their images.',
            logger='current',
            level=logging.INFO if left_out else logging.WARNING)
        return kept

    def _annotation_ids(self, ref: dict, refs_file: str) -> tuple[Any, ...]:
        """Which annotations a ref speaks of."""
        return (ref['ann_id'], )

    def _parse_ref(self, ref: dict, ids: tuple[Any, ...],
                   images: dict[Any, dict], annotations: dict[Any, dict],
                   where: str) -> dict:
        """What all sentences of a ref have in common."""
        image = images.get(id_key(ref['image_id']))
        same = ('the two files must be of the same dataset, see '
                'docs/data.md.')
        for ann_id in ids:
            if id_key(ann_id) not in annotations:
                raise ValueError(f'{where} speaks of annotation {ann_id}, '
                                 f'which {self.ann_file} does not have: '
                                 f'{same}')
        if image is None:
            raise ValueError(f'{where} speaks of image {ref["image_id"]}, '
                             f'which {self.ann_file} does not have: {same}')
        for ann_id in ids:
            lies_in = annotations[id_key(ann_id)].get(
                'image_id', ref['image_id'])
            if id_key(lies_in) != id_key(ref['image_id']):
                raise ValueError(
                    f'{where} speaks of image {ref["image_id"]}, but its '
                    f'annotation {ann_id} lies in image {lies_in}: {same}')
        shared = dict(
            img_path=osp.join(self.data_prefix['img_path'],
                              image['file_name']),
            height=image['height'],
            width=image['width'],
            image_id=ref['image_id'],
            ref_id=ref['ref_id'],
            ann_id=ref['ann_id'],
            split=ref['split'])
        category = ref.get('category_id')
        if category is None and ids:
            category = annotations[id_key(ids[0])].get('category_id')
        if not is_note(category):
            raise ValueError(f'{where} has a {type(category).__name__} as '
                             'category_id, where a number is expected: '
                             'correct the file.')
        if category is not None:
            shared['category_id'] = category
        return shared

    def _is_empty(self, sentence: dict) -> bool:
        text = sentence.get(self.sentence_field)
        return isinstance(text, str) and 'empty' in (
            find_text_fault(text) or '')

    def _report_empty(self, empty: list[str], data_list: list[dict]) -> None:
        if not empty:
            return
        more = f' (and {len(empty) - 1} more like it)' if empty[1:] else ''
        if self.empty_sentences == 'error':
            raise ValueError(
                f'{empty[0]}{more}: correct the file, or leave such sentences '
                'out with empty_sentences="skip".')
        print_log(
            f'{len(empty)} empty sentences are left out: ' +
            '; '.join(empty[:10]) + ('; ...' if empty[10:] else ''),
            logger='current',
            level=logging.WARNING)
        if not data_list:
            raise ValueError(f'{empty[0]}{more}: nothing is left of the '
                             'chosen splits.')

    def _parse_sentence(self, sentence: dict, ref: dict, where: str) -> dict:
        """What one sentence adds."""
        sent_id = sentence.get('sent_id')
        if sent_id is not None and not is_id(sent_id):
            raise ValueError(f'{where}: a sentence has a '
                             f'{type(sent_id).__name__} as sent_id, where one '
                             'id is expected: correct the file.')
        text = sentence.get(self.sentence_field)
        if not isinstance(text, str):
            raise ValueError(
                f'{where}: sentence {sent_id} has no text under '
                f'"{self.sentence_field}" but only '
                f'{sorted(map(show_id, sentence))}: set sentence_field to '
                '"raw" or "sent".')
        fault = find_text_fault(text)
        if fault is not None:
            raise ValueError(f'{where}: sentence {sent_id} {fault}: correct '
                             'the file.')
        fields = dict(sent_id=sent_id, text=text)
        for name in self.extra_fields:
            for source in (sentence, ref):
                if name in source:
                    if not is_note(source[name]):
                        raise ValueError(
                            f'{where}: sentence {sent_id} has a '
                            f'{type(source[name]).__name__} as {name}, which '
                            'cannot be carried along: correct the file.')
                    fields[name] = source[name]
                    break
        return fields
