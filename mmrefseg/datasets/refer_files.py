# Licensed under the Apache License, Version 2.0.
"""The files of the REFER layout: finding, reading and checking them.

::

    data/coco/
        train2014/COCO_train2014_*.jpg
        refcoco/
            instances.json   images and object masks in COCO's format
            refs(unc).p      which sentences speak of which object
            refs(google).p   the same, split by other people
        grefcoco/
            grefs(unc).json  sentences about none, one or several objects
"""

import json
import os.path as osp
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmengine import fileio

from mmrefseg.fileio import loads_plain_pickle
from .annotation_store import AnnotationStore
from .field_checks import (as_length, id_key, is_file_name, is_id, is_note,
                           is_truth, show)

KNOWN_SPLITS_BY: dict[str, tuple[str, ...]] = {
    'refcoco': ('unc', 'google'),
    'refcoco+': ('unc', ),
    'refcocog': ('umd', 'google'),
    'refclef': ('unc', 'berkeley'),
    'grefcoco': ('unc', ),
    'rrefcoco': ('unc', ),
    'rrefcoco+': ('unc', ),
    'rrefcocog': ('umd', ),
}
# How a refs file may be called, in the order in which it is looked for.
REFS_NAMES = ('refs({}).p', )
# The same, of all sets that are read.
ALL_NAMES = ('refs({}).p', 'refs({}).json', 'grefs({}).json', 'grefs({}).p')
# What gRefCOCO writes as the annotation of a no-target sentence.
NO_TARGET = -1


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """The bytes of an annotation file.

    Raises:
        FileNotFoundError: It does not exist; says what was expected where.
    """
    if not fileio.exists(path, backend_args=backend_args):
        folder = osp.dirname(path) or '.'
        raise FileNotFoundError(
            f'{path} does not exist: expected is the layout '
            f'{folder}/{{instances.json, refs(<split_by>).p}} beside a folder '
            'of images; set data_root, or see docs/data.md for where the '
            'files are found.')
    return fileio.get(path, backend_args=backend_args)


def find_refs_file(folder: str,
                   split_by: str,
                   backend_args: dict | None = None,
                   names: Sequence[str] = REFS_NAMES) -> str:
    """Path of ``refs(<split_by>).p`` in a folder.

    Args:
        folder (str): The folder of ``instances.json``.
        split_by (str): Whose split, such as 'unc' or 'umd'.
        names (Sequence[str]): How the file may be called, the likeliest
            first, with ``{}`` where ``split_by`` stands.

    Raises:
        FileNotFoundError: It is not there; lists what is.
    """
    paths = [osp.join(folder, name.format(split_by)) for name in names]
    for path in paths:
        if fileio.exists(path, backend_args=backend_args):
            return path
    found = list_refs_files(folder, names, backend_args)
    dataset = osp.basename(osp.normpath(folder))
    known = KNOWN_SPLITS_BY.get(dataset.lower())
    if known:
        hint = f'{dataset} is split by {" or ".join(known)}'
    else:
        hint = 'known are ' + '; '.join(
            f'{name}: {", ".join(by)}'
            for name, by in KNOWN_SPLITS_BY.items())
    none = 'no ' + ' or '.join(name.format('...') for name in names)
    raise FileNotFoundError(
        f'{" or ".join(paths)} does not exist (split_by={split_by!r}; {hint}; '
        f'found in {folder}: {", ".join(found) or none}): choose a split_by '
        'that is there, or see docs/data.md for where the files are found.')


def list_refs_files(folder: str,
                    names: Sequence[str] = REFS_NAMES,
                    backend_args: dict | None = None) -> list[str]:
    """Names of the refs files in a folder, whatever they are split by."""
    if not fileio.isdir(folder, backend_args=backend_args):
        return []
    forms = [re.escape(name).replace(r'\{\}', '.+') for name in names]
    return sorted(
        x for x in fileio.list_dir_or_file(
            folder, list_dir=False, backend_args=backend_args)
        if any(re.fullmatch(form, x) for form in forms))


