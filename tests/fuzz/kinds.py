# Licensed under the Apache License, Version 2.0.
"""The kinds of cases: how each is made, and how it is judged.

A kind is a class with ``share`` (of all cases), ``draw`` (the case, made by
hypothesis) and ``run`` (its outcome, or :class:`Fault`).
"""

import copy
import importlib.util
import io
import json
import os
import pickle
import shutil
from pathlib import Path
from random import Random

import numpy as np
import pictures
import torch
from hostile_pickles import hostile_refs
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mutations import change_bytes, change_tree, pickled_values, plain_values
from oracle import ACCEPTED, CLEAR, REFUSED, Fault, refusal
from PIL import Image

from mmrefseg.apis.inference.image_inputs import list_images, pair_texts
from mmrefseg.apis.inference.pipeline import InferencePipeline
from mmrefseg.datasets import (GRefCOCODataset, JSONLinesRefDataset,
                               RefCOCODataset, RRefCOCODataset)
from mmrefseg.datasets.plain_pickle import loads_plain_pickle
from mmrefseg.visualization import RefSegVisualizer
from mmrefseg.visualization.visualizer import sample_name

SPLITS = ('train', 'val', 'testA', 'testB')


def _tiny_set():
    """The module with the tests' own small set."""
    path = Path(__file__).parents[1] / 'conftest.py'
    spec = importlib.util.spec_from_file_location('tiny_set', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = _tiny_set()


def _count(refs):
    """Sentences of the refs that the four splits take."""
    return sum(len(ref['sentences']) for ref in refs
               if ref['split'] in SPLITS)


def _dumps(value):
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
        self.write('instances.json', _dumps(tiny._instances()))
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


class RefsValues(Kind):
    """Values of a refs pickle."""
    share = 13

    def draw(self, draw):
        refs = change_tree(draw, tiny._refs(), pickled_values)
        return refs, draw(st.integers(0, pickle.HIGHEST_PROTOCOL))

    def run(self, case):
        refs, protocol = case
        try:
            content = pickle.dumps(refs, protocol)
        except (RecursionError, ValueError):
            # Too deep to be written, or a number too long for protocol 0,
            # which writes digits.
            content = pickle.dumps([refs] if isinstance(refs, dict) else [], 2)
        self.write(self.refs_name, content)
        try:
            expected = _count(refs)
        except Exception:  # then it may not be accepted, which len tells
            expected = None
        return self.try_refer(expected=expected)


class RefsBytes(Kind):
    """Bytes of a refs pickle."""
    share = 12

    def draw(self, draw):
        content = pickle.dumps(tiny._refs(), draw(st.integers(0, 4)))
        return change_bytes(draw, content)

    def run(self, case):
        self.write(self.refs_name, case)
        try:
            expected = _count(loads_plain_pickle(case, 'x'))
        except Exception:
            expected = None
        return self.try_refer(expected=expected)


class RefsCode(Kind):
    """Refs pickles that would run code or use up the machine."""
    share = 10
    harmless = ('import', 'numpy record', 'operator', 'allowed name as a '
                'class', 'dtype from text')

    def draw(self, draw):
        return draw(hostile_refs(tiny._refs, self.canary))

    def run(self, case):
        self.write(self.refs_name, case[0])
        return self.try_refer(must_refuse=True)


class InstancesValues(Kind):
    """Values of an instances.json."""
    share = 13

    def draw(self, draw):
        # Its outlines are the module's own.
        instances = copy.deepcopy(tiny._instances())
        return change_tree(draw, instances, plain_values)

    def run(self, case):
        try:
            content = _dumps(case)
        except (RecursionError, ValueError):
            content = b'{"images": ' + b'[' * 100_000 + b']' * 100_000 + b'}'
        self.write('instances.json', content)
        return self.try_refer(expected=_count(tiny._refs()))


class InstancesBytes(Kind):
    """Bytes of an instances.json."""
    share = 9

    def draw(self, draw):
        return change_bytes(draw, _dumps(tiny._instances()))

    def run(self, case):
        self.write('instances.json', case)
        return self.try_refer(expected=_count(tiny._refs()))


class GeneralRefs(Kind):
    """gRefCOCO and R-RefCOCO, values and bytes."""
    share = 8

    def draw(self, draw):
        refs = tiny._refs()
        random = Random(draw(st.integers(0, 2**32)))
        general = random.random() < 0.6
        for ref in refs:
            if general:
                ref['ann_id'] = random.choice(
                    ([ref['ann_id']], ref['ann_id'], [-1]))
            else:
                for sentence in ref['sentences']:
                    sentence['exist'] = random.random() < 0.5
        if random.random() < 0.7:
            refs = change_tree(draw, refs, plain_values)
            try:
                return general, _dumps(refs)
            except (RecursionError, ValueError):
                refs = []
        return general, change_bytes(draw, _dumps(refs))

    def run(self, case):
        general, content = case
        self.dataset = GRefCOCODataset if general else RRefCOCODataset
        self.refs_name = ('g' if general else '') + 'refs(unc).json'
        for name in ('refs(unc).p', 'refs(unc).json', 'grefs(unc).json'):
            (self.folder / name).unlink(missing_ok=True)
        self.write(self.refs_name, content)
        try:
            expected = _count(json.loads(content))
        except Exception:
            expected = None
        return self.try_refer(expected=expected)


def _lines():
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


class LinesValues(Kind):
    """Values of JSON lines."""
    share = 9

    def draw(self, draw):
        return change_tree(draw, _lines(), plain_values)

    def run(self, case):
        lines = case if isinstance(case, list) else [case]
        content = []
        for line in lines:
            try:
                content.append(_dumps(line))
            except (RecursionError, ValueError):
                content.append(b'[' * 50_000 + b']' * 50_000)
        self.write('refs.jsonl', b'\n'.join(content))
        return self.try_lines(expected=len(content))


class LinesBytes(Kind):
    """Bytes of JSON lines."""
    share = 5

    def draw(self, draw):
        return change_bytes(draw, b'\n'.join(map(_dumps, _lines())))

    def run(self, case):
        self.write('refs.jsonl', case)
        return self.try_lines(
            expected=sum(bool(x.strip()) for x in case.split(b'\n')))


outline_numbers = st.one_of(
    st.floats(-50, 150), st.integers(-10**4, 10**4), st.floats(),
    st.sampled_from([1e6, -1e6, 999999.5, 1e5, 2**31, 1e18, 10**400]))
outlines = st.one_of(
    st.lists(outline_numbers, max_size=12),
    st.lists(st.floats(-50, 150), min_size=6, max_size=8),
    st.integers(1, 3000).map(lambda n: [1e6, -1e6, -1e6, 1e6] * n),
    st.integers(1, 9).map(lambda n: [0., 0., 1e5 * n, 1e5, 0., 1e5]),
    st.integers(1, 30_000).map(
        lambda n: np.random.default_rng(n).uniform(-90, 190, 2 * n).tolist()))
run_lengths = st.fixed_dictionaries(
    dict(
        size=st.sampled_from([[64, 96], [64.0, 96], [96, 64], [0, 0], [64],
                              [-64, -96], None, 'ab', [2**31, 2**31]]),
        counts=st.one_of(
            st.lists(st.integers(-5, 7000), max_size=6),
            st.integers(0, 6144).map(lambda n: [n, 6144 - n]),
            st.sampled_from([[2**62] * 4 + [6144], [2**63, 2**63, 6144],
                             [10**30], [6144.0], ['6144'], 6144, '', None,
                             [[6144]], True, {'a': 1}, 'o' * 200_000,
                             'o' * 20 + '0', [0] * 6144 + [6144]]),
            st.text(max_size=20),
            st.text(
                st.characters(min_codepoint=48, max_codepoint=111),
                max_size=60))))


class Outlines(Kind):
    """Polygons and run lengths."""
    share = 7

    def draw(self, draw):
        one = st.one_of(outlines, outlines, run_lengths)
        return draw(
            st.one_of(st.lists(one, min_size=1, max_size=4), run_lengths,
                      st.integers(1, 300).map(lambda n: [[0, 0, 9e5, 9e5, 0,
                                                          9e5]] * n)))

    def run(self, case):
        line = dict(_lines()[0], segmentation=case)
        self.write('refs.jsonl', _dumps(line))
        return self.try_lines(expected=1)


class Masks(Kind):
    """Files of masks."""
    share = 5

    def draw(self, draw):
        return draw_image(draw)

    def run(self, case):
        put_image(self.folder / 'images' / 'mask.png', case)
        line = dict(_lines()[0], mask='mask.png')
        line.pop('segmentation')
        self.write('refs.jsonl', _dumps(line))
        return self.try_lines(expected=1)


def draw_image(draw):
    """Bytes of an image file; None for no file, a str for a folder."""
    files = pictures.whole_images()
    name = draw(st.sampled_from(sorted(files)))
    random = Random(draw(st.integers(0, 2**32)))
    what = random.random()
    if what < 0.1:
        return files[name]
    if what < 0.6:
        return change_bytes(draw, files[name])
    if what < 0.7:
        return files[name][:random.randrange(len(files[name]))]
    if what < 0.8:
        sides = (0, 1, 63, 97, 97, 500, 5000, 40_000, 2**31 - 1)
        return pictures.declare_size(name, files[name], random.choice(sides),
                                     random.choice(sides))
    return random.choice(
        (None, 'folder', b'', b'\x00', b'no image\n' * 20, b'\xff\xd8\xff',
         b'\x89PNG\r\n\x1a\n', b'GIF89a', b'<svg xmlns="x"/>', b'RIFF\xff\xff'
         b'\xff\xffWEBP', b'BM' + b'\xff' * 60, b'%PDF-1.4', b'PK\x03\x04'))


def put_image(path, content):
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    if content == 'folder':
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)


