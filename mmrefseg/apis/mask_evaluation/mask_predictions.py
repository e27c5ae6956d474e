# Licensed under the Apache License, Version 2.0.
"""Predicted masks as other programs leave them, matched to the sentences."""

import os
import os.path as osp
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmrefseg.fileio.mask_images import check_choice, read_mask
from mmrefseg.fileio.masks import rasterize
from .prediction_records import id_text, read_records, with_whole_numbers

NAME_SCHEMES = ('{sent_id}.png', '{ref_id}_{sent_id}.png')
_SHOWN = 10


class Prediction(NamedTuple):
    """A predicted mask.

    Attributes:
        mask (np.ndarray): ``H x W``, uint8, 1 where something is predicted.
        no_target (bool, optional): Whether the prediction is that there is no
            target; None where that is for the mask to say.
    """

    mask: np.ndarray
    no_target: bool | None = None


class MaskPredictions(ABC):
    """Predictions for the sentences of a split.

    Attributes:
        missing (list[int]): Sentences without a prediction, by their index.
        surplus (list[str]): Predictions without a sentence, by name.
    """

    missing: list[int]
    surplus: list[str]

    @abstractmethod
    def load(self, index: int, size: tuple[int, int]) -> Prediction:
        """Read one prediction.

        Args:
            index (int): Of a sentence that is not missing.
            size (tuple[int, int]): Height and width that it must have.

        Raises:
            ValueError: It is not readable, or of another size; names it.
        """


class MaskFolder(MaskPredictions):
    """Masks as images, one file for each sentence.

    Args:
        folder (str): Where the files are.
        items (sequence[dict]): The sentences, with ``ref_id``, ``sent_id``
            and what else a name is made of.
        name (str, optional): How the files are called, below the folder:
            a format string over the fields of a sentence, and ``image``, the
            name of its picture without ending. None tries
            :data:`NAME_SCHEMES`.
        mask_value (int or str, optional): The pixels of the mask, see
            :func:`~mmrefseg.fileio.mask_images.read_mask`.
        mask_threshold (float, optional): The same.

    Raises:
        ValueError: If no file has such a name, or if two sentences would
            have the same file.
    """

    def __init__(self,
                 folder: str,
                 items: Sequence[dict],
                 name: str | None = None,
                 mask_value: int | str | None = None,
                 mask_threshold: float | None = None) -> None:
        self.folder = folder
        check_choice(mask_value, mask_threshold)
        self.choice: dict = dict(value=mask_value, threshold=mask_threshold)
        found = {
            osp.relpath(osp.join(path, file), folder).replace(os.sep, '/')
            for path, _, files in os.walk(folder)
            for file in files
        }
        schemes = NAME_SCHEMES if name is None else (name, )
        rendered = [_names(scheme, items) for scheme in schemes]
        matches = [len(found.intersection(names)) for names in rendered]
        best = matches.index(max(matches))
        if not matches[best]:
            there = ', '.join(sorted(found)[:3]) or 'no file at all'
            wanted = ' or '.join(names[0] for names in rendered)
            raise ValueError(
                f'No file of {folder} is named after a sentence: there is '
                f'{there}, looked for was, for the first sentence, {wanted}. '
                'Check that split and predictions belong together, or say '
                'how the files are called, such as '
                "--name '{ref_id}_{sent_id}.png'.")
        self.names = rendered[best]
        twice, times = Counter(self.names).most_common(1)[0]
        if times > 1:
            raise ValueError(
                f'The name scheme {schemes[best]!r} gives {twice} to more '
                'than one sentence: add {ref_id} or {image_id} to it.')
        self.missing = [
            i for i, x in enumerate(self.names) if x not in found
        ]
        ending = osp.splitext(self.names[0])[1]
        self.surplus = sorted(
            x for x in found - set(self.names) if x.endswith(ending))

    def load(self, index: int, size: tuple[int, int]) -> Prediction:
        path = osp.join(self.folder, self.names[index])
        try:
            with open(path, 'rb') as file:
                mask = read_mask(file.read(), **self.choice)
        except (OSError, ValueError) as error:
            raise ValueError(f'{path} {error}') from None
        if mask.shape != tuple(size):
            raise ValueError(f'{path} is {_size(mask.shape)}, but must be '
                             f'{_size(size)}')
        return Prediction(mask)


def _names(scheme: str, items: Sequence[dict]) -> list[str]:
    """The file name of each sentence."""
    try:
        return [
            scheme.format_map({
                **item, 'image':
                osp.splitext(osp.basename(item['img_path']))[0]
            }) for item in items
        ]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f'The name scheme {scheme!r} does not fit the sentences '
            f'({type(error).__name__}: {error}): they have '
            f'{", ".join(sorted({*items[0]} - {"image"}))} and image, to be '
            'written such as {ref_id}_{sent_id:06d}.png.') from None