def load_refs(path: str,
              backend_args: dict | None = None,
              *,
              many: bool = False) -> list[dict]:
    """Read a refs file, a pickle or (by its name) JSON, and check its form.

    Args:
        path (str): The file.
        many (bool): Whether a ref may speak of several annotations or of
            none, as in gRefCOCO. Defaults to False.

    Returns:
        list[dict]: The refs as they are in the file, of all splits.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is damaged or refused (see
            :mod:`~mmrefseg.fileio.plain_pickle`), empty, or a ref of it
            lacks what a ref needs.
    """
    if path.endswith('.json'):
        refs = _load_json(path, None, backend_args)
    else:
        refs = loads_plain_pickle(read_file(path, backend_args), path)
    if not isinstance(refs, (list, tuple)):
        raise ValueError(f'{path} holds a {type(refs).__name__}, not a list '
                         'of refs: it is not a REFER file, see docs/data.md.')
    if not refs:
        raise ValueError(f'{path} holds no refs at all: get it again, see '
                         'docs/data.md.')
    needed = ('ref_id', 'image_id', 'ann_id', 'split', 'sentences')
    for number, ref in enumerate(refs):
        missing = [
            key for key in needed
            if not isinstance(ref, dict) or key not in ref
        ]
        if missing:
            raise ValueError(f'Ref number {number} of {path} lacks '
                             f'{", ".join(missing)}: it is not a REFER file, '
                             'see docs/data.md.')
        for key in needed[:2] if many else needed[:3]:
            if not is_id(ref[key]):
                raise ValueError(
                    f'Ref number {number} of {path} has a '
                    f'{type(ref[key]).__name__} as {key}, where one id is '
                    'expected: it is not a REFER file, see docs/data.md.')
        if not isinstance(ref['split'], str) or not is_id(ref['split']):
            raise ValueError(
                f'Ref {ref["ref_id"]} of {path} has a '
                f'{type(ref["split"]).__name__} as split, where a name is '
                'expected: it is not a REFER file, see docs/data.md.')
        sentences = ref['sentences']
        if not isinstance(sentences, (list, tuple)) or not all(
                isinstance(x, dict) for x in sentences):
            raise ValueError(f'Ref {ref["ref_id"]} of {path} has no list of '
                             'sentences: it is not a REFER file, see '
                             'docs/data.md.')
        if many:
            annotations_of(ref, path)
    if not many:
        _check_ref_ids(refs, path)
    return list(refs)


def _check_ref_ids(refs: Sequence[dict], path: str) -> None:
    """One ref_id is one object in one image."""
    objects: dict[Any, tuple] = {}
    for ref in refs:
        found = id_key(ref['image_id']), id_key(ref['ann_id'])
        if objects.setdefault(ref['ref_id'], found) != found:
            raise ValueError(
                f'{path} has two refs {ref["ref_id"]} that speak of different '
                'objects: correct the file, see docs/data.md.')


def annotations_of(ref: dict, path: str) -> tuple[Any, ...]:
    """Ids of the annotations that a ref speaks of.

    Args:
        ref (dict): With ``ann_id``: an id, a list of ids, or -1 or ``[-1]``
            for no target.
        path (str): The refs file, for the error message.

    Returns:
        tuple: The ids; empty where the ref has no target.

    Raises:
        ValueError: ``ann_id`` is none of these.
    """
    ids = ref['ann_id']
    ids = tuple(ids) if isinstance(ids, (list, tuple)) else (ids, )
    none = [x for x in ids if x in (NO_TARGET, str(NO_TARGET))]
    if not ids or not all(is_id(x) for x in ids) or none and len(ids) > 1:
        raise ValueError(
            f'Ref {ref["ref_id"]} of {path} has ann_id '
            f'{show(ref["ann_id"])!r}, where an id, a list of ids, or '
            '[-1] for no target is expected: correct the file, see '
            'docs/data.md.')
    return () if none else ids


def find_contradiction(ref: dict, ids: tuple) -> str | None:
    """A phrase about a ref whose ``no_target`` (true or false, where it has
    it) contradicts its annotations, which follows its name."""
    stated = ref.get('no_target')
    if stated is None or is_truth(stated) and bool(stated) == (not ids):
        return None
    return (f'has no_target={show(stated)} beside ann_id '
            f'{show(ref["ann_id"])}, which contradict each other')


