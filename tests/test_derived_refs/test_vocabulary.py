# Licensed under the Apache License, Version 2.0.
"""Nouns of COCO's categories: what they mean, how they are formed."""

import pytest

from mmrefseg.derived_refs.vocabulary import (NOUNS, article, near_misses,
                                              nouns_of, plural, too_like)

# The 80 of COCO, whatever other tests have asked for.
COCO = tuple(NOUNS)[:80]


def nouns(category):
    return {noun.one: noun for noun in nouns_of(category)}


def test_each_category_has_its_name_first():
    assert COCO[0] == 'person' and COCO[-1] == 'toothbrush'
    for category in COCO:
        first = nouns_of(category)[0]
        assert first.one == category and first.rank == 0
        assert category in first.extension


def test_most_categories_have_other_words():
    assert sum(len(nouns_of(x)) > 1 for x in COCO) >= 74


def test_a_word_means_the_same_things_wherever_it_is_said():
    meaning = {}
    for category in COCO:
        for noun in nouns_of(category):
            assert category in noun.extension
            assert meaning.setdefault(noun.one, noun.extension) == (
                noun.extension), noun.one


def test_no_word_says_more_than_the_category():
    words = {noun.one for x in COCO for noun in nouns_of(x)}
    assert words.isdisjoint(
        ('guy', 'man', 'woman', 'child', 'girl', 'boy', 'puppy', 'mug',
         'plate', 'desk', 'jet', 'parasol', 'calf'))


def test_shared_words():
    assert nouns('wine glass')['glass'].extension == {'wine glass', 'cup'}
    assert 'teddy bear' in nouns('bear')['bear'].extension
    assert 'animal' not in nouns('teddy bear')
    assert nouns('bicycle')['bike'].extension == {'bicycle', 'motorcycle'}
    assert nouns('pizza')['food'].open and not nouns('pizza')['pizza'].open


@pytest.mark.parametrize('one, many', [
    ('person', 'people'), ('bus', 'buses'), ('knife', 'knives'),
    ('couch', 'couches'), ('sheep', 'sheep'), ('kitty', 'kitties'),
    ('mouse', 'mice'), ('pair of skis', 'pairs of skis'),
    ('plant in a pot', 'plants in a pot'), ('toy', 'toys'),
    ('human', 'humans'), ('fireman', 'firemen'), ('box', 'boxes'),
    ('broccoli', 'broccoli'), ('piece of fruit', 'pieces of fruit'),
    ('wine glass', 'wine glasses'), ('toothbrush', 'toothbrushes')])
def test_plurals(one, many):
    assert plural(one) == many


@pytest.mark.parametrize('words, said', [
    ('apple', 'an'), ('person', 'a'), ('umbrella', 'an'), ('unicycle', 'a'),
    ('orange cup', 'an'), ('one-wheeler', 'a'), ('oven', 'an'),
    ('user', 'a'), ('hot dog', 'a'), ('individual', 'an')])
def test_articles(words, said):
    assert article(words) == said


def test_what_is_not_counted():
    scissors, food = nouns('scissors')['scissors'], nouns('pizza')['food']
    assert scissors.a == 'scissors' and scissors.verb == 'are'
    assert food.a == 'food' and food.verb_many == 'is'
    assert nouns('apple')['apple'].a == 'an apple'
    assert nouns('person')['someone'].a == 'someone'


def test_a_category_of_another_file():
    noun, = nouns_of('Traffic_Cone')
    assert (noun.one, noun.many) == ('traffic cone', 'traffic cones')
    assert noun.extension == {'Traffic_Cone'}


def test_near_misses_and_what_is_too_like():
    assert 'truck' in near_misses(['car'])
    assert 'car' not in near_misses(['dog'])
    assert too_like('truck', ['dog', 'car']) and not too_like('cat', ['car'])
    for category in COCO:  # both ways
        for other in near_misses([category]):
            assert category in near_misses([other])