class Images(Kind):
    """Files of images, read by a dataset and by the inferencer."""
    share = 14
    config = Config(
        dict(test_pipeline=[
            dict(type='LoadRefImage'),
            dict(type='Resize', scale=(32, 32), keep_ratio=False),
            dict(type='LoadRefMask'),
            dict(type='PackSegInputs', meta_keys=('ori_shape', 'text'))
        ]))

    def __init__(self, *args):
        super().__init__(*args)
        self.write('refs.jsonl', _dumps(_lines()[0]))
        self.built = JSONLinesRefDataset(
            data_root=str(self.folder),
            ann_file='refs.jsonl',
            data_prefix=dict(img_path='images'))
        self.path = self.folder / 'images' / 'img_1.jpg'
        with DefaultScope.overwrite_default_scope('mmrefseg'):
            self.inference = InferencePipeline(self.config)
        bombs = self.folder.parent / 'bombs'
        bombs.mkdir(exist_ok=True)
        self.bombs = [pictures.bomb(), pictures.text_bomb()]

    def draw(self, draw):
        if draw(st.integers(0, 99)) == 0:
            return draw(st.sampled_from(self.bombs))
        return draw_image(draw)

    def run(self, case):
        put_image(self.path, case)
        outcome = self.oracle.item(self.built, 0)
        try:
            prepared = self.inference(list_images(str(self.path))[0])
        except Exception as error:
            return refusal(error, str(self.path))
        if prepared.image.dtype != np.uint8 or prepared.image.shape[2] != 3:
            raise Fault(f'an image of {prepared.image.shape}')
        if prepared.inputs.shape != (3, 32, 32):
            raise Fault('what the model gets is no picture')
        return outcome


