# Licensed under the Apache License, Version 2.0.
import copy
import pickle

import pytest
import torch
from mmengine.model import BaseModule
from transformers import BertConfig, BertModel

from mmrefseg.models.language_encoders import (BertLanguageEncoder, bert,
                                               sentence_tokenizer)
from mmrefseg.models.language_encoders.bert_files import packaged_vocabularies
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures

TEXTS = ['red circle', 'The small star to the left of the blue squares', 'red']


@pytest.fixture
def build(tiny_vocab, tiny_arch):

    def build(arch=None, **kwargs):
        torch.manual_seed(0)
        kwargs = {'vocab': tiny_vocab, **kwargs}
        return BertLanguageEncoder(
            arch=dict(tiny_arch, **(arch or {})), **kwargs)

    return build


@pytest.fixture
def log(monkeypatch):
    messages = []
    monkeypatch.setattr(sentence_tokenizer, 'print_log',
                        lambda message, *_: messages.append(message))
    return messages


def test_known_words_are_known(build):
    encoder = build()
    assert encoder.tokens('The RED circles, leftest') == [
        '[CLS]', 'the', 'red', 'circle', '##s', ',', 'left', '##est', '[SEP]'
    ]
    assert encoder.tokens('café') == ['[CLS]', 'cafe', '[SEP]']
    assert encoder.unknown_words('The RED circles, leftest café') == []
    assert encoder.unknown_words('the Crimson disc of Crimson') == [
        'Crimson', 'disc'
    ]
    assert build(lower_case=False).unknown_words('The red') == ['The']


@pytest.mark.parametrize('name', packaged_vocabularies())
def test_packaged_vocabularies(name, tiny_arch):
    encoder = BertLanguageEncoder(arch=tiny_arch, vocab=name)
    text = 'the small red circle to the left of the blue square'
    assert encoder.tokens(text) == ['[CLS]', *text.split(), '[SEP]']


@pytest.mark.parametrize('words', ['', 'RED\nCIRCLE\n'])
def test_vocabulary_read_wrongly_is_noticed(build, monkeypatch, tmp_path,
                                            words):
    real = sentence_tokenizer.BertTokenizerFast
    other = tmp_path / 'other.txt'
    other.write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n' + words)

    def reads_another(path, do_lower_case):
        # As transformers 5 does when the path comes by keyword.
        return real(str(other), do_lower_case=do_lower_case)

    monkeypatch.setattr(sentence_tokenizer, 'BertTokenizerFast', reads_another)
    with pytest.raises(RuntimeError, match='knows no word of the vocabulary'):
        build()


def test_equals_transformers(build):
    encoder = build().eval()
    features = encoder(TEXTS)
    assert features.words.shape == (3, 13, 16)
    assert features.mask.dtype == torch.bool
    assert features.mask.sum(dim=1).tolist() == [4, 13, 3]
    # [CLS] red circle [SEP], numbers by the lines of the vocabulary
    ids = torch.tensor([[2, 6, 8, 3]])
    expected = encoder.bert(
        input_ids=ids,
        attention_mask=torch.ones_like(ids)).last_hidden_state[0]
    torch.testing.assert_close(
        features.words[0, :4], expected, atol=1e-6, rtol=0)
    assert (features.words[0, 4:] == 0).all()
    assert encoder.out_channels == 16
    assert encoder.max_tokens == 30


@pytest.mark.parametrize('pad_to_max', [False, True])
def test_padding_and_order_change_nothing(build, pad_to_max):
    encoder = build(pad_to_max=pad_to_max).double().eval()
    together = encoder(TEXTS)
    assert together.words.shape[1] == (30 if pad_to_max else 13)
    turned = encoder(TEXTS[::-1])
    torch.testing.assert_close(
        turned.words.flip(0), together.words, atol=1e-12, rtol=0)
    for i, text in enumerate(TEXTS):
        alone = build().double().eval()([text])
        length = alone.mask.sum()
        assert together.mask[i].sum() == length
        torch.testing.assert_close(
            together.words[i, :length],
            alone.words[0],
            atol=1e-12,
            rtol=0)


