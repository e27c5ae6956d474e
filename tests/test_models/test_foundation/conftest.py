# Licensed under the Apache License, Version 2.0.
"""Foundation models of tiny random weights, and photos for them."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample

from mmrefseg.registry import MODELS

# Wrapped model: its type and the arguments that name weights.
MODELS_BY_NAME = {
    'clipseg': ('CLIPSegSegmentor', dict(pretrained='clipseg')),
    'gdino-sam':
    ('GroundedSAM', dict(detector='grounding-dino', segmenter='sam')),
    'owlv2-sam': ('GroundedSAM', dict(detector='owlv2', segmenter='sam')),
    'gdino-sam2':
    ('GroundedSAM', dict(detector='grounding-dino', segmenter='sam2')),
    'sam3': ('SAM3Segmentor', dict(pretrained='sam3')),
}
NAMES = tuple(MODELS_BY_NAME)
# Sentences of one, several and many tokens.
TEXTS = ('star', 'the red circle', 'a blue square on the left of the red star')
SIZES = ((40, 61), (40, 61), (33, 20))


@pytest.fixture(params=NAMES)
def name(request):
    """Each model in turn."""
    return request.param


@pytest.fixture(scope='session')
def settings(tiny_weights):
    """A function that gives the config of a model by its name, with
    changes."""

    def config(name, **changes):
        kind, weights = MODELS_BY_NAME[name]
        folders = {k: tiny_weights(v) for k, v in weights.items()}
        return dict(dict(folders, existence_threshold=0.),
                    type=kind,
                    **changes)

    return config


@pytest.fixture(scope='session')
def build(settings):
    """A function that builds a model by its name, with changes, once in a
    session: it is not to be changed."""
    built = {}

    def model(name, **changes):
        init_default_scope('mmrefseg')
        key = (name, repr(changes))
        if key not in built:
            built[key] = MODELS.build(settings(name, **changes)).eval()
        return built[key]

    return model


@pytest.fixture(scope='session')
def photos():
    """Three photos, H x W x 3, uint8, RGB; two of one size."""
    rng = np.random.default_rng(1)
    return [
        rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES
    ]


@pytest.fixture
def batch(photos):
    """A function that makes a batch as a data loader gives it (BGR):
    ``batch(rows=(0, 1, 2), texts=TEXTS)``."""

    def make(rows=(0, 1, 2), texts=TEXTS):
        inputs, samples = [], []
        for row, text in zip(rows, texts):
            image = np.ascontiguousarray(
                photos[row][..., ::-1].transpose(2, 0, 1))
            inputs.append(torch.from_numpy(image))
            samples.append(
                SegDataSample(
                    metainfo=dict(
                        img_path=f'{row}.jpg',
                        text=text,
                        ori_shape=photos[row].shape[:2])))
        return dict(inputs=inputs, data_samples=samples)

    return make
