# Licensed under the Apache License, Version 2.0.
"""LVIS: masks of 1,203 categories on COCO's images, and no sentences.

Sentences are derived from the masks, as from any file in COCO's layout; see
:mod:`mmrefseg.derived_refs.lvis_file` for the layout, and docs/derived_refs.md
for the sentences.
"""

import json
from pathlib import Path

from mmrefseg.derived_refs import KINDS, RefOptions, read_instances, write_refs
from mmrefseg.derived_refs.lvis_file import is_lvis
from .source import Source
from .writer import Report, Skipped


def convert_lvis(source: Source,
                 out: str | Path,
                 *,
                 images: str | None = None,
                 split: str | None = None) -> Report:
    """Write sentences derived from a file of LVIS; all options of it are in
    ``tools/dataset_converters/coco_to_refs.py``.

    Args:
        source (Source): Such as ``lvis_v1_train.json``.
        out (str | Path): The file to write.
        images (str, optional): Folder that 'train2017' and 'val2017' are in,
            for sentences with colours.
        split (str, optional): Written in every line.

    Returns:
        Report: What was written.

    Raises:
        FileNotFoundError: A photo is missing.
        ValueError: It is not of LVIS, or damaged.
    """
    if not is_lvis(source.json()):
        raise ValueError(f'{source} has neither categories with "synset" nor '
                         'images with "neg_category_ids": it is not of LVIS.')
    instances = read_instances(source.path)
    kinds = tuple(x for x in KINDS[:6] if x != 'colour' or images)
    write_refs(
        instances, out, RefOptions(kinds=kinds), images=images, split=split)
    report = Report()
    with open(out, 'rb') as file:
        for text in file:
            line = json.loads(text)
            report.sentences[split] += 1
            report.refs.add(line['ref_id'])
            report.images.add(line['image'])
    for _ in range(instances.left_out):
        report.skip(Skipped(
            'an annotation of a category that is not marked wherever it is '
            'in its image', str(source)))
    return report