def test_long_sentence_is_cut_and_named(build, log):
    encoder = build(max_tokens=5)
    text = 'red circle left of the star'
    assert encoder.tokens(text) == [
        '[CLS]', 'red', 'circle', 'left', '[SEP]'
    ]
    assert encoder([text]).words.shape[1] == 5
    assert encoder.tokens('red circle left')[-2:] == ['left', '[SEP]']
    assert len(log) == 1
    assert text in log[0] and '8 tokens' in log[0] and '=5' in log[0]
    for i in range(30):
        encoder.tokens(f'red circle left of the star {i}')
    assert len(log) == 11
    assert 'without being named' in log[-1]
    # Unknown words beyond the limit count too.
    assert encoder.unknown_words('red red red red red crimson') == ['crimson']


@pytest.mark.parametrize('texts, error, message', [
    (['red', ''], ValueError, r"Sentence 1 .* has no word \(''\)"),
    (['  \t\n'], ValueError, 'Sentence 0 .* has no word'),
    (['\u200b'], ValueError, 'Sentence 0 .* has no word'),
    (['red', None], TypeError, 'Sentence 1 is of type NoneType'),
    (['red', 3], TypeError, 'Sentence 1 is of type int, not str: 3'),
    ('red circle', TypeError, "list of sentences, not str: 'red circle'"),
    (None, TypeError, 'list of sentences'),
    ([], ValueError, 'texts is empty'),
])
@pytest.mark.parametrize('cache', [False, True])
def test_bad_sentences(build, texts, error, message, cache):
    with pytest.raises(error, match=message):
        build(frozen=cache, cache=cache)(texts)


