# Licensed under the Apache License, Version 2.0.
"""Numbers of refs, sentences and images in the public sets."""

import os.path as osp
from collections.abc import Iterable
from typing import NamedTuple


class SplitCount(NamedTuple):
    """Size of one split; None where it is not known."""
    refs: int
    sentences: int | None = None
    images: int | None = None


# (folder, split_by): split: size. Refs and images are those of the catalog of
# TensorFlow Datasets (ref_coco), sentences those that papers and issues name.
KNOWN_COUNTS: dict[tuple[str, str], dict[str, SplitCount]] = {
    ('refcoco', 'unc'):
    dict(
        train=SplitCount(42404, 120624, 16994),
        val=SplitCount(3811, 10834, 1500),
        testA=SplitCount(1975, 5657, 750),
        testB=SplitCount(1810, 5095, 750)),
    ('refcoco', 'google'):
    dict(
        train=SplitCount(40000, None, 19213),
        val=SplitCount(5000, None, 4559),
        test=SplitCount(5000, None, 4527)),
    ('refcoco+', 'unc'):
    dict(
        train=SplitCount(42278, 120191, 16992),
        val=SplitCount(3805, 10758, 1500),
        testA=SplitCount(1975, 5726, 750),
        testB=SplitCount(1798, 4889, 750)),
    ('refcocog', 'umd'):
    dict(
        train=SplitCount(42226, 80512, 21899),
        val=SplitCount(2573, 4896, 1300),
        test=SplitCount(5023, 9602, 2600)),
    ('refcocog', 'google'):
    dict(
        train=SplitCount(44822, 85474, 24698),
        val=SplitCount(5000, 9536, 4650)),
}


def known_counts(folder: str, split_by: str) -> dict[str, SplitCount]:
    """Published numbers of a set, which the folder's name chooses.

    Args:
        folder (str): Such as 'data/coco/refcoco+'; capitals do not matter.
        split_by (str): Such as 'unc'.

    Returns:
        dict[str, SplitCount]: By split; empty where none are known.
    """
    return KNOWN_COUNTS.get((_name(folder).lower(), split_by), {})


def say_unknown(folder: str, split_by: str) -> str:
    """A sentence about a set of which :func:`known_counts` knows nothing."""
    known: dict[str, list] = {}
    for name, by in KNOWN_COUNTS:
        known.setdefault(name, []).append(by)
    names = ', '.join(f'{x} ({" or ".join(by)})' for x, by in known.items())
    return (f'We know of no published numbers of {_name(folder)}, split by '
            f'{split_by}; the name of the folder chooses: {names}.')


def split_by_of(name: str) -> str:
    """'unc' of 'refs(unc).p'."""
    return name.partition('(')[2].rpartition(')')[0]


def _name(folder: str) -> str:
    return osp.basename(osp.abspath(folder))


def count_splits(refs: Iterable[dict]) -> dict[str, SplitCount]:
    """Count a refs file.

    Args:
        refs (Iterable[dict]): From
            :func:`~mmrefseg.datasets.refer_files.load_refs`.

    Returns:
        dict[str, SplitCount]: By split, in the order of the file.
    """
    counts: dict[str, list] = {}
    for ref in refs:
        count = counts.setdefault(ref['split'], [0, 0, set()])
        count[0] += 1
        count[1] += len(ref['sentences'])
        count[2].add(ref['image_id'])
    return {
        split: SplitCount(refs, sentences, len(images))
        for split, (refs, sentences, images) in counts.items()
    }


def differs(found: SplitCount, known: SplitCount) -> bool:
    """Whether a number that is known is another one here."""
    return any(b is not None and a != b for a, b in zip(found, known))
