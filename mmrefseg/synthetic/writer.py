# Licensed under the Apache License, Version 2.0.
"""Files of synthetic scenes in the layout of REFER or of gRefCOCO."""

import json
import os
import os.path as osp
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from .general_refs import general_refs
from .masks import encode_mask
from .rendering import render
from .scenes import Scene, SceneStyle, sample_scene
from .sentences import Sentence, describe_scene
from .shapes import SHAPES
from .styles import only_known_words, render_varied, sample_varied_scene
from .unseen import render_lamps, render_paper, sample_unseen_scene

# Raised whenever the same parameters no longer give the same data.
GENERATOR_VERSION = 1

SPLITS = ('train', 'val', 'testA', 'testB')
STYLES = {
    'train': SceneStyle(),
    'val': SceneStyle(),
    'testA': SceneStyle(),
    'testB': SceneStyle(counts=(6, 8), overlap=0.45, large=0.35),
}
# Further splits, written on request: many styles for training, and two ways
# of drawing that stay out of it. Each image has its own size.
MORE_SPLITS = ('varied', 'valVaried', 'unseenA', 'unseenB')
_DRAW = {
    'varied': (sample_varied_scene, render_varied),
    'valVaried': (sample_varied_scene, render_varied),
    'unseenA': (sample_unseen_scene, render_paper),
    'unseenB': (sample_unseen_scene, render_lamps),
}
_ALL_SPLITS = SPLITS + MORE_SPLITS
OTHER = 'other'  # category of the things that no sentence names
META_FILE = 'synthetic.json'
TARGETS = ('one', 'any')
_IDS_PER_SPLIT = 1_000_000


def build_scene(split: str, index: int, *, size: int,
                seed: int) -> tuple[Scene, list[list[Sentence]], np.ndarray]:
    """Build one scene, a function of its arguments alone.

    Args:
        split (str): One of ``SPLITS`` or ``MORE_SPLITS``.
        index (int): Number of the scene in its split.
        size (int): Side of the image in pixels; in ``MORE_SPLITS`` each
            scene has its own instead.
        seed (int): Seed of the whole set.

    Returns:
        tuple: The scene, for each object its sentences, and the image
        (size x size x 3 uint8 BGR).

    Example:
        >>> from mmrefseg.synthetic import build_scene
        >>> scene, sentences, image = build_scene('val', 0, size=96, seed=0)
        >>> image.shape, len(scene.objects) == len(sentences)
        ((96, 96, 3), True)
    """
    sequence = np.random.SeedSequence((seed, _ALL_SPLITS.index(split), index))
    rng, picture_rng = (
        np.random.Generator(np.random.PCG64(s)) for s in sequence.spawn(2))
    while True:
        draw: Callable = render
        if split in STYLES:
            scene = sample_scene(rng, size, STYLES[split])
        else:
            sample, draw = _DRAW[split]
            scene = sample(rng)
        sentences = only_known_words(describe_scene(rng, scene.objects))
        # A scene must offer a choice: two objects with sentences.
        if sum(map(bool, sentences)) >= 2:
            return scene, sentences, draw(picture_rng, scene)


def _annotations(scene: Scene, image_id: int) -> list[dict]:
    result = []
    for i, item in enumerate(scene.objects):
        mask = scene.mask(i)
        result.append(
            dict(
                id=image_id * 10 + i,
                image_id=image_id,
                category_id=(*SHAPES, item.shape).index(item.shape) + 1,
                segmentation=encode_mask(mask),
                area=int(cv2.countNonZero(mask)),
                bbox=list(cv2.boundingRect(mask)),
                iscrowd=0,
                attributes=dict(
                    shape=item.shape,
                    colour=item.colour,
                    size=item.size,
                    pattern=item.pattern)))
    return result