def other_names(path: str) -> list[str]:
    """How an image of COCO may be called in other years' downloads.

    COCO 2017 keeps the images of 2014, without the prefix ``COCO_train2014_``
    of their names, in ``train2017`` and ``val2017``.

    Args:
        path (str): Path of an image, after the annotations.

    Returns:
        list[str]: Other paths, the likeliest first; none where the name is
        not of COCO.
    """
    folder, name = osp.split(path)
    found = re.fullmatch(r'(?:COCO_(?:train|val)2014_)?(\d{12}\.jpg)', name)
    if not found:
        return []
    paths = []
    for split in ('train2017', 'val2017', 'train2014', 'val2014'):
        prefix = f'COCO_{split}_' if split.endswith('2014') else ''
        for place in (folder, re.sub(r'(train|val)20(14|17)$', split, folder)):
            paths.append(osp.join(place, prefix + found[1]))
    return [x for x in dict.fromkeys(paths) if x != path]


def read_instances(path: str,
                   ann_ids: Iterable[Any],
                   backend_args: dict | None = None
                   ) -> tuple[list[dict], list[dict], list[Any]]:
    """Read the records of an ``instances.json``.

    Masks of annotations that are not asked for are dropped while the text is
    parsed, and masks that stay are pickled at once, so that the memory needed
    stays near the size of the file.

    Args:
        path (str): The file.
        ann_ids (Iterable): Ids of the annotations to keep, as text or as
            numbers.

    Returns:
        tuple[list[dict], list[dict], list]: All image records; the
        annotations to keep, ``segmentation`` pickled by
        :meth:`AnnotationStore.dumps`; the ids of all annotations. Each in the
        order of the file, what is there twice included.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is not JSON, or not COCO's format.
    """
    wanted = set(map(id_key, ann_ids))

    def slim(record: dict) -> Any:
        if 'segmentation' not in record or 'id' not in record:
            return record
        if not is_id(record['id']) or id_key(record['id']) not in wanted:
            return record['id']
        record['segmentation'] = AnnotationStore.dumps(record['segmentation'])
        return record

    content = _load_json(path, slim, backend_args)
    for key in ('images', 'annotations'):
        if not isinstance(content, dict) or not isinstance(
                content.get(key), list):
            raise ValueError(f'{path} has no list "{key}": it is not an '
                             'instances file in COCO\'s format, see '
                             'docs/data.md.')
    for image in content['images']:
        missing = [
            key for key in ('id', 'file_name', 'height', 'width')
            if not isinstance(image, dict) or key not in image
        ]
        if missing:
            raise ValueError(f'An image of {path} lacks {", ".join(missing)}: '
                             f'{show(image)}.')
        _check_image(image, path)
    kept = [
        x for x in content['annotations']
        if isinstance(x, dict) and is_id(x.get('id'))
        and id_key(x['id']) in wanted
    ]
    all_ids = [
        x.get('id') if isinstance(x, dict) else x
        for x in content['annotations']
    ]
    return content['images'], kept, all_ids


def load_instances(path: str,
                   ann_ids: set[Any],
                   backend_args: dict | None = None
                   ) -> tuple[dict[Any, dict], dict[Any, dict]]:
    """Read an ``instances.json`` and keep what is asked for.

    Args:
        path (str): The file.
        ann_ids (set): Ids of the annotations to keep.

    Returns:
        tuple[dict, dict]: Image records and annotations by ``id_key`` of
        their ids, ``segmentation`` pickled by :meth:`AnnotationStore.dumps`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is not JSON, or not COCO's format.
    """
    records, kept, _ = read_instances(path, ann_ids, backend_args)
    images = _by_id(records, 'images', path)
    annotations = _by_id(kept, 'annotations', path)
    for ann in annotations.values():
        if not is_note(ann.get('category_id')):
            raise ValueError(f'Annotation {ann["id"]} of {path} has a '
                             f'{type(ann["category_id"]).__name__} as '
                             'category_id, where a number is expected: '
                             'correct the file.')
        if 'segmentation' not in ann:
            raise ValueError(f'Annotation {ann["id"]} of {path} has no '
                             '"segmentation": a mask is needed, a box is not '
                             'enough.')
    return images, annotations


