# Licensed under the Apache License, Version 2.0.
import pytest

from mmrefseg.registry import DATASETS
from mmrefseg.synthetic import vocabulary
from replaced_words import ReplacedWords
from synonyms import UNSEEN_WORDS

TEXTS = [
    'the red circle below the Red star',
    'a red square',
    'left of the circle',
    'striped thing',
    'an orange circled starfish',
]


class _Sentences:
    """The least of a dataset of refs."""
    metainfo = dict(classes=('background', 'referent'))

    def __len__(self):
        return len(TEXTS)

    def get_data_info(self, index):
        return dict(text=TEXTS[index], ref_id=index)

    def pipeline(self, item):
        return item


def _shown(words, **kwargs):
    wrapped = ReplacedWords(dataset=_Sentences(), words=words, **kwargs)
    assert [wrapped.source(i)[1] for i in range(len(wrapped))
            ] == [wrapped[i]['text'] for i in range(len(wrapped))]
    return {
        wrapped.source(i)[0]: wrapped[i]['text']
        for i in range(len(wrapped))
    }


def test_whole_words_in_any_case():
    words = {'red': 'crimson', 'circle': 'disc', 'star': 'asterisk'}
    assert _shown(words) == {
        0: 'the crimson disc below the crimson asterisk',
        1: 'a crimson square',
        2: 'left of the disc',
    }


def test_sentences_without_such_a_word_are_left_out():
    wrapped = ReplacedWords(dataset=_Sentences(), words={'striped': 'banded'})
    assert len(wrapped) == 1
    assert wrapped[0] == dict(text='banded thing', ref_id=3)
    assert wrapped.metainfo is _Sentences.metainfo


def test_the_same_sentences_unchanged():
    words = {'RED': 'crimson', 'orange': 'tangerine'}
    assert _shown(words, replace=False) == {i: TEXTS[i] for i in (0, 1, 4)}
    assert set(_shown(words)) == {0, 1, 4}


def test_a_sentence_keeps_a_word():
    words = {'striped': '', 'thing': '', 'red': ''}
    assert _shown(words) == {
        0: 'the circle below the star',
        1: 'a square',
    }


def test_all_at_once():
    assert _shown({'red': 'circle', 'circle': 'red'})[0] == (
        'the circle red below the circle star')


@pytest.mark.parametrize('words, expected', [
    ({'red': 'azure'}, 'an azure square'),
    ({'red': 'Emerald'}, 'an Emerald square'),
    ({'red': 'crimson'}, 'a crimson square'),
    ({'red': ''}, 'a square'),
    ({'red square': 'box'}, 'a box'),
    ({'red': 'very red', 'red square': 'open box'}, 'an open box'),
])
def test_articles_several_words_and_none(words, expected):
    assert _shown(words)[1] == expected


def test_the_article_of_a_seen_word():
    assert _shown({'orange': 'tangerine'})[4] == (
        'a tangerine circled starfish')


@pytest.mark.parametrize('words, message', [
    ({}, 'at least one word'),
    ({' ': 'x'}, 'no empty one'),
    ({'purple': 'violet'}, 'No sentence .* words purple'),
])
def test_what_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        ReplacedWords(dataset=_Sentences(), words=words)


def test_by_config(tiny_refer_root):
    dataset = dict(
        type='RefCOCODataset',
        data_root=str(tiny_refer_root),
        ann_file='instances.json',
        data_prefix=dict(img_path='images/'),
        split_by='unc',
        split='train')
    wrapped = DATASETS.build(
        dict(
            type='mmrefseg.ReplacedWords',
            dataset=dict(dataset, type='mmrefseg.RefCOCODataset'),
            words={'red': 'crimson'}))
    assert [wrapped[i]['text'] for i in range(len(wrapped))
            ] == ['big crimson thing']
    assert wrapped[0]['ref_id'] == 1


def test_words_of_the_scenes():
    """Each old word is one of the scenes' words, and no new one is."""
    known = set(vocabulary())
    old = [word for words in UNSEEN_WORDS.values() for word in words]
    new = [x for words in UNSEEN_WORDS.values() for x in words.values()]
    assert set(old) <= known
    assert not set(new) & known
    assert len(set(old)) == len(old) and len(set(new)) == len(new)
    # What stands there instead is one word as well.
    assert all(word.isalpha() for word in new)
