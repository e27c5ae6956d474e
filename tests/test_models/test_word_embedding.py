# Licensed under the Apache License, Version 2.0.
import pickle
from collections import Counter

import pytest
import torch
from make_vocabulary import count_words, main, vocabulary

from mmrefseg.models import WordEmbeddingEncoder
from mmrefseg.models.language_encoders import (TokenReplacement,
                                               sentence_tokenizer, split_words)

WORDS = ['<pad>', '<go>', '<eos>', '<unk>', 'the', 'red', 'circle', 'left',
         'of', ',', 'star']
TEXTS = ['red circle', 'The star, left of THE circle.', 'red']


@pytest.fixture
def vocab(tmp_path):
    path = tmp_path / 'words.txt'
    path.write_text('\n'.join(WORDS) + '\n', encoding='utf-8')
    return str(path)


@pytest.fixture
def build(vocab):

    def build(**kwargs):
        torch.manual_seed(0)
        return WordEmbeddingEncoder(**{'vocab': vocab, 'channels': 8,
                                       **kwargs})

    return build


@pytest.mark.parametrize('text, expected', [
    ('  The man, on the left.  ', 'the man , on the left'),
    ("woman's 2nd hat", "woman ' s 2nd hat"),
    ('a.b.', 'a . b'),
    ('left!!', 'left !!'),
    ('left..', 'left ..'),
    ('red  -  blue\tstar\n', 'red - blue star'),
    ('.', '.'),
    ('CAFE\u0301 \u4eba', 'caf\xe9 \u4eba'),
])
def test_splitting(text, expected):
    assert split_words(text) == expected.split()


def test_words_become_numbers(build):
    encoder = build()
    features = encoder(TEXTS)
    assert encoder.out_channels == 8 and encoder.max_tokens == 20
    assert features.mask.tolist() == [[True] * 2 + [False] * 5, [True] * 7,
                                      [True] + [False] * 6]
    table = encoder.vectors.weight
    assert table.shape == (11, 8) and table.abs().max() <= 0.08
    assert table.abs().max() > 0.07
    assert torch.equal(features.words[0, :2], table[[5, 6]])
    assert torch.equal(features.words[1],
                       table[[4, 10, 9, 7, 8, 4, 6]])
    assert not features.words[0, 2:].any()
    torch.testing.assert_close(features.sentence[0], table[[5, 6]].mean(0))
    assert torch.equal(
        build(pooling='last')(TEXTS).sentence[1], table[6])


def test_unknown_words(build):
    encoder = build()
    text = 'the Crimson disc of Crimson'
    assert encoder.tokens(text) == ['the', '<unk>', '<unk>', 'of', '<unk>']
    assert encoder.unknown_words(text) == ['Crimson', 'disc']
    assert torch.equal(
        encoder([text]).words[0, 1], encoder.vectors.weight[3])
    assert encoder.unknown_words('The RED circle.') == []
    assert build(lower_case=False).unknown_words('The red') == ['The']


def test_the_packaged_vocabulary():
    encoder = WordEmbeddingEncoder(vocab='synthetic', channels=8)
    text = 'the small red circle to the left of the blue square'
    assert encoder.tokens(text) == text.split()
    assert encoder.tokens('qwerty') == ['[UNK]']


def test_long_sentences_lose_their_end(build, monkeypatch):
    said = []
    monkeypatch.setattr(sentence_tokenizer, 'print_log',
                        lambda message, *_: said.append(message))
    encoder = build(max_tokens=3)
    assert encoder.tokens('red red star left') == ['red', 'red', 'star']
    assert encoder(['red red star left']).words.shape == (1, 3, 8)
    assert len(said) == 1 and '4 tokens is cut to max_tokens=3' in said[0]
    assert encoder.unknown_words('red red red gone') == ['gone']


def test_padding_to_the_longest(build):
    features = build(pad_to_max=True)(['red'])
    assert features.words.shape == (1, 20, 8)
    assert features.mask.sum() == 1


def test_all_words_learn_and_frozen_ones_do_not(build):
    encoder = build()
    encoder(TEXTS).words.sum().backward()
    used = encoder.vectors.weight.grad.any(1)
    assert used.tolist() == [x not in WORDS[:4] for x in WORDS]
    frozen = build(frozen=True)
    assert not frozen.train()(TEXTS).words.requires_grad
    assert not any(p.requires_grad for p in frozen.parameters())


def test_init_weights_keeps_the_range(build):
    encoder = build()
    encoder.init_weights()
    assert 0.07 < encoder.vectors.weight.abs().max() <= 0.08


