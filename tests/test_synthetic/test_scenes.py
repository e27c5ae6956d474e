# Licensed under the Apache License, Version 2.0.
"""What synthetic scenes look like and that they are always the same."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from mmrefseg.synthetic import build_scene
from mmrefseg.synthetic.scenes import AREAS, MAX_ANGLE, MIN_VISIBLE_SHARE
from mmrefseg.synthetic.shapes import (BODY_RGB, COLOURS, PATTERNS, SHAPES,
                                       SIZES, coverage, place_outline,
                                       unit_outline)


@pytest.fixture(scope='module')
def built():
    """150 scenes as (scene, sentences, picture)."""
    return [
        build_scene(split, i, size=160, seed=3)
        for split, count in (('train', 100), ('testB', 50))
        for i in range(count)
    ]


def test_a_scene_depends_on_its_arguments_alone():
    first = build_scene('val', 7, size=128, seed=5)
    build_scene('val', 8, size=128, seed=5)
    again = build_scene('val', 7, size=128, seed=5)
    assert np.array_equal(first[2], again[2])
    assert np.array_equal(first[0].labels, again[0].labels)
    assert first[1] == again[1]
    for other in (('val', 7, 128, 6), ('testA', 7, 128, 5),
                  ('val', 6, 128, 5)):
        split, index, size, seed = other
        scene = build_scene(split, index, size=size, seed=seed)[0]
        assert not np.array_equal(scene.labels, first[0].labels)


def test_scenes_stay_what_they_are_between_versions():
    """When this fails, generated data changed: raise GENERATOR_VERSION and
    say so in the change log, for weights and figures depend on it."""
    scenes = []
    for split in ('train', 'testB'):
        for index in range(4):
            scene, sentences, _ = build_scene(split, index, size=160, seed=0)
            scenes.append([[
                o.shape, o.colour, o.size, o.pattern,
                [round(160 * c) for c in o.centre], [s.text for s in found]
            ] for o, found in zip(scene.objects, sentences)])
    digest = hashlib.sha256(json.dumps(scenes).encode()).hexdigest()
    assert digest[:16] == 'de8bd5f6ec4d6bb5'


def test_numbers_sizes_and_visibility(built):
    counts, areas = [], []
    for scene, _, picture in built:
        n = scene.size
        assert picture.shape == (n, n, 3) and picture.dtype == np.uint8
        assert scene.labels.max() == len(scene.objects)
        counts.append(len(scene.objects))
        for i, item in enumerate(scene.objects):
            whole = np.count_nonzero(item.alpha >= 128) / n**2
            seen = scene.mask(i).sum() / n**2
            assert seen == pytest.approx(item.area)
            # Rastering adds about a quarter of a subpixel all round.
            assert AREAS[item.size][0] * 0.97 < whole
            assert whole < AREAS[item.size][1] * 1.06
            assert seen >= MIN_VISIBLE_SHARE * whole - 1e-9
            assert seen >= 0.01
            assert abs(item.angle) <= MAX_ANGLE
            areas.append(seen)
    assert set(counts) == {3, 4, 5, 6, 7, 8}
    assert min(areas) < 0.015 and max(areas) > 0.12
    # Even a large object that is partly hidden looks larger than a small one
    assert AREAS['large'][0] * MIN_VISIBLE_SHARE > 1.3 * AREAS['small'][1]


def test_some_objects_are_partly_hidden(built):
    hidden = [
        np.count_nonzero(item.alpha >= 128) > 1.05 * scene.mask(i).sum()
        for scene, _, _ in built for i, item in enumerate(scene.objects)
    ]
    assert 0.05 < np.mean(hidden) < 0.5


def test_every_word_occurs(built):
    items = [item for scene, _, _ in built for item in scene.objects]
    assert {item.shape for item in items} == set(SHAPES)
    assert {item.colour for item in items} == set(COLOURS)
    assert {item.size for item in items} == set(SIZES)
    assert {item.pattern for item in items} == set(PATTERNS)


def test_the_picture_shows_the_colours_that_are_named(built):
    names = list(BODY_RGB)
    palette = np.array([BODY_RGB[name] for name in names], float)
    right = []
    for scene, _, picture in built:
        for i, item in enumerate(scene.objects):
            inner = cv2.erode(scene.mask(i), np.ones((5, 5), np.uint8))
            rgb = picture[inner > 0][:, ::-1].astype(float)
            # The body takes more room than the stripes do.
            near = np.abs(rgb[:, None] - palette).sum(-1).argmin(1)
            name = names[np.bincount(near, minlength=8).argmax()]
            right.append(name == item.colour)
    assert np.mean(right) > 0.99


def test_the_background_is_muted(built):
    for scene, _, picture in built:
        back = picture[scene.labels == 0].astype(float)
        spread = back.mean(0)
        assert 50 < back.mean() < 200
        assert spread.max() - spread.min() < 60


@pytest.mark.parametrize('shape', SHAPES)
def test_outlines_have_area_one_and_their_middle_at_the_origin(shape):
    outline = place_outline(shape, 100.**2, 0.1, (150., 150.))
    mask = coverage(outline, (0, 0, 300, 300)) >= 128
    assert mask.sum() == pytest.approx(100**2, rel=0.02)
    ys, xs = np.nonzero(mask)
    assert xs.mean() + 0.5 == pytest.approx(150, abs=0.6)
    assert ys.mean() + 0.5 == pytest.approx(150, abs=0.6)


def test_shapes_can_be_told_apart():
    """Share of the convex hull and of the bounding box that is filled."""
    filled = {}
    for shape in SHAPES:
        outline = unit_outline(shape).astype(np.float32)
        hull = cv2.contourArea(cv2.convexHull(outline))
        box = np.prod(outline.max(0) - outline.min(0))
        filled[shape] = (1 / hull, 1 / box)
    for i, a in enumerate(SHAPES):
        for b in SHAPES[:i]:
            apart = np.abs(np.subtract(filled[a], filled[b])).max()
            # A triangle and a diamond fill half of their box, both convex.
            assert apart > 0.1 or {a, b} == {'triangle', 'diamond'}


def test_unknown_shape():
    with pytest.raises(ValueError, match='hexagon'):
        unit_outline('hexagon')
