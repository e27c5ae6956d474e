# Licensed under the Apache License, Version 2.0.
"""From an instances file to JSON lines, photo by photo."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import cv2

from mmrefseg.fileio.atomic import open_atomically
from mmrefseg.fileio.masks import unite
from mmrefseg.fileio.messages import name_some
from .absent import AbsentFinder
from .coco_file import Instances
from .colours import ColourShares
from .facts import KINDS, Fact, FactFinder, pairs
from .layout import Layout, make_layout
from .phrasing import choose_noun, phrase

# How often each kind is drawn where an object has facts of several.
_WEIGHTS = {
    'category': 3.,
    'place': 4.,
    'size': 1.5,
    'relation': 2.5,
    'with': 1.5,
    'colour': 1.5
}
_TRIES = 4
_PLURALS_A_PHOTO = 4


@dataclass(frozen=True)
class RefOptions:
    """What sentences are derived.

    Attributes:
        kinds (tuple[str]): Of ``KINDS``. 'colour' needs the images.
        per_object (int): At most so many sentences for an object.
        no_target (float): Share of sentences without a target, below 1.
        min_area (float): Share of the photo below which an object is no
            target.
        ignore_below (float): Share of the photo below which an object does
            not make a sentence ambiguous.
        seed (int): With the photo's id it determines the sentences.

    Raises:
        ValueError: An unknown kind, or a number out of range.
    """
    kinds: tuple[str, ...] = KINDS[:5]
    per_object: int = 6
    no_target: float = 0.
    min_area: float = 0.004
    ignore_below: float = 0.
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ValueError(
                f'There is no kind {name_some(unknown) or "at all"}: choose '
                f'of {", ".join(KINDS)}.')
        if self.per_object < 1 or not 0 <= self.no_target < 1 or not (
                0 <= self.ignore_below <= self.min_area < 1):
            raise ValueError(
                'per_object must be at least 1, no_target a share below 1, '
                'and 0 <= ignore_below <= min_area < 1; got '
                f'{self.per_object}, {self.no_target}, {self.ignore_below} '
                f'and {self.min_area}.')


@dataclass(frozen=True)
class DerivedRef:
    """A sentence about a photo.

    Attributes:
        text (str): The sentence.
        kind (str): One of ``KINDS``.
        targets (tuple[int]): Indices of the objects meant; empty of a
            no-target sentence.
        wrong (str, optional): What of a no-target sentence fails.
        fact (Fact, optional): What it says.
    """
    text: str
    kind: str
    targets: tuple[int, ...]
    wrong: str | None = None
    fact: Fact | None = None


def derive_refs(layout: Layout,
                options: RefOptions,
                *,
                colours: ColourShares | None = None,
                frequencies: Mapping[str, float] | None = None,
                names_only: bool = False) -> list[DerivedRef]:
    """The sentences about one photo.

    Args:
        layout (Layout): The photo.
        options (RefOptions): What to derive.
        colours (ColourShares, optional): For kind 'colour'.
        frequencies (Mapping, optional): For no-target sentences: how often
            to name each category where it is absent.
        names_only (bool): Call each category by its name alone. Defaults to
            False.

    Returns:
        list[DerivedRef]: Sentences of each object in turn, then those about
        several objects and about none. They depend on the photo, the options
        and the seed alone.
    """
    rng = Random(f'{options.seed}:{layout.image_id}')
    finder = FactFinder(layout, colours, names_only)
    facts = finder.find(options.kinds)
    refs: list[DerivedRef] = []
    for i in range(len(layout)):
        if layout.target[i]:
            own = [x for x in facts if x.targets == (i, )
                   and x.kind != 'plural']
            refs += _sentences(rng, finder, own, options.per_object)
    if 'plural' in options.kinds:
        several = [x for x in facts if x.kind == 'plural']
        rng.shuffle(several)
        two = list(pairs(finder))
        rng.shuffle(two)
        chosen = several[:_PLURALS_A_PHOTO] + two[:1]
        for fact in chosen:
            refs += _sentences(rng, finder, [fact], 2)
    share = options.no_target
    if 'no_target' in options.kinds and not share:
        share = 0.15
    if share and refs:
        absent = AbsentFinder(finder, frequencies or {})
        count = len(refs) * share / (1 - share)
        number = int(count) + (rng.random() < count % 1)
        texts = {x.text.lower() for x in refs}
        for _ in range(number):
            made = absent.make(rng)
            if made and made[0].lower() not in texts:
                texts.add(made[0].lower())
                refs.append(DerivedRef(made[0], 'no_target', (), made[1]))
    return refs


def _sentences(rng: Random, finder: FactFinder, facts: Sequence[Fact],
               number: int) -> Iterator[DerivedRef]:
    """Different sentences for some facts of the same things, the kinds in
    turn."""
    by_kind: dict[str, list[Fact]] = {}
    for fact in facts:
        by_kind.setdefault(fact.kind, []).append(fact)
    texts = set()
    for _ in range(number if by_kind else 0):
        for _ in range(_TRIES):
            kinds = list(by_kind)
            kind = rng.choices(kinds, [_WEIGHTS.get(x, 1.) for x in kinds])[0]
            fact = rng.choice(by_kind[kind])
            text = word_fact(rng, finder, fact)
            if text and text.lower() not in texts:
                texts.add(text.lower())
                yield DerivedRef(text, kind, fact.targets, fact=fact)
                break


def word_fact(rng: Random, finder: FactFinder, fact: Fact) -> str:
    """A fact in words, or an empty text where the words do not fit."""
    words = finder.words
    nouns = words.any_nouns(rng, fact.group)
    if fact.kind != 'plural':
        nouns = words.nouns(fact.group, fact.targets[0],
                            fact.kind == 'category')
    noun = choose_noun(rng, nouns)
    mark = None
    if fact.mark:
        of_mark = words.any_nouns(rng, fact.mark)
        mark = choose_noun(rng, [x for x in of_mark if not x.bare] or of_mark)
    return phrase(rng, fact.form, noun, mark=mark)


def write_refs(instances: Instances,
               out_file: str | Path,
               options: RefOptions,
               *,
               images: str | Path | None = None,
               split: str | None = None) -> Counter:
    """Derive the sentences of all photos and write them as JSON lines.

    Args:
        instances (Instances): The photos.
        out_file (str | Path): For
            :class:`~mmrefseg.datasets.JSONLinesRefDataset`.
        options (RefOptions): What to derive.
        images (str | Path, optional): Folder of the photos; kind 'colour'
            needs it.
        split (str, optional): Written in every line.

    Returns:
        Counter: Sentences of each kind.

    Raises:
        FileNotFoundError: A photo is missing.
        ValueError: Kind 'colour' without images, no-target sentences about
            a federated set, or an annotation that cannot be drawn.
    """
    if 'colour' in options.kinds and images is None:
        raise ValueError('Colours are seen in the photos: give their folder '
                         '(--images), or leave out the kind "colour".')
    if instances.federated and (options.no_target
                                or 'no_target' in options.kinds):
        raise ValueError('Of an image of LVIS only some categories were '
                         'looked for, so nothing says that a thing is '
                         'absent: leave out --no-target.')
    frequencies: Counter = Counter()
    for annotations in instances.annotations.values():
        frequencies.update({instances.names[x['category_id']]
                            for x in annotations})
    # Rare ones a little more often than they are there.
    weights = {x: n**0.7 for x, n in sorted(frequencies.items())}
    counts: Counter = Counter()
    sent_id = 0
    with open_atomically(out_file) as file:
        for image in instances.images:
            layout = make_layout(
                image,
                instances.annotations[image['id']],
                instances.names,
                min_area=options.min_area,
                ignore_below=options.ignore_below)
            colours = None
            if 'colour' in options.kinds:
                colours = _read_colours(layout, image, Path(str(images)))
            refs = derive_refs(
                layout,
                options,
                colours=colours,
                frequencies=weights,
                names_only=instances.federated)
            for line, kind in _lines(layout, image, refs, split):
                sent_id += 1
                line = line.replace('"@"', str(sent_id), 1) + '\n'
                file.write(line.encode())
                counts[kind] += 1
    return counts


def _read_colours(layout: Layout, image: Mapping[str, Any],
                  folder: Path) -> ColourShares | None:
    if not len(layout):
        return None
    path = folder / image['file_name']
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise FileNotFoundError(
            f'{path} is not there, or no image: --images is the folder that '
            'the file names of the instances file start from.')
    if pixels.shape[:2] != (layout.height, layout.width):
        pixels = cv2.resize(pixels, (layout.width, layout.height))
    return ColourShares(layout, pixels)


def _lines(layout: Layout, image: Mapping[str, Any],
           refs: Sequence[DerivedRef],
           split: str | None) -> Iterator[tuple[str, str]]:
    """JSON of each sentence, and its kind; the polygons of an object are
    written once and copied."""
    drawn: dict[tuple[int, ...], str] = {}
    shared = dict(
        image=image['file_name'],
        image_id=image['id'],
        height=layout.height,
        width=layout.width)
    if split is not None:
        shared['split'] = split
    head = json.dumps(shared)[:-1]
    for number, ref in enumerate(refs):
        own: dict[str, Any] = dict(text=ref.text, kind=ref.kind)
        chosen = [layout.annotations[i] for i in ref.targets]
        if not chosen:
            own.update(
                ref_id=f'{image["id"]}:none{number}',
                no_target=True,
                wrong=ref.wrong)
        elif len(chosen) == 1:
            own.update(
                ref_id=str(chosen[0]['id']),
                ann_id=chosen[0]['id'],
                category_id=chosen[0]['category_id'])
        else:
            numbers = '+'.join(str(i) for i in ref.targets)
            own.update(ref_id=f'{image["id"]}:{numbers}')
        text = f'{head}, {json.dumps(own)[1:-1]}, "sent_id": "@"'
        if chosen:
            if ref.targets not in drawn:
                drawn[ref.targets] = json.dumps(
                    chosen[0]['segmentation'] if len(chosen) ==
                    1 else unite(x['segmentation'] for x in chosen))
            text += f', "segmentation": {drawn[ref.targets]}'
        yield text + '}', ref.kind
