# Licensed under the Apache License, Version 2.0.
"""Synthetic sentences about several objects, and about none.

The reader below was written apart from the generator and sees only words and
masks. It reads generously (every object that anybody might take the words to
mean) and strictly (those that everybody would).
"""

import hashlib
import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmrefseg.datasets import OneSentencePerRefSampler
from mmrefseg.fileio.plain_pickle import loads_plain_pickle
from mmrefseg.synthetic import (KINDS, MULTI, NO_TARGET, Noun, Pair, Related,
                                build_scene, denote_several, describe_absent,
                                describe_several, full_vocabulary,
                                make_synthetic_refs, vocabulary)
from mmrefseg.synthetic.masks import decode_segmentation

ROOT = Path(__file__).parents[2]
VOCABULARY = resources.files('mmrefseg').joinpath(
    'models/language_encoders/vocabularies/synthetic-any.txt')
SHAPES = 'circle square triangle star diamond cross'.split()
COLOURS = 'red green blue yellow purple orange white black'.split()
ATTRIBUTES = {*SHAPES, *COLOURS, 'small', 'large', 'plain', 'striped'}
MEANS = dict(
    big='large', stripes='striped', upper='top', lower='bottom',
    center='middle', highest='topmost', lowest='bottommost',
    crosses='cross')  # yapf: disable
SIDES = {'left': (0, -1), 'right': (0, 1), 'top': (1, -1), 'bottom': (1, 1)}
OTHER = set(
    'a an the that is are and with object thing shape one objects things '
    'shapes ones on at in to side of picture all both every two three far '
    'furthest nearest closest middle'.split())


class Seen:

    def __init__(self, mask, item):
        ys, xs = np.nonzero(mask)
        self.words = {item.shape, item.colour, item.size, item.pattern}
        self.centre = np.array([xs.mean() + 0.5, ys.mean() + 0.5]) / len(mask)

    def towards(self, side):
        axis, sign = SIDES[side]
        return self.centre[axis] if sign > 0 else 1 - self.centre[axis]


def look(scene):
    return [Seen(scene.mask(i), o) for i, o in enumerate(scene.objects)]


def words_of(phrase):
    """Attributes that a phrase asks for, and places in it."""
    attributes, places = set(), set()
    for word in phrase.split():
        word = MEANS.get(word, word)
        if word.rstrip('s') in SHAPES:
            word = word.rstrip('s')
        if word in ATTRIBUTES:
            attributes.add(word)
        elif word.removesuffix('most') in SIDES:
            places.add(word.removesuffix('most'))
            if word.endswith('most'):
                places.add('most')
        else:
            assert word in OTHER, (word, phrase)
            if word == 'middle':
                places.add('middle')
            elif word in ('furthest', 'nearest', 'closest'):
                places.add('most')
    return attributes, places


def fits(phrase, seen):
    attributes, places = words_of(phrase)
    assert not places, phrase
    return {i for i, s in enumerate(seen) if attributes <= s.words}


def read(text, seen):
    """(generous, strict) sets of what a sentence means."""
    related = re.fullmatch(
        r'(.+?) (?:that (?:is|are) )?(?:(?:to|on) the )?(left|right) of the '
        r'(.+)', text) or re.fullmatch(
            r'(.+?) (?:that (?:is|are) )?(above|below) the (.+)', text)
    if related:
        first, side, second = related.groups()
        side = dict(above='top', below='bottom').get(side, side)
        marks = fits(second, seen)
        assert len(marks) == 1, text
        mark = seen[marks.pop()]
        return tuple({
            i
            for i in fits(first, seen) if stands(seen[i], mark, side, *limit)
        } for limit in ((0.0501, 2.19), (0.115, 0.85)))
    pair = re.fullmatch(r'the (.+) and the (.+)', text)
    if pair:
        both = [fits(x, seen) for x in pair.groups()]
        strict = both[0] | both[1] if [len(x) for x in both] == [1, 1
                                                                 ] else set()
        return both[0] | both[1], strict
    attributes, places = words_of(text)
    found = {i for i, s in enumerate(seen) if attributes <= s.words}
    if not places:
        return found, found
    if 'most' in places:
        return found, set()
    if places == {'middle'}:
        near = {
            i
            for i in found if np.hypot(*(seen[i].centre - 0.5)) < 0.33
        }
        return near, set()
    half = {
        i
        for i in found if all(seen[i].towards(s) > 0.42 for s in places)
    }
    return half, set()


def stands(item, mark, side, least, slope):
    axis, sign = SIDES[side]
    step = (item.centre - mark.centre) * sign
    return step[axis] > least and abs(step[1 - axis]) < slope * step[axis]


@pytest.fixture(scope='module')
def scenes():
    """(scene, groups, absent) of some hundred scenes."""
    found = []
    for split, count in (('train', 150), ('testB', 50)):
        for i in range(count):
            scene = build_scene(split, i, size=96, seed=5)[0]
            rng = np.random.default_rng((i, count))
            found.append((scene, describe_several(rng, scene.objects),
                          describe_absent(rng, scene.objects)))
    return found


