# Licensed under the Apache License, Version 2.0.
"""Scenes in styles of their own: varied to look at, and as true as ever."""

import ast
import colorsys
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import mmrefseg.synthetic
from mmrefseg.synthetic import build_scene
from mmrefseg.synthetic.shapes import COLOURS, SHAPES
from mmrefseg.synthetic.styles import draw_any_background, sample_varied_scene
from mmrefseg.synthetic.styles.backgrounds import FIELDS
from mmrefseg.synthetic.styles.camera import photograph
from mmrefseg.synthetic.styles.colours import RANGES, named_colour
from mmrefseg.synthetic.styles.figures import OTHER_SHAPES, SceneFigures
from mmrefseg.synthetic.styles.layout import MAX_SIZE, MIN_SIZE, OTHER_COLOUR

PACKAGE = Path(mmrefseg.synthetic.__file__).parent
UNSEEN = ('unseenA', 'unseenB')


def generator(seed):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.fixture(scope='module')
def varied():
    """60 scenes as (scene, sentences, picture)."""
    return [build_scene('varied', i, size=160, seed=4) for i in range(60)]


@pytest.fixture(scope='module')
def unseen():
    """By split, 10 scenes each."""
    return {
        split: [build_scene(split, i, size=160, seed=4) for i in range(10)]
        for split in UNSEEN
    }


@pytest.mark.parametrize('split', ('varied', 'valVaried', *UNSEEN))
def test_a_scene_depends_on_its_arguments_alone(split):
    first = build_scene(split, 3, size=96, seed=2)
    build_scene(split, 4, size=96, seed=2)
    again = build_scene(split, 3, size=160, seed=2)  # has its own size
    assert np.array_equal(first[2], again[2])
    assert np.array_equal(first[0].labels, again[0].labels)
    assert first[1] == again[1]
    other = build_scene(split, 3, size=96, seed=3)
    assert not np.array_equal(first[0].labels, other[0].labels)


def test_scenes_stay_what_they_are_between_versions():
    """When this fails, generated data changed: raise GENERATOR_VERSION and
    say so in the change log, for weights and figures depend on it."""
    scenes = []
    for split in ('varied', *UNSEEN):
        for index in range(3):
            scene, sentences, _ = build_scene(split, index, size=160, seed=0)
            scenes.append([scene.size, [[
                o.shape, o.colour, o.size, o.pattern,
                [round(100 * c) for c in o.centre], [s.text for s in found]
            ] for o, found in zip(scene.objects, sentences)]])
    digest = hashlib.sha256(json.dumps(scenes).encode()).hexdigest()
    assert digest[:16] == '5069a4f9653465a2'


def test_other_things_have_no_sentence_of_their_names(varied):
    others, words = 0, set()
    for scene, sentences, _ in varied:
        assert len(scene.objects) <= 10  # ids of annotations
        others += sum(o.shape in OTHER_SHAPES for o in scene.objects)
        for sentence in sum(sentences, []):
            words |= set(sentence.text.split())
    assert others > 10
    assert not words & {*OTHER_SHAPES, OTHER_COLOUR}
    assert words >= {*SHAPES, *COLOURS, 'small', 'striped', 'left', 'above'}


def test_sizes_numbers_and_figures_vary(varied):
    sizes = [scene.size for scene, _, _ in varied]
    assert MIN_SIZE <= min(sizes) < 115 and 235 < max(sizes) <= MAX_SIZE
    counts = {len(scene.objects) for scene, _, _ in varied}
    assert min(counts) <= 3 and max(counts) >= 8
    for scene, _, picture in varied:
        assert picture.shape == (scene.size, scene.size, 3)
        assert picture.dtype == np.uint8
        large = [o.area for o in scene.objects if o.size == 'large']
        small = [o.area for o in scene.objects if o.size == 'small']
        if large and small:  # even where a large one is partly hidden
            assert min(large) > 1.3 * max(small)


@pytest.mark.parametrize('shape', SHAPES + OTHER_SHAPES)
def test_figures_keep_area_and_place(shape):
    for seed in range(12):
        rng = generator(seed)
        style = SceneFigures(rng)
        points, _ = style.outline(rng, shape, 80.**2, (150., 150.))
        mask = np.zeros((300, 300), np.uint8)
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
        assert int(mask.sum()) == pytest.approx(80**2, rel=0.12)
        ys, xs = np.nonzero(mask)
        assert abs(xs.mean() - 150) < 4 and abs(ys.mean() - 150) < 4
        far = np.linalg.norm(points - 150, axis=1).max()
        assert far < 80 * style.reach(shape) * 1.25


