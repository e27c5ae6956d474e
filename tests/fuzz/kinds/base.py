# Licensed under the Apache License, Version 2.0.
"""What the kinds of cases share: a small set, and the way to the judge."""

import copy
import importlib.util
import json
import pickle
from pathlib import Path

from mmrefseg.datasets import JSONLinesRefDataset, RefCOCODataset

SPLITS = ('train', 'val', 'testA', 'testB')


def _tiny_set():
    """The module with the tests' own small set."""
    path = Path(__file__).parents[2] / 'conftest.py'
    spec = importlib.util.spec_from_file_location('tiny_set', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = _tiny_set()


def count(refs):
    """Sentences of the refs that the four splits take."""
    return sum(len(ref['sentences']) for ref in refs
               if ref['split'] in SPLITS)


def dumps(value):
    """JSON with what Python's own writer lets through."""
    return json.dumps(value).encode()


class Kind:
    """Base of all kinds.

    Args:
        folder (Path): A folder of its own.
        oracle (Oracle): The judge.
        canary (Path): The file that code in a case would make.
    """
    share = 0
    dataset = RefCOCODataset
    refs_name = 'refs(unc).p'

    def __init__(self, folder, oracle, canary):
        self.folder, self.oracle, self.canary = folder, oracle, canary
        tiny._write_images(folder / 'images')
        self.refs = pickle.dumps(tiny._refs(), 2)
        self.write('instances.json', dumps(tiny._instances()))
        self.write('refs(unc).p', self.refs)

    def write(self, name, content):
        (self.folder / name).write_bytes(content)

    def try_refer(self, **how):
        """Build the set in the REFER layout and judge it."""
        return self.oracle.dataset(
            lambda: self.dataset(
                data_root=str(self.folder),
                data_prefix=dict(img_path='images'),
                split_by='unc',
                split=SPLITS),
            files=[
                str(self.folder / name)
                for name in (self.refs_name, 'instances.json', 'images/')
            ],
            **how)

    def try_lines(self, **how):
        return self.oracle.dataset(
            lambda: JSONLinesRefDataset(
                data_root=str(self.folder),
                ann_file='refs.jsonl',
                data_prefix=dict(img_path='images', mask_path='images')),
            files=[
                str(self.folder / name) for name in ('refs.jsonl', 'images/')
            ],
            **how)


def lines():
    """The tiny set as JSON lines."""
    annotations = {x['id']: x for x in tiny._instances()['annotations']}
    return [
        dict(
            image=f'img_{ref["image_id"]}.jpg',
            text=sentence['raw'],
            split=ref['split'],
            ref_id=ref['ref_id'],
            sent_id=sentence['sent_id'],
            kind=sentence['kind'],
            segmentation=copy.deepcopy(
                annotations[ref['ann_id']]['segmentation']))
        for ref in tiny._refs() for sentence in ref['sentences']
    ]