def test_sentences_of_none_mean_nothing_even_read_generously(scenes):
    count = Counter()
    for scene, _, absent in scenes:
        seen = look(scene)
        for wrong, sentence in absent:
            assert sentence.kind == NO_TARGET
            assert read(sentence.text, seen)[0] == set(), sentence.text
            count[wrong] += 1
    assert set(count) == {'attribute', 'place', 'relation'}
    # Nearly every scene has one of each.
    assert min(count.values()) > 0.9 * len(scenes)


def test_they_deceive(scenes):
    """Something in the scene has the shape or the colour of the first
    noun; what is wrong is one detail."""
    near = 0
    for scene, _, absent in scenes:
        objects = scene.objects
        for wrong, sentence in absent:
            for noun in ([sentence.form] if isinstance(sentence.form, Noun)
                         else [sentence.form.first, sentence.form.second]
                         if isinstance(sentence.form, Pair) else
                         [sentence.form.noun]):
                assert any(o.shape == noun.shape or o.colour == noun.colour
                           for o in objects), sentence.text
                named = [
                    key for key in ('size', 'pattern', 'colour', 'shape')
                    if getattr(noun, key)
                ]
                # Without one of its words it would fit.
                assert wrong != 'attribute' or any(
                    sum(getattr(o, key) == getattr(noun, key)
                        for key in named) == len(named) - 1 for o in objects)
                seen_elsewhere = all(
                    any(getattr(o, key) == getattr(noun, key)
                        for o in objects) for key in named)
                near += seen_elsewhere
    # Mostly each of the words is true of something.
    assert near > 400


def test_sentences_of_several_mean_their_group(scenes):
    sizes, forms = Counter(), Counter()
    for scene, groups, _ in scenes:
        seen = look(scene)
        assert len(groups) <= 2
        for group, sentences in groups.items():
            assert 2 <= len(group) < len(seen)
            assert 1 <= len(sentences) <= 2
            for sentence in sentences:
                assert sentence.kind == MULTI
                assert read(sentence.text, seen) == (group, group), (
                    sentence.text, group)
                said = set(sentence.text.split())
                if said & {'both', 'two'}:
                    assert len(group) == 2
                if 'three' in said:
                    assert len(group) == 3
                forms[type(sentence.form)] += 1
            sizes[len(group)] += 1
    assert set(forms) == {Noun, Related, Pair} and min(forms.values()) > 20
    assert sizes[2] > sizes[3] > 5 and max(sizes) >= 4


def test_the_reader_finds_what_is_there(scenes):
    """Guards the guard: read in another scene, sentences of none often mean
    something, and those of several something else."""
    something = same = count = 0
    for (_, groups, absent), (other, _, _) in zip(scenes, scenes[1:]):
        seen = look(other)
        for sentence in [x for _, x in absent] + sum(groups.values(), []):
            try:
                generous, strict = read(sentence.text, seen)
            except AssertionError:  # the landmark is not there
                continue
            count += 1
            something += bool(generous)
            same += strict in map(set, groups)
    assert something > 0.12 * count and same < 0.05 * count


def test_the_words_are_those_of_the_vocabulary(scenes):
    stored = VOCABULARY.read_text(encoding='utf-8').split('\n')
    assert stored.pop() == '' and stored == full_vocabulary()
    # Embeddings of the smaller vocabulary fit.
    assert stored[:len(vocabulary())] == vocabulary()
    assert len(set(stored)) == len(stored)
    said = {
        word
        for _, groups, absent in scenes
        for sentence in [x for _, x in absent] + sum(groups.values(), [])
        for word in sentence.text.split()
    }
    assert said <= set(stored)
    assert set(stored) - set(vocabulary()) <= said


def test_pairs():
    objects = build_scene('train', 0, size=96, seed=0)[0].objects
    first, second = objects[0], objects[1]
    form = Pair(*(Noun(o.size, o.pattern, o.colour, o.shape)
                  for o in (first, second)))
    assert denote_several(form, objects).means(0, 1)
    same = Pair(form.first, form.first)
    assert denote_several(same, objects).open
    nothing = Pair(Noun(colour='no such'), Noun(shape='no such'))
    assert denote_several(nothing, objects).means()


COUNTS = dict(train=8, val=6, testA=0, testB=2)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """The same scenes with one and with any number of targets."""
    folder = tmp_path_factory.mktemp('general')
    for targets in ('one', 'any'):
        assert make_synthetic_refs(
            str(folder / targets), **COUNTS, size=96, targets=targets)
    return folder / 'one', folder / 'any'


def _digests(root, names):
    return {
        name: hashlib.sha256((root / name).read_bytes()).hexdigest()
        for name in names
    }


