# Licensed under the Apache License, Version 2.0.
"""Base class of all datasets of referring expressions."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.dataset import BaseDataset, Compose
from mmengine.logging import print_log

from mmrefseg.fileio.masks import unite
from .annotation_store import AnnotationStore
from .pipeline_checks import check_pipeline
from .refer_files import other_names

# Keys of an item that only the dataset itself uses.
_MASK, _GROUP = '_mask', '_group'


class BaseRefDataset(BaseDataset):
    """A dataset whose items are pairs of one object and one sentence.

    A subclass reads its files in :meth:`load_data_list` and announces each
    item through :meth:`_make_item`. Masks live in an
    :class:`AnnotationStore`, once for all sentences of an object and once
    for all workers, and join the item in :meth:`get_data_info`.

    Items are never replaced by others: ``max_refetch`` is 0, and a transform
    that cannot do its work raises.

    Args:
        ann_file (str): Annotation file, relative to ``data_root`` or
            absolute.
        data_root (str): Folder that relative paths start from.
        data_prefix (dict): Folders of images (``img_path``, or ``img``) and
            mask files (``mask_path``), relative to ``data_root`` or absolute.
        pipeline (Sequence): Transforms as configs or callables.
        extra_fields (Sequence[str]): Further fields of the annotations to
            carry in each item where they are present. Defaults to
            ``('kind', )``.
        check_images (bool): Look at load time whether every image file
            exists; otherwise only the first one is looked for, and a missing
            one is reported when it is read. Defaults to False.
        missing_images (str): 'error', or 'skip': the sentences of images that
            do not exist are left out, and a warning counts them. Defaults to
            'error'.
        size_mismatch (str): What to do where an image is not as large as
            annotated, or as its mask file: 'error', or 'resize': the mask is
            scaled to the image, if the shapes differ by no more than 2 %.
            Defaults to 'error'.
        allow_moving_transforms (bool): Accept flips, crops, rotations and the
            like in ``pipeline``, after which "left" may be wrong. Defaults to
            False.
        metainfo (Mapping, optional): Overrides of ``METAINFO``.
        indices (int or Sequence[int], optional): Use only these items.
        serialize_data (bool): Keep the items pickled in one block, so that
            workers share them. Defaults to True.
        test_mode (bool): Part of mmengine's interface; makes no difference
            here. Defaults to False.
        lazy_init (bool): Do not read the files yet. Defaults to False.
        backend_args (dict, optional): File backend of annotations and
            images, see :func:`mmengine.fileio.get`.
    """

    METAINFO: dict = dict(
        classes=('background', 'referent'),
        palette=[[0, 0, 0], [255, 64, 64]])

    def __init__(self,
                 *,
                 ann_file: str,
                 data_root: str = '',
                 data_prefix: Mapping[str, str] = dict(img_path=''),
                 pipeline: Sequence = (),
                 extra_fields: Sequence[str] = ('kind', ),
                 check_images: bool = False,
                 missing_images: str = 'error',
                 size_mismatch: str = 'error',
                 allow_moving_transforms: bool = False,
                 metainfo: Mapping | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True,
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 backend_args: dict | None = None) -> None:
        self.extra_fields = tuple(extra_fields)
        for name, value, known in (('missing_images', missing_images,
                                    ('error', 'skip')),
                                   ('size_mismatch', size_mismatch,
                                    ('error', 'resize'))):
            if value not in known:
                raise ValueError(f'{name} is {value!r}: choose "{known[0]}" '
                                 f'or "{known[1]}".')
        transforms = Compose(list(pipeline)).transforms
        check_pipeline(transforms, allow_moving_transforms)
        self.check_images = check_images
        self.missing_images = missing_images
        self.size_mismatch = size_mismatch
        self.backend_args = backend_args
        self.masks = AnnotationStore([])
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=_prefixes(data_prefix),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=transforms,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=0)

    def get_data_info(self, idx: int) -> dict:
        """One item.

        Args:
            idx (int): Index of the item, in ``-len(self)..len(self) - 1``.

        Returns:
            dict: ``img_path``, ``image_id``, ``ref_id``, ``sent_id``,
            ``text``, ``segmentation`` (polygons, a COCO RLE, or the path of
            a mask file; polygons and RLEs in one list where a sentence has
            several targets, an empty list where it has no target), an
            empty list ``seg_fields``, ``sample_idx``;
            where the annotations have them ``height``, ``width`` (pixels),
            ``ann_id``, ``category_id``, ``split``, ``no_target`` (bool) and
            the extra fields.
        """
        info = self._get_item(idx)
        info.pop(_GROUP)
        numbers = info.pop(_MASK)
        parts = [self.masks[i] for i in numbers]
        info['segmentation'] = parts[0] if len(parts) == 1 else unite(parts)
        info['seg_fields'] = []
        if self.size_mismatch != 'error':
            info['size_mismatch'] = self.size_mismatch
        return info

    def get_ref_groups(self) -> list[np.ndarray]:
        """The items of each ref (an object together with its sentences).

        Returns:
            list[np.ndarray]: For each ref, in the order of the file, the
            int64 indices of its items in ascending order.
        """
        groups: dict[Any, list[int]] = {}
        for idx in range(len(self)):
            groups.setdefault(self._get_item(idx)[_GROUP], []).append(idx)
        return [np.asarray(x, dtype=np.int64) for x in groups.values()]

    def _get_item(self, idx: int) -> dict:
        """An item as it is stored, its mask still a number."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'Item {idx} is outside of this dataset of '
                             f'{len(self)} items.')
        return super().get_data_info(idx % len(self))

    @staticmethod
    def _make_item(*, mask: tuple[int, ...], group: int,
                   **fields: Any) -> dict:
        """An item for ``data_list``.

        Args:
            mask (tuple[int]): Numbers of its masks in the store, to be
                united; none of a no-target sentence.
            group (int): Number of its ref.
            **fields: What the item says to the outside.
        """
        return {_MASK: mask, _GROUP: group, **fields}

    def _set_masks(self, pickled: Sequence[bytes]) -> None:
        """Hand over all masks, each through ``AnnotationStore.dumps``."""
        self.masks = AnnotationStore(pickled)

    def _find_images(self, data_list: list[dict]) -> list[dict]:
        """Look where the images are, and whether they are there.

        Returns:
            list[dict]: The items, without those of missing images where these
            are to be skipped.

        Raises:
            FileNotFoundError: The first image (or any, see ``check_images``)
                is missing.
        """
        if not self._exists(data_list[0]['img_path']):
            self._rename_images(data_list)
        look_at_all = self.check_images or self.missing_images == 'skip'
        refs_of: dict[str, Any] = {}
        for item in data_list if look_at_all else data_list[:1]:
            refs_of.setdefault(item['img_path'], item['ref_id'])
        missing = dict.fromkeys(x for x in refs_of if not self._exists(x))
        if not missing:
            return data_list
        path, *others = missing
        if self.missing_images == 'skip' and len(missing) < len(refs_of):
            kept = [x for x in data_list if x['img_path'] not in missing]
            print_log(
                f'{len(missing)} of {len(refs_of)} images do not exist, such '
                f'as {path}: {len(data_list) - len(kept)} of '
                f'{len(data_list)} sentences are left out.',
                logger='current',
                level=logging.WARNING)
            return kept
        more = f', and {len(others)} more' if others else ''
        raise FileNotFoundError(
            f'Image {path} of ref {refs_of[path]} does not exist{more}: set '
            'data_root and data_prefix.img_path to where the images are, see '
            'docs/data.md, or leave out the sentences of missing images with '
            'missing_images="skip".')

    def _rename_images(self, data_list: list[dict]) -> None:
        """Take the names of COCO 2017 for those of 2014, or the reverse,
        where the images are there under these."""

        def find(path: str) -> str:
            others = other_names(path)
            return next(filter(self._exists, [path, *others]), path)

        sample = data_list[0]['img_path'], data_list[-1]['img_path']
        if all(find(path) == path for path in sample):
            return
        print_log(
            f'{sample[0]} does not exist: images are taken under the names '
            'that other years of COCO give them.',
            logger='current',
            level=logging.INFO)
        for item in data_list:
            item['img_path'] = find(item['img_path'])

    def _exists(self, path: str) -> bool:
        """Whether a file is there, as far as it can be told beforehand."""
        try:
            return fileio.exists(path, backend_args=self.backend_args)
        except Exception:  # a backend that is not there, or cannot look
            return True  # whoever reads the file says what is wrong

    def _get_unserialized_subset(self, indices):
        _check_subset(indices, len(self.data_list))
        return super()._get_unserialized_subset(indices)

    def _get_serialized_subset(self, indices):
        _check_subset(indices, len(self))
        return super()._get_serialized_subset(indices)


def _check_subset(indices: int | Sequence[int], size: int) -> None:
    """Refuse a choice of items that leaves none, or names one too many."""
    if isinstance(indices, int):
        every = range(size)
        indices = every[:indices] if indices >= 0 else every[indices:]
    if not len(indices):
        raise ValueError(f'indices leaves none of the {size} items of the '
                         'dataset: give None for all of them.')
    for index in indices:
        if not -size <= index < size:
            raise ValueError(f'indices names item {index}, but the dataset '
                             f'has {size} items.')


def _prefixes(data_prefix: Mapping[str, str]) -> dict[str, str]:
    """mmseg says ``img_path``, mmdet ``img``: both are understood."""
    prefixes = {('img_path' if key == 'img' else key): value
                for key, value in data_prefix.items()}
    unknown = set(prefixes) - {'img_path', 'mask_path'}
    if unknown:
        raise ValueError(f'data_prefix knows img_path and mask_path, not '
                         f'{", ".join(sorted(unknown))}.')
    prefixes.setdefault('img_path', '')
    prefixes.setdefault('mask_path', '')
    return prefixes