words = st.one_of(
    plain_values.filter(lambda x: isinstance(x, str)),
    st.text(max_size=200),
    st.text(
        st.characters(categories=['Cc', 'Cf', 'Co', 'Cn', 'Zs', 'Mn', 'Me']),
        max_size=5),
    st.text(st.characters(categories=['So', 'Sk', 'Lo', 'Cs', 'Mc']),
            max_size=10),
    st.lists(
        st.sampled_from(['red', 'star', 'the', 'left', '\U0001f600', 'ÀÉ',
                         '\u200d', '\x07', '[SEP]', '##ing', 'ﬁ', '星']),
        max_size=60).map(' '.join))


class Sentences(Kind):
    """Sentences: dataset, tokenizer, encoder, drawing."""
    share = 8

    def __init__(self, *args):
        super().__init__(*args)
        self.visualizer = RefSegVisualizer(f'fuzz_{os.getpid()}')
        self.picture = np.zeros((40, 60, 3), np.uint8)
        self.mask = PixelData(data=torch.ones(1, 40, 60, dtype=torch.long))

    def draw(self, draw):
        return draw(words)

    def run(self, case):
        self.write('refs.jsonl', _dumps(dict(_lines()[0], text=case)))
        outcome = self.try_lines(expected=1)
        if outcome == REFUSED:
            return outcome
        with torch.no_grad():
            features = self.oracle.encoder([case, 'red'])
        if not torch.isfinite(features.words).all():
            raise Fault('features that are not finite')
        self.oracle.encoder.unknown_words(case)
        sample = SegDataSample(
            metainfo=dict(text=case, ref_id=1, sent_id=2, img_path='x.jpg'))
        sample.pred_sem_seg = self.mask
        drawn = self.visualizer.draw_sample(self.picture, sample)
        if drawn.dtype != np.uint8 or drawn.ndim != 3:
            raise Fault('no picture')
        (self.folder / f'{sample_name(sample)}.png').touch()
        return ACCEPTED