def test_scenes_of_any_targets_are_those_of_one(roots):
    one, any_ = roots
    names = ['instances.json'] + [
        f'images/{x.name}' for x in (one / 'images').iterdir()
    ]
    assert len(names) == 17
    assert _digests(one, names) == _digests(any_, names)
    classic = loads_plain_pickle(
        (one / 'refs(synthetic).p').read_bytes(), '')
    general = json.loads((any_ / 'grefs(synthetic).json').read_text())

    def told(refs):
        return [((ref['ann_id'] if isinstance(ref['ann_id'], list) else
                  [ref['ann_id']]), ref['image_id'],
                 [(x['sent'], x['kind']) for x in ref['sentences']])
                for ref in refs if ref['sentences'][0]['kind'] in KINDS]

    assert told(classic) == told(general)
    assert json.loads((one / 'synthetic.json').read_text()) == {
        k: v
        for k, v in json.loads((any_ / 'synthetic.json').read_text()).items()
        if k != 'targets'
    }


def test_layout_of_the_refs(roots):
    _, root = roots
    refs = json.loads((root / 'grefs(synthetic).json').read_text())
    instances = json.loads((root / 'instances.json').read_text())
    annotations = {x['id']: x for x in instances['annotations']}
    kinds, sent_ids = Counter(), []
    for ref in refs:
        kind = {x['kind'] for x in ref['sentences']}
        targets = ref['ann_id']
        if targets == [-1]:
            assert kind == {NO_TARGET} and len(ref['sentences']) == 1
            assert ref['category_id'] == [-1]
            assert ref['sentences'][0]['wrong'] in ('attribute', 'place',
                                                    'relation')
        else:
            assert (kind == {MULTI}) == (len(targets) > 1)
            assert [annotations[i]['category_id']
                    for i in targets] == ref['category_id']
            assert {annotations[i]['image_id']
                    for i in targets} == {ref['image_id']}
        kinds.update(x['kind'] for x in ref['sentences'])
        sent_ids += ref['sent_ids']
        assert ref['sent_ids'] == [x['sent_id'] for x in ref['sentences']]
    assert len(set(sent_ids)) == len(sent_ids)
    assert len({ref['ref_id'] for ref in refs}) == len(refs)
    assert set(kinds) == {*KINDS, MULTI, NO_TARGET}


def test_the_present_refs_stay_as_they_are(roots):
    """A trained model depends on them: raise GENERATOR_VERSION."""
    refs = json.loads((roots[1] / 'grefs(synthetic).json').read_text())
    text = json.dumps([[r['ann_id'], [x['sent'] for x in r['sentences']]]
                       for r in refs])
    assert hashlib.sha256(
        text.encode()).hexdigest()[:16] == '897fd216d5892949'


def test_dataset_reads_united_and_empty_masks(roots):
    init_default_scope('mmrefseg')
    cfg = Config.fromfile(
        ROOT / 'configs/_base_/datasets/synthetic_refs_nt_128.py')
    _, root = roots
    instances = json.loads((root / 'instances.json').read_text())
    parts = {x['id']: x['segmentation'] for x in instances['annotations']}
    for name in ('train', 'val'):
        loader = cfg[f'{name}_dataloader']
        loader.dataset.data_root = str(root)
        dataset = DATASETS.build(loader.dataset)
        kinds = Counter()
        for i in range(len(dataset)):
            item = dataset[i]
            sample = item['data_samples']
            kinds[sample.kind] += 1
            assert item['inputs'].shape == (3, 128, 128)
            assert sample.no_target == (sample.kind == NO_TARGET)
            mask = sample.gt_sem_seg.data[0].numpy()
            assert mask.any() != sample.no_target
            if name == 'val':
                expected = np.zeros((96, 96), np.int64)
                for ann_id in sample.ann_id:
                    expected |= decode_segmentation(parts[ann_id], 96, 96)
                assert np.array_equal(mask, expected)
        assert set(kinds) == {*KINDS, MULTI, NO_TARGET}
        groups = dataset.get_ref_groups()
        assert len(OneSentencePerRefSampler(dataset, seed=0)) == len(groups)


def test_targets_are_a_parameter_like_others(tmp_path):
    few = dict(train=1, val=0, testA=0, testB=0, size=96)
    folder = str(tmp_path / 'set')
    with pytest.raises(ValueError, match="targets is 'none'.*\"any\""):
        make_synthetic_refs(folder, **few, targets='none')
    assert make_synthetic_refs(folder, **few, targets='any')
    assert not make_synthetic_refs(folder, **few, targets='any')
    with pytest.raises(
            FileExistsError, match='targets=any instead of one.*--force'):
        make_synthetic_refs(folder, **few)
    assert make_synthetic_refs(folder, **few, force=True)
    with pytest.raises(FileExistsError, match='targets=one instead of any'):
        make_synthetic_refs(folder, **few, targets='any')
