# Licensed under the Apache License, Version 2.0.
"""Sentences, and what the tokenizer and the pictures make of them."""

import os

import numpy as np
import torch
from hypothesis import strategies as st
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mutations import plain_values
from oracle import ACCEPTED, REFUSED, Fault

from mmrefseg.visualization import RefSegVisualizer, sample_name
from .base import Kind, dumps, lines

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
        self.write('refs.jsonl', dumps(dict(lines()[0], text=case)))
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