@pytest.mark.parametrize('kwargs, message', [
    (dict(max_tokens=2), 'max_tokens=2 leaves no room'),
    (dict(max_tokens=41), 'max_tokens=41 is more than the 40 positions'),
    (dict(arch=dict(vocab_size=99)), 'vocab_size=99 differs from the 23'),
    (dict(arch=dict(num_hidden_layer=2)), "'num_hidden_layer'.*"
     'mean num_hidden_layers'),
    (dict(trainable_layers=[0, 3]), r'names \[3\], .* layers 0 to 2'),
    (dict(cache=True), 'cache=True needs frozen=True'),
])
def test_bad_arguments(build, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_vocab_size_may_be_stated(build):
    assert build(arch=dict(vocab_size=23)).bert.config.vocab_size == 23


def test_dropout_acts_in_training_only(build):
    encoder = build()
    assert not torch.equal(encoder(TEXTS).words, encoder(TEXTS).words)
    encoder.eval()
    assert torch.equal(encoder(TEXTS).words, encoder(TEXTS).words)
    still = build(
        arch=dict(hidden_dropout_prob=0., attention_probs_dropout_prob=0.))
    assert torch.equal(still(TEXTS).words, still(TEXTS).words)


def test_frozen(build):
    encoder = build(frozen=True)
    holder = torch.nn.ModuleList([encoder]).train()
    assert holder.training and not encoder.training
    assert not any(module.training for module in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    words = encoder(TEXTS).words
    assert not words.requires_grad
    assert torch.equal(words, encoder(TEXTS).words)


def test_trainable_layers(build):
    encoder = build(trainable_layers=[0, 1], train_embeddings=False)
    trained = {
        name.split('.')[3]
        for name, p in encoder.named_parameters() if p.requires_grad
    }
    assert trained == {'0', '1'}
    encoder(TEXTS).words.sum().backward()
    assert encoder.bert.encoder.layer[2].output.dense.weight.grad is None
    assert encoder.bert.embeddings.word_embeddings.weight.grad is None


def test_every_trained_parameter_has_a_gradient(build):
    encoder = build().double()
    features = encoder(TEXTS)
    weights = torch.randn_like(features.words)
    (features.words * weights).sum().backward()
    without = []
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().max() > 1e-12, name
        else:
            without.append(name)
    assert without == [
        f'bert.encoder.layer.{i}.attention.self.key.bias' for i in range(3)
    ]


def test_key_biases_have_no_gradient_at_all(build):
    encoder = build().double().eval()
    for name in bert.UNTRAINED_PARAMETERS:
        biases = [
            p for n, p in encoder.named_parameters() if n.endswith(name)
        ]
        for bias in biases:
            bias.requires_grad_(True)
        encoder(TEXTS).words.square().sum().backward()
        assert len(biases) == 3
        assert all(bias.grad.abs().max() < 1e-12 for bias in biases)


def test_recomputing_activations_changes_nothing(build, monkeypatch):
    runs = []
    layer = 'BertIntermediate'
    module = getattr(
        __import__('transformers.models.bert.modeling_bert',
                   fromlist=[layer]), layer)
    real = module.forward
    monkeypatch.setattr(module, 'forward',
                        lambda self, x: runs.append(1) or real(self, x))
    gradients, times = [], []
    for with_cp in (False, True):
        encoder = build(with_cp=with_cp)
        runs.clear()
        torch.manual_seed(1)
        encoder(TEXTS).words.square().sum().backward()
        times.append(len(runs))
        gradients.append([
            p.grad for p in encoder.parameters() if p.grad is not None
        ])
    assert times == [3, 6]
    for plain, recomputed in zip(*gradients):
        torch.testing.assert_close(plain, recomputed)


def test_full_size_without_memory(bert_sized_vocab):
    with torch.device('meta'):
        encoder = BertLanguageEncoder(
            pretrained='bert-base-uncased', vocab=bert_sized_vocab)
    assert all(p.is_meta for p in encoder.parameters())
    assert sum(p.numel() for p in encoder.parameters()) == 108_891_648
    with torch.device('meta'):
        expected = BertModel(BertConfig(), add_pooling_layer=False)
    assert list(encoder.state_dict()) == [
        f'bert.{name}' for name in expected.state_dict()
    ]
    assert encoder.out_channels == 768


def test_built_by_name(tiny_vocab, tiny_arch):
    encoder = MODELS.build(
        dict(type='BertLanguageEncoder', vocab=tiny_vocab, arch=tiny_arch))
    assert isinstance(encoder, BertLanguageEncoder)


def test_init_weights_keeps_what_the_constructor_made(build):
    # transformers' own init_weights would draw new numbers.

    class Holder(BaseModule):

        def __init__(self, encoder):
            super().__init__()
            self.encoder = encoder

    encoder = build()
    before = copy.deepcopy(encoder.state_dict())
    Holder(encoder).init_weights()
    assert encoder.is_init
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_init_cfg(build, tmp_path):
    source = build()
    path = str(tmp_path / 'encoder.pth')
    torch.save(
        {k: torch.ones_like(v)
         for k, v in source.state_dict().items()}, path)
    encoder = build(init_cfg=dict(type='Pretrained', checkpoint=path))
    encoder.init_weights()
    assert all((p == 1).all() for p in encoder.parameters())


def test_copies(build):
    encoder = build(frozen=True, cache=True)
    words = encoder(TEXTS).words
    for other in (copy.deepcopy(encoder),
                  pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(other(TEXTS).words, words)


@pytest.mark.parametrize('options', [
    dict(), dict(pad_to_max=True), dict(frozen=True, cache=True),
    dict(frozen=True, cache=True, pad_to_max=True)
])
class TestPooling:
    """A sentence as one vector, alone and among longer ones."""

    def test_of_cls(self, build, options):
        features = build(pooling='cls', **options).eval()(TEXTS)
        assert torch.equal(features.sentence, features.words[:, 0])

    def test_of_all_tokens(self, build, options):
        encoder = build(**options).eval()
        assert encoder.pooling == 'mean'
        features = encoder(TEXTS)
        for i, text in enumerate(TEXTS):
            real = features.words[i, :len(encoder.tokens(text))]
            torch.testing.assert_close(features.sentence[i], real.mean(dim=0))
        default = LanguageFeatures(features.words, features.mask)
        assert torch.equal(features.sentence, default.sentence)

    def test_of_the_last_token(self, build, options):
        encoder = build(pooling='last', **options).eval()
        features = encoder(TEXTS)
        for i, text in enumerate(TEXTS):
            tokens = encoder.tokens(text)
            assert tokens[-1] == '[SEP]'
            assert torch.equal(features.sentence[i],
                               features.words[i, len(tokens) - 1])

    @pytest.mark.parametrize('pooling', ['cls', 'mean', 'last'])
    def test_padding_does_not_matter(self, build, options, pooling):
        encoder = build(pooling=pooling, **options).eval().double()
        together = encoder(TEXTS).sentence
        assert together.shape == (3, 16)
        for i, text in enumerate(TEXTS):
            torch.testing.assert_close(
                encoder([text]).sentence[0], together[i], atol=1e-12, rtol=0)


def test_unknown_pooling(build):
    with pytest.raises(ValueError, match="'max' is none of mean, cls, last"):
        build(pooling='max')


class TestCache:

    def test_changes_nothing(self, build):
        plain = build(frozen=True).double()
        cached = build(frozen=True, cache=True).double()
        for texts in (TEXTS, TEXTS[::-1], TEXTS[:1] * 3, ['blue', 'red']):
            expected, got = plain(texts), cached(texts)
            assert torch.equal(got.mask, expected.mask)
            torch.testing.assert_close(
                got.words, expected.words, atol=1e-12, rtol=0)
        assert 'cache' not in ''.join(cached.state_dict())

    def test_training_is_the_same(self, build):
        """What learns from the features does not notice the cache, neither
        when a sentence is new nor when it comes again."""
        learnt = []
        for cache in (False, True):
            encoder = build(frozen=True, cache=cache)
            holder = torch.nn.ModuleList([encoder]).train()
            torch.manual_seed(0)
            head = torch.nn.Linear(encoder.out_channels, 1)
            optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
            for texts in (TEXTS[:2], TEXTS[1:], TEXTS, TEXTS[::-1]):
                words = holder[0](texts).words
                assert not words.requires_grad
                optimizer.zero_grad()
                head(words).square().mean().backward()
                optimizer.step()
            learnt.append(head.weight.detach())
        torch.testing.assert_close(*learnt, atol=1e-6, rtol=0)

    def test_encodes_each_sentence_once(self, build, monkeypatch):
        encoder = build(frozen=True, cache=True)
        encoded = []
        real = encoder._encode
        monkeypatch.setattr(
            encoder, '_encode', lambda ids: encoded.extend(ids) or real(ids))
        encoder(TEXTS + TEXTS)
        encoder(TEXTS)
        assert len(encoded) == len(TEXTS)

    def test_padding_to_max(self, build):
        encoder = build(frozen=True, cache=True, pad_to_max=True)
        assert encoder(TEXTS).words.shape == (3, 30, 16)

    def test_forgets_with_new_weights(self, build):
        encoder = build(frozen=True, cache=True)
        before = encoder(TEXTS).words
        encoder.load_state_dict(
            {k: v * 2
             for k, v in encoder.state_dict().items()})
        assert not torch.equal(encoder(TEXTS).words, before)

    def test_forgets_when_a_parent_loads(self, build):
        encoder = build(frozen=True, cache=True)
        before = encoder(TEXTS).words
        parent = torch.nn.ModuleList([encoder])
        parent.load_state_dict(
            {k: v * 2
             for k, v in parent.state_dict().items()})
        assert not torch.equal(encoder(TEXTS).words, before)

    @pytest.mark.parametrize('first', [True, False])
    def test_autocast_does_not_matter(self, build, first):
        """Training in bfloat16 and testing without read one cache."""
        plain, cached = build(frozen=True), build(frozen=True, cache=True)
        for enabled in (first, not first):
            with torch.autocast(
                    'cpu', dtype=torch.bfloat16, enabled=enabled):
                words = cached(TEXTS).words
            torch.testing.assert_close(
                words, plain(TEXTS).words, atol=1e-6, rtol=0)

    def test_other_precision(self, build):
        encoder = build(frozen=True, cache=True)
        encoder(TEXTS)
        assert encoder.double()(TEXTS).words.dtype == torch.float64
