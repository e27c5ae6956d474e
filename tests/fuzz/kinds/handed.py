# Licensed under the Apache License, Version 2.0.
"""What is handed to the inferencer in Python."""

from random import Random

import numpy as np
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from mutations import plain_values
from oracle import ACCEPTED, CLEAR, Fault, refusal
from PIL import Image

from mmrefseg.apis.inference.image_inputs import list_images, pair_texts
from mmrefseg.apis.inference.pipeline import InferencePipeline
from .base import Kind
from .image_files import Images
from .sentences import words


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
        if prepared.pixels.dtype != np.uint8 or prepared.pixels.shape[2] != 3:
            raise Fault(f'an image of {prepared.pixels.shape}')
        return ACCEPTED
