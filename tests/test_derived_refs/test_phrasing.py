# Licensed under the Apache License, Version 2.0.
"""Sentences read like those of people, and there are many of each form."""

import re
from random import Random

import pytest

from mmrefseg.derived_refs.phrasing import choose_noun, phrase
from mmrefseg.derived_refs.vocabulary import NOUNS, nouns_of

COCO = tuple(NOUNS)[:80]
MARKED = [('relation', x) for x in
          ('left', 'right', 'above', 'below', 'under', 'next to', 'closest',
           'farthest', 'on', 'riding', 'standing on')
          ] + [('with', x) for x in ('with', 'without', 'next to a')]
PLACES = [('place', x) for x in
          ('left', 'top', 'most right', 'most bottom', 'far left',
           'half top', 'two right', 'second left', 'third right', 'middle',
           'centre', 'top left', 'corner bottom right')]
ALONE = [('category', ), *PLACES,
         *(('size', x) for x in ('largest', 'smallest', 'larger', 'smaller')),
         ('colour', 'grey', False), ('colour', 'red', True)]
SEVERAL = [('all', 2), ('all', 3), ('all', 12), ('leaders', 'left', 2),
           ('pair', )]


def texts(form, noun='dog', mark='cat', number=400, exists=True):
    rng = Random(0)
    marked = form[0] in ('relation', 'with', 'pair')
    found = {
        phrase(
            rng,
            form,
            choose_noun(rng, nouns_of(noun)),
            mark=nouns_of(mark)[0] if marked else None,
            exists=exists)
        for _ in range(number)
    }
    return {text for text in found if text}


@pytest.mark.parametrize('form', ALONE + MARKED + SEVERAL, ids=str)
def test_there_are_many_ways_to_say_it(form):
    assert len(texts(form)) > 100


@pytest.mark.parametrize('form', ALONE + MARKED + SEVERAL, ids=str)
def test_no_sentence_is_malformed(form):
    for noun in ('person', 'scissors', 'broccoli', 'apple', 'pizza', 'skis',
                 'potted plant', 'sheep'):
        for text in texts(form, noun, 'umbrella', 150):
            assert not re.search(r'[{}]|  |^ | $|\bthe the\b|\ba the\b', text)
            assert not re.search(r'\b[Aa] [aeio]', text), text
            assert not re.search(r'\b[Aa]n [^aeiou]', text), text
            assert not re.search(r'\b(the|a) (someone|somebody)\b', text)
            assert len(re.findall('picture|photo|image|frame|scene',
                                  text)) < 2, text


def test_what_people_say_of_the_left_one():
    found = {x.lower().rstrip('.') for x in texts(('place', 'left'), 'zebra',
                                                  number=3000)}
    assert {'left zebra', 'zebra on left', 'the zebra on the left',
            'zebra left'} <= found
    assert any(x.startswith('where is') and x.endswith('?') for x in found)
    assert any('striped animal' in x for x in found)


def test_the_left_of_the_two_dogs_needs_its_article():
    found = texts(('place', 'two left'), number=3000)
    assert any(x.endswith('the left of the two dogs') for x in found)
    assert not any(re.match('(left|right) of the', x, re.I) for x in found)
    assert any('left one of the two dogs' in x for x in found)


def test_verbs_go_with_the_nouns():
    for text in texts(('place', 'left'), 'scissors', number=600):
        assert not re.search(r'(?<!pair of )scissors is|is the scissors',
                             text), text
    people = texts(('relation', 'left'), 'person', number=600)
    assert any(re.search(r'\bwho is\b', x) for x in people)
    assert not any('person that' in x for x in people)
    for text in texts(('all', 3), 'dog', number=600):
        assert not re.search(r'are (every|each)|is (all|the)', text), text


def test_food_and_scissors_are_not_counted():
    for form in (('place', 'second left'), ('size', 'largest'), ('all', 3)):
        for text in texts(form, 'broccoli', number=600):
            assert not re.search(
                r'(second|2nd|largest|three|each|every) broccoli', text), text


def test_without_takes_no_second_article():
    found = texts(('with', 'without'), 'person', 'tie', 600)
    assert any(re.search(r'no tie\b', x) for x in found)
    assert not any('no a ' in x for x in found)


def test_nothing_is_told_to_exist_that_is_absent():
    there = re.compile('there is|i see|i can see', re.I)
    assert any(there.match(x) for x in texts(('category', ), number=1000))
    assert not any(
        there.match(x)
        for x in texts(('category', ), number=1000, exists=False))


def test_names_are_said_most():
    rng = Random(1)
    said = [choose_noun(rng, nouns_of('person')).one for _ in range(2000)]
    assert 0.4 < said.count('person') / 2000 < 0.85
    assert len(set(said)) == len(nouns_of('person'))


def test_no_word_of_the_wrong_side():
    for form in PLACES + MARKED[:4]:
        words = form[1].split()
        for one, other in (('left', 'right'), ('top', 'bottom'),
                           ('above', 'below')):
            for word, wrong in ((one, other), (other, one)):
                if word in words:
                    assert not any(
                        re.search(rf'\b{wrong}(?! next| beside)', x)
                        for x in texts(form)), form