def _check_image(image: dict, path: str) -> None:
    """Whether the record of an image can be used; makes its size ints."""
    where = f'An image of {path}'
    if not is_id(image['id']):
        raise ValueError(f'{where} has the id {show(image["id"])}, '
                         'which is neither a number nor a text: correct the '
                         'file.')
    where = f'Image {image["id"]} of {path}'
    if not is_file_name(image['file_name']):
        raise ValueError(f'{where} has the file_name '
                         f'{show(image["file_name"])}, which no file '
                         'can have: correct the file.')
    for key in ('height', 'width'):
        length = as_length(image[key])
        if length is None:
            raise ValueError(f'{where} has the {key} '
                             f'{show(image[key])}, which is no number '
                             'of pixels: correct the file.')
        image[key] = length


def _by_id(records: Iterable[dict], what: str, path: str) -> dict[Any, dict]:
    """Records by the key of their id; two of one id must be the same."""
    found: dict[Any, dict] = {}
    for record in records:
        if found.setdefault(id_key(record['id']), record) != record:
            raise ValueError(
                f'{path} has two different {what} with the id '
                f'{record["id"]}: which of them is meant? Correct the file.')
    return found


def _load_json(path: str, hook: Callable | None,
               backend_args: dict | None) -> Any:
    text = read_file(path, backend_args)
    if not text:
        raise ValueError(f'{path} is empty (0 bytes): get it again, see '
                         'docs/data.md.')
    try:
        return json.loads(text, object_hook=hook)
    except ValueError as error:  # JSON or Unicode
        raise ValueError(
            f'{path} is not readable JSON, damaged or cut off ({error}): get '
            'it again, see docs/data.md.') from None
    except RecursionError:
        raise ValueError(
            f'{path} is not readable JSON: it is nested too deeply; get it '
            'again, see docs/data.md.') from None


def choose_splits(present: Sequence[str], wanted: Sequence[str],
                  path: str) -> set[str]:
    """The splits of a file that a user's choice means.

    A name means itself; as in REFER's own reader, 'test' means every split
    with 'test' in its name, and 'testA' also takes a shared split such as
    'testAB' (RefCLEF has them).

    Args:
        present (Sequence[str]): The split of every ref in the file.
        wanted (Sequence[str]): The chosen names.
        path (str): The file, for the error message.

    Raises:
        ValueError: A chosen name means no split of the file.
    """
    counts = Counter(present)
    chosen: set[str] = set()
    for name in wanted:
        if name == 'test':
            found = {x for x in counts if 'test' in x}
        elif re.fullmatch('test[ABC]', name):
            found = {
                x
                for x in counts
                if re.fullmatch('test[ABC]+', x) and name[-1] in x[4:]
            }
        else:
            found = {name} & set(counts)
        if not found:
            listed = ', '.join(f'{x} ({n} refs)' for x, n in counts.items())
            raise ValueError(f'Split {name!r} is empty: {path} has {listed}; '
                             'choose one of these.')
        chosen |= found
    return chosen


# Where images usually are, seen from the folder of the annotations.
IMAGE_FOLDERS = ('images', 'train2014', '../train2014', 'train2017',
                  '../train2017', '../images/train2014',
                  '../images/mscoco/images/train2014',
                  '../images/mscoco/train2014', '../images', 'saiapr_tc-12',
                  '../images/saiapr_tc-12')


def find_image_folder(folder: str, names: Sequence[str]) -> str | None:
    """The first of the usual places that has one of some images."""
    for place in IMAGE_FOLDERS:
        path = osp.normpath(osp.join(folder, place))
        if any(find_image(osp.join(path, name)) for name in names):
            return path
    return None


def find_image(path: str) -> str | None:
    """The path of an image, under whichever of COCO's names it is there."""
    return next(filter(osp.isfile, [path, *other_names(path)]), None)
