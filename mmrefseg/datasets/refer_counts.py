# Licensed under the Apache License, Version 2.0.
"""How many refs, sentences and images the public sets have."""

from typing import Dict, Iterable, NamedTuple, Optional, Tuple


class SplitCount(NamedTuple):
    """Size of one split; None where it is not known."""
    refs: int
    sentences: Optional[int] = None
    images: Optional[int] = None


# (folder, split_by): split: size
KNOWN_COUNTS: Dict[Tuple[str, str], Dict[str, SplitCount]] = {
    ('refcoco', 'unc'):
    dict(
        train=SplitCount(42404, 120624),
        val=SplitCount(3811, 10834),
        testA=SplitCount(1975, 5657),
        testB=SplitCount(1810, 5095)),
    ('refcoco+', 'unc'):
    dict(
        train=SplitCount(42278, 120191),
        val=SplitCount(3805, 10758),
        testA=SplitCount(1975, 5726),
        testB=SplitCount(1798, 4889)),
    ('refcocog', 'umd'):
    dict(
        train=SplitCount(42226),
        val=SplitCount(2573, 4896),
        test=SplitCount(5023, 9602)),
    ('refcocog', 'google'):
    dict(train=SplitCount(44822), val=SplitCount(5000)),
}


def count_splits(refs: Iterable[dict]) -> Dict[str, SplitCount]:
    """Count a refs file.

    Args:
        refs (Iterable[dict]): From
            :func:`~mmrefseg.datasets.refer_files.load_refs`.

    Returns:
        dict[str, SplitCount]: By split, in the order of the file.
    """
    counts: Dict[str, list] = {}
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