class MaskRecords(MaskPredictions):
    """Masks in COCO's format in one file.

    A ``.json`` file holds a list of records, a ``.jsonl`` file one record per
    line, as :class:`~mmrefseg.evaluation.PredictionDump` writes it. A record
    has ``sent_id``, or ``ref_id`` where the ref has one sentence, or both;
    ``segmentation``, run lengths (compressed or not) or polygons, an empty
    list where nothing is predicted; if the model decides it apart from the
    mask, ``pred_no_target`` (bool); and, where it does and has emptied its
    mask, ``drawn``, what it drew all the same, in place of ``segmentation``.

    Args:
        path (str): The file.
        items (sequence[dict]): The sentences, with ``ref_id`` and
            ``sent_id``.

    Raises:
        ValueError: The file is not of this form or holds no record, a record
            belongs to more than one sentence, or two belong to the same.
    """

    def __init__(self, path: str, items: Sequence[dict]) -> None:
        self.path = path
        by_sentence: dict[str, list[int]] = {}
        by_ref: dict[str, list[int]] = {}
        for index, item in enumerate(items):
            by_sentence.setdefault(id_text(item['sent_id']), []).append(index)
            by_ref.setdefault(id_text(item['ref_id']), []).append(index)
        self.records: dict[int, tuple[str, dict]] = {}
        self.surplus = []
        for where, record in read_records(path):
            sentence, ref = record.get('sent_id'), record.get('ref_id')
            if sentence is None and ref is None:
                raise ValueError(f'{where} has neither sent_id nor ref_id.')
            found = by_ref.get(id_text(ref), [])
            if sentence is not None:
                own = by_sentence.get(id_text(sentence), [])
                found = own if ref is None else [x for x in own if x in found]
            name = ', '.join(
                f'{key} {record[key]}' for key in ('ref_id', 'sent_id')
                if record.get(key) is not None)
            if not found:
                self.surplus.append(f'{where} ({name})')
                continue
            if len(found) > 1:
                raise ValueError(
                    f'{where} ({name}) belongs to {len(found)} sentences: '
                    'give each record ref_id and sent_id.')
            if found[0] in self.records:
                raise ValueError(
                    f'{where} ({name}) is for the same sentence as '
                    f'{self.records[found[0]][0]}.')
            self.records[found[0]] = where, record
        self.missing = [i for i in range(len(items)) if i not in self.records]

    def load(self, index: int, size: tuple[int, int]) -> Prediction:
        where, record = self.records[index]
        segmentation = record.get('segmentation')
        no_target = record.get('pred_no_target')
        if no_target is not None and not isinstance(no_target, bool):
            raise ValueError(f'{where} has pred_no_target={no_target!r}, which'
                             ' is neither true nor false')
        if no_target and record.get('drawn') is not None:
            segmentation = record['drawn']
        if isinstance(segmentation, list) and not segmentation:
            return Prediction(np.zeros(size, np.uint8), no_target)
        if not isinstance(segmentation, (list, dict)):
            raise ValueError(f'{where} has no segmentation (run lengths or '
                             'polygons)')
        try:
            segmentation = with_whole_numbers(segmentation)
            return Prediction(rasterize(segmentation, *size), no_target)
        except ValueError as error:
            raise ValueError(f'{where} cannot be drawn: {error}') from None


def open_predictions(path: str,
                     items: Sequence[dict],
                     name: str | None = None,
                     mask_value: int | str | None = None,
                     mask_threshold: float | None = None) -> MaskPredictions:
    """Find the predictions of the sentences of a split.

    Args:
        path (str): A folder of images, a ``.json`` or a ``.jsonl`` file.
        items (sequence[dict]): The sentences.
        name (str, optional): How the files of a folder are called, see
            :class:`MaskFolder`; for folders alone.
        mask_value (int or str, optional): See :class:`MaskFolder`.
        mask_threshold (float, optional): See :class:`MaskFolder`.

    Returns:
        MaskPredictions: What was found; nothing is decoded yet.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
        ValueError: It is none of these, or see the classes.
    """
    if osp.isdir(path):
        return MaskFolder(path, items, name, mask_value, mask_threshold)
    if not osp.exists(path):
        raise FileNotFoundError(f'There are no predictions at {path}.')
    for option, value in (('--name', name), ('--mask-value', mask_value),
                          ('--mask-threshold', mask_threshold)):
        if value is not None:
            raise ValueError(f'{option} is for folders of images, but {path} '
                             f'is a file: remove {option}.')
    if path.endswith(('.json', '.jsonl')):
        return MaskRecords(path, items)
    raise ValueError(f'{path} is neither a folder of images nor a .json or '
                     '.jsonl file.')


def name_some(names: Sequence[str]) -> str:
    """Names for a message: all of them, or the first and how many more."""
    more = len(names) - _SHOWN
    return ', '.join(names[:_SHOWN]) + (
        f' and {more} more' if more > 0 else '')


def _size(size: Sequence[int]) -> str:
    return f'{size[0]} x {size[1]} (height x width)'