def _refs(annotations: list[dict], sentences: list[list[Sentence]],
          image: dict, split: str) -> list[dict]:
    result = []
    for annotation, found in zip(annotations, sentences):
        if not found:
            continue
        ref_id = annotation['id']
        records = [
            dict(
                sent_id=ref_id * 10 + i,
                raw=sentence.text,
                sent=sentence.text,
                tokens=sentence.text.split(),
                kind=sentence.kind) for i, sentence in enumerate(found)
        ]
        result.append(
            dict(
                ref_id=ref_id,
                ann_id=annotation['id'],
                image_id=image['id'],
                category_id=annotation['category_id'],
                split=split,
                file_name=image['file_name'],
                sent_ids=[record['sent_id'] for record in records],
                sentences=records))
    return result


def _write(folder: str, counts: dict[str, int], size: int, seed: int,
           targets: str) -> None:
    os.mkdir(osp.join(folder, 'images'))
    images, annotations, refs = [], [], []
    quality = [
        cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    ]
    categories = (*SHAPES, OTHER) if counts.get('varied') or counts.get(
        'valVaried') else SHAPES
    for number, split in enumerate(_ALL_SPLITS):
        for index in range(counts.get(split, 0)):
            scene, sentences, picture = build_scene(
                split, index, size=size, seed=seed)
            image: dict[str, Any] = dict(
                id=number * _IDS_PER_SPLIT + index + 1,
                file_name=f'{split}_{index:06d}.jpg',
                height=scene.size,
                width=scene.size)
            path = osp.join(folder, 'images', image['file_name'])
            if not cv2.imwrite(path, picture, quality):
                raise OSError(f'Cannot write the picture {path}.')
            found = _annotations(scene, image['id'])
            images.append(image)
            annotations += found
            new = _refs(found, sentences, image, split)
            if targets == 'any':
                new = general_refs(
                    new,
                    scene.objects,
                    found,
                    seed=(seed, number, index))
            refs += new
    with open(osp.join(folder, 'instances.json'), 'w') as file:
        json.dump(
            dict(
                info=dict(description='Synthetic scenes of mmrefseg'),
                licenses=[],
                images=images,
                annotations=annotations,
                categories=[
                    dict(id=i + 1, name=name, supercategory='shape')
                    for i, name in enumerate(categories)
                ]),
            file,
            separators=(',', ':'))
    if targets == 'any':
        with open(osp.join(folder, 'grefs(synthetic).json'), 'w') as file:
            json.dump(refs, file, separators=(',', ':'))
        return
    with open(osp.join(folder, 'refs(synthetic).p'), 'wb') as file:
        pickle.dump(refs, file, protocol=2)