def test_it_can_be_sent_to_a_worker(build):
    other = pickle.loads(pickle.dumps(build()))
    assert torch.equal(other(TEXTS).words, build()(TEXTS).words)


@pytest.mark.parametrize('texts, error, message', [
    (['red', ''], ValueError, r"Sentence 1 .* has no word \(''\)"),
    (['\u200b'], ValueError, 'Sentence 0 .* has no word'),
    (['red', 3], TypeError, 'Sentence 1 is of type int, not str: 3'),
    ('red', TypeError, 'list of sentences'),
    ([], ValueError, 'texts is empty'),
])
def test_bad_sentences(build, texts, error, message):
    with pytest.raises(error, match=message):
        build()(texts)


@pytest.mark.parametrize('kwargs, error, message', [
    (dict(max_tokens=0), ValueError, 'max_tokens=0 leaves no room'),
    (dict(pooling='cls'), ValueError, "pooling='cls' is none of mean, last"),
    (dict(vocab='gone.txt'), FileNotFoundError,
     r"'gone.txt' is neither .*make_vocabulary.py makes one"),
])
def test_bad_arguments(build, kwargs, error, message):
    with pytest.raises(error, match=message):
        build(**kwargs)


@pytest.mark.parametrize('lines, missing', [
    (['<pad>', 'red'], '<unk> or .UNK.'),
    (['<unk>', 'red'], '<pad> or .PAD.'),
    ([], '<pad> or .PAD.'),
])
def test_vocabularies_without_special_words(build, tmp_path, lines, missing):
    path = tmp_path / 'bad.txt'
    path.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=f'bad.txt lacks {missing}: a voc'):
        build(vocab=str(path))


def test_of_equal_lines_the_first_counts(build, tmp_path):
    path = tmp_path / 'twice.txt'
    path.write_text('<pad>\n<unk>\nred\n\nred\nstar\n')
    encoder = build(vocab=str(path))
    assert encoder.tokenizer.encode('red star') == [2, 5]
    assert len(encoder.vectors.weight) == 6


# ------------------------------------------------------------- the command


def test_words_that_masked_training_may_replace(build):
    """An unknown word stands for a hidden one; special ones are not drawn."""
    encoder = build()
    ids = encoder.replacement_ids
    assert ids.mask == WORDS.index('<unk>') not in ids.special
    assert [WORDS[i] for i in ids.words] == WORDS[4:]
    hide = TokenReplacement(ids, ratio=1., shares=(1., 0., 0.))
    sentence = encoder.tokenizer.encode('red circle')
    assert hide(sentence) == [ids.mask] * 2
    hidden = encoder(['red circle'], replace=hide).words
    unknown = encoder(['xyz xyz']).words
    assert torch.equal(hidden, unknown)


def test_vocabulary():
    counts = count_words(['Red star.', 'red, blue', 'blue red'])
    assert counts == Counter(red=3, blue=2, star=1, **{',': 1})
    assert vocabulary(counts) == [
        '<pad>', '<go>', '<eos>', '<unk>', 'red', 'blue', ',', 'star'
    ]
    assert vocabulary(counts, 2)[4:] == ['red', 'blue']


def test_the_command(tmp_path, tiny_refer_root, capsys):
    config = tmp_path / 'config.py'
    config.write_text(f"""
train_dataloader = dict(dataset=dict(
    type='RefCOCODataset', data_root={str(tiny_refer_root)!r},
    ann_file='instances.json', data_prefix=dict(img_path='images/'),
    split_by=None, split_file='refs(unc).p', split='train', pipeline=[]))
""")
    out = tmp_path / 'words.txt'
    main([str(config), str(out)])
    lines = out.read_text().splitlines()
    # of the training sentences alone, and the most frequent first
    assert lines[4:7] == ['left', 'box', 'thing']
    assert set(lines[7:]) == set(
        'the big red one lower right corner top a'.split())
    said = capsys.readouterr().out
    assert '16 lines, 12 of 12 words of 6 sentences' in said
    assert '100.00%' in said
    encoder = WordEmbeddingEncoder(vocab=str(out), channels=2)
    assert encoder.unknown_words('The left taller box') == ['taller']
    main([str(config), str(out), '--min-count', '2'])
    assert 'big' not in out.read_text().split()


def test_the_command_says_what_is_missing(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text("train_dataloader = dict(dataset=dict("
                      "type='RefCOCODataset', data_root='gone', "
                      "ann_file='x.json', split_by='unc', split='train', "
                      'pipeline=[]))')
    with pytest.raises(SystemExit, match='error: .*gone'):
        main([str(config), str(tmp_path / 'words.txt')])
