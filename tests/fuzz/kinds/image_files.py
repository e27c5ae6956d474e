# Licensed under the Apache License, Version 2.0.
"""Files of images and of masks."""

from random import Random

import numpy as np
import pictures
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mutations import change_bytes
from oracle import Fault, refusal

from mmrefseg.apis.inference.image_inputs import list_images
from mmrefseg.apis.inference.pipeline import InferencePipeline
from mmrefseg.datasets import JSONLinesRefDataset
from .base import Kind, dumps, lines


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


class Masks(Kind):
    """Files of masks."""
    share = 5

    def draw(self, draw):
        return draw_image(draw)

    def run(self, case):
        put_image(self.folder / 'images' / 'mask.png', case)
        line = dict(lines()[0], mask='mask.png')
        line.pop('segmentation')
        self.write('refs.jsonl', dumps(line))
        return self.try_lines(expected=1)


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
        self.write('refs.jsonl', dumps(lines()[0]))
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
        if prepared.pixels.dtype != np.uint8 or prepared.pixels.shape[2] != 3:
            raise Fault(f'an image of {prepared.pixels.shape}')
        if prepared.inputs.shape != (3, 32, 32):
            raise Fault('what the model gets is no picture')
        return outcome