def test_hues_with_different_names_do_not_meet():
    spans = sorted(hue for name, (hue, _, _) in RANGES.items()
                   if name not in ('white', 'black', 'grey'))
    for (_, end), (start, _) in zip(spans, spans[1:]):
        assert start - end >= 10
    assert spans[-1][1] - 360 < spans[0][0] - 10


@pytest.mark.parametrize('name', COLOURS)
def test_colours_are_what_they_are_called(name):
    rng = generator(5)
    for _ in range(50):
        rgb = named_colour(rng, name) / 255
        hue, saturation, value = colorsys.rgb_to_hsv(*rgb.tolist())
        if name == 'white':
            assert value > 0.9 and saturation < 0.06
        elif name == 'black':
            assert value < 0.16
        else:
            low, high = RANGES[name][0]
            assert low - 1 <= (hue * 360 + 30) % 360 - 30 <= high + 1
            assert saturation > 0.45 and value > 0.3


def test_backgrounds_are_of_many_kinds():
    images = [draw_any_background(generator(i), 64) for i in range(80)]
    for image in images:
        assert image.shape == (64, 64, 3) and image.dtype == np.float32
        assert image.min() >= 0 and image.max() <= 255
    light = [image.mean() for image in images]
    assert min(light) < 50 and max(light) > 210
    rough = [np.abs(np.diff(image, axis=0)).mean() for image in images]
    assert min(rough) < 0.1 and max(rough) > 20
    strong = [np.ptp(image.mean((0, 1))) for image in images]
    assert np.mean(np.array(strong) > 80) > 0.1  # as strong as named colours


@pytest.mark.parametrize('field', set(FIELDS), ids=lambda f: f.__name__)
def test_fields_are_numbers_of_an_image(field):
    for seed in range(4):
        mix = np.broadcast_to(field(generator(seed), 48), (48, 48))
        assert np.isfinite(mix).all()
        assert mix.min() > -0.5 and mix.max() < 1.6


def test_the_camera_keeps_the_picture():
    canvas = np.zeros((64, 64, 3), np.float32) + 60
    canvas[16:48, 16:48] = (230, 30, 30)
    taken = [photograph(generator(i), canvas.copy()) for i in range(40)]
    for image in taken:
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        blue, _, red = image[20:44, 20:44].reshape(-1, 3).mean(0)
        assert red > blue + 60
    assert len({image.tobytes() for image in taken}) == 40


def colours_found(built):
    """Share of plain things whose inner pixels have the hue of their name."""
    right = []
    for scene, _, picture in built:
        hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
        for i, item in enumerate(scene.objects):
            inner = cv2.erode(scene.mask(i), np.ones((5, 5), np.uint8)) > 0
            if item.pattern == 'striped' or not inner.any() or (
                    item.colour in ('white', 'black', OTHER_COLOUR)):
                continue
            hue = np.median((hsv[..., 0][inner] * 2. + 30) % 360 - 30)
            low, high = RANGES[item.colour][0]
            right.append(low - 9 <= hue <= high + 9)
    assert len(right) > 15
    return np.mean(right)


def test_masks_show_the_named_colours(varied, unseen):
    assert colours_found(varied) > 0.93
    for split in UNSEEN:
        assert colours_found(unseen[split]) > 0.93


def test_unseen_renderers_share_no_drawing_code():
    """Neither with the renderers of training, nor with each other."""
    used = {}
    for path in PACKAGE.rglob('*.py'):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or '').split('.')[0])
        used[path.relative_to(PACKAGE).as_posix()] = names
    drawing = {'cv2', 'rendering', 'styles', 'surfaces', 'backgrounds',
               'camera', 'shapes', 'lamps', 'paper', 'figures'}
    assert used['unseen/paper.py'] & drawing == set()
    assert used['unseen/lamps.py'] & {*drawing, 'PIL'} == set()
    for name, imports in used.items():
        if name.startswith('styles/') or name == 'rendering.py':
            assert not imports & {'PIL', 'unseen', 'lamps', 'paper'}, name


def test_sampling_gives_things_to_tell_apart():
    for seed in range(20):
        scene = sample_varied_scene(generator(seed))
        assert len(scene.objects) >= 2
        assert scene.labels.shape == (scene.size, scene.size)