class Handed(Kind):
    """What is handed to the inferencer in Python: pixels and texts."""
    share = 4

    def __init__(self, *args):
        super().__init__(*args)
        with DefaultScope.overwrite_default_scope('mmrefseg'):
            self.inference = InferencePipeline(Images.config)

    def draw(self, draw):
        random = Random(draw(st.integers(0, 2**32)))
        texts = draw(
            st.one_of(words, st.lists(words, max_size=3),
                      st.lists(st.lists(words, max_size=2), max_size=3),
                      plain_values))
        if random.random() < 0.5:
            shape = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 9, 40]),
                                  max_size=4))
            kind = random.choice(('u1', 'u1', 'i4', 'u2', 'f4', 'f8', '?',
                                  'S3', 'O', 'c8'))
            return np.zeros(shape, kind), texts
        mode = random.choice(('1', 'L', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr',
                              'HSV', 'LAB', 'LA', 'PA', 'I', 'F', 'I;16',
                              'RGBX', 'RGBa'))
        size = random.choice(((1, 1), (5, 40), (0, 3), (300, 1)))
        return random.choice((Image.new(mode, size), None, 3, b'x', 'absent',
                              {}, [], [None], [[]])), texts

    def run(self, case):
        images, texts = case
        kinds = (*CLEAR, TypeError)
        try:
            listed = list_images(images)
            pair_texts(texts, listed)
        except Exception as error:
            return refusal(error, kinds=kinds)
        try:
            for image in listed:
                prepared = self.inference(image)
        except Exception as error:
            return refusal(error, 'image0', kinds=kinds)
        if prepared.image.dtype != np.uint8 or prepared.image.shape[2] != 3:
            raise Fault(f'an image of {prepared.image.shape}')
        return ACCEPTED


KINDS = {
    'refs pickle, values': RefsValues,
    'refs pickle, bytes': RefsBytes,
    'refs pickle, code': RefsCode,
    'instances.json, values': InstancesValues,
    'instances.json, bytes': InstancesBytes,
    'gRefCOCO and R-RefCOCO refs': GeneralRefs,
    'JSON lines, values': LinesValues,
    'JSON lines, bytes': LinesBytes,
    'polygons and run lengths': Outlines,
    'mask files': Masks,
    'image files': Images,
    'sentences': Sentences,
    'arrays, PIL images, texts': Handed,
}


def describe(case, folder):
    """Put down what a case consists of, to be looked at."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = case if isinstance(case, tuple) else (case, )
    for i, part in enumerate(parts):
        if isinstance(part, bytes):
            (folder / f'{i}.bin').write_bytes(part)
        else:
            buffer = io.StringIO()
            try:
                buffer.write(repr(part))
            except (RecursionError, ValueError) as error:
                buffer.write(f'not to be printed: {error}')
            (folder / f'{i}.txt').write_text(
                buffer.getvalue(), errors='backslashreplace')