def make_synthetic_refs(out_dir: str,
                        *,
                        train: int = 6000,
                        val: int = 250,
                        testA: int = 250,
                        testB: int = 250,
                        varied: int = 0,
                        valVaried: int = 0,
                        unseenA: int = 0,
                        unseenB: int = 0,
                        size: int = 160,
                        seed: int = 0,
                        targets: str = 'one',
                        force: bool = False) -> bool:
    """Write a set of synthetic scenes in the REFER layout.

    ``out_dir`` gets ``images/``, ``instances.json``, ``refs(synthetic).p``
    and ``synthetic.json`` with the parameters; with ``targets='any'`` the
    same images and sentences, and further sentences about several objects or
    none, all in gRefCOCO's ``grefs(synthetic).json``. The folder appears
    under its name only when it is complete. Scene number i of a split depends
    only on (seed, split, i, size): a larger set begins with the scenes of a
    smaller one.

    Args:
        out_dir (str): Folder to write.
        train, val, testA, testB (int): Scenes in each split.
        varied, valVaried (int): Scenes in two further splits, in which every
            scene has a style and a size of its own.
        unseenA, unseenB (int): Scenes in two splits that are drawn in ways
            which are kept out of training (see ``mmrefseg.synthetic.unseen``).
        size (int): Side of the images in pixels, at least 96; the four
            further splits have sizes of their own.
        seed (int): Seed of the whole set, at least 0.
        targets (str): 'one': every sentence has one target. 'any': some have
            several targets, some none.
        force (bool): Replace a set that was made with other parameters.

    Returns:
        bool: True if the set was written, False if it was present.

    Raises:
        ValueError: If a parameter is out of range.
        FileExistsError: If ``out_dir`` holds anything else than this set.

    Example:
        >>> import json, tempfile
        >>> from mmrefseg.synthetic import make_synthetic_refs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = make_synthetic_refs(
        ...         f'{folder}/refs', size=96, train=2, val=1, testA=0,
        ...         testB=0)
        ...     with open(f'{folder}/refs/instances.json') as file:
        ...         images = json.load(file)['images']
        >>> written, [image['file_name'] for image in images]
        (True, ['train_000000.jpg', 'train_000001.jpg', 'val_000000.jpg'])
    """
    counts = dict(train=train, val=val, testA=testA, testB=testB)
    more = dict(
        varied=varied, valVaried=valVaried, unseenA=unseenA, unseenB=unseenB)
    # sets without these splits were made before there were any
    counts.update((split, n) for split, n in more.items() if n)
    if size < 96 or seed < 0 or min(counts.values()) < 0 or max(
            counts.values()) >= _IDS_PER_SPLIT or not any(counts.values()):
        raise ValueError(
            f'Synthetic scenes need size >= 96, seed >= 0 and 0 to '
            f'{_IDS_PER_SPLIT - 1} scenes in each split, at least one in '
            f'all; got size={size}, seed={seed}, {counts}.')
    if targets not in TARGETS:
        raise ValueError(f'targets is {targets!r}: choose "one" or "any".')
    if targets == 'any' and any(more.values()):
        raise ValueError(
            f'The splits {", ".join(MORE_SPLITS)} have sentences of one '
            'target only: leave them at 0 scenes with targets="any".')
    meta = dict(
        generator_version=GENERATOR_VERSION,
        size=size,
        seed=seed,
        scenes=counts,
        styles={split: asdict(style) for split, style in STYLES.items()})
    if targets != 'one':  # sets of one target were made before this choice
        meta['targets'] = targets
    meta = json.loads(json.dumps(meta))
    out_dir = osp.abspath(out_dir)
    present = _read_meta(out_dir)
    if present == meta and not force:
        return False
    _check_free(out_dir, present, meta, force)
    os.makedirs(osp.dirname(out_dir), exist_ok=True)
    with tempfile.TemporaryDirectory(
            prefix='.' + osp.basename(out_dir) + '-',
            dir=osp.dirname(out_dir)) as parent:
        folder = osp.join(parent, 'new')
        os.mkdir(folder)
        _write(folder, counts, size, seed, targets)
        with open(osp.join(folder, META_FILE), 'w') as file:
            json.dump(meta, file, indent=1)
        if osp.exists(out_dir):
            shutil.move(out_dir, osp.join(parent, 'old'))
        os.rename(folder, out_dir)
    return True


def _read_meta(folder: str) -> dict | None:
    try:
        with open(osp.join(folder, META_FILE)) as file:
            meta = json.load(file)
    except (OSError, ValueError):
        return None
    known = isinstance(meta, dict) and 'generator_version' in meta
    return meta if known else None


def _check_free(out_dir: str, present: dict | None, meta: dict,
                force: bool) -> None:
    """Raise where writing would replace files of another kind or set."""
    if present is None:
        if osp.exists(out_dir) and (not osp.isdir(out_dir)
                                    or os.listdir(out_dir)):
            raise FileExistsError(
                f'{out_dir} holds something else than synthetic scenes: '
                'choose another folder.')
    elif not force:
        present, meta = ({'targets': 'one', **x} for x in (present, meta))
        changes = ', '.join(f'{key}={present.get(key)} instead of {value}'
                            for key, value in meta.items()
                            if present.get(key) != value)
        raise FileExistsError(
            f'{out_dir} holds scenes made with other parameters ({changes}): '
            'choose another folder, or pass --force (force=True) to replace '
            'them.')
