# Licensed under the Apache License, Version 2.0.
"""HFTextEncoder against the models of transformers that it is made of: tiny
random ones of every family, saved with tokenizers of their own kind."""

import importlib.util
import inspect
import logging
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import (Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors)
from torch.testing import assert_close
from transformers import PreTrainedTokenizerFast

from mmrefseg.models import HFTextEncoder

WORDS = ('red blue star circle the left of large small on right a not '
         'striped thing second').split()
LONG, SHORT = 'the large red star left of the small blue circle', 'blue star'
SMALL = dict(
    hidden_size=16,
    intermediate_size=16,
    num_hidden_layers=2,
    num_attention_heads=2)
T5 = dict(d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2)


def _word_level(before, after, side='right', pad='<pad>', lower=False,
                **special):
    """A tokenizer of whole words with special tokens around them."""
    names = list(dict.fromkeys([pad, '<unk>', *before, *after]))
    vocabulary = {word: i for i, word in enumerate([*names, *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token='<unk>'))
    if lower:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single=' '.join([*before, '$A', *after]),
        special_tokens=[(name, vocabulary[name])
                        for name in dict.fromkeys([*before, *after])])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad,
        unk_token='<unk>',
        padding_side=side,
        **special)


def _bytes():
    """RoBERTa's kind: bytes, so that no word is unknown; padding is 1."""
    names = ['<s>', '<pad>', '</s>', '<unk>']
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        models.BPE({x: i for i, x in enumerate([*names, *letters])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(('</s>', 2),
                                                          ('<s>', 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token='<pad>',
        bos_token='<s>',
        eos_token='</s>',
        unk_token='<unk>')


def _clip_tokens():
    # CLIP pads with its end of text.
    return _word_level(['<start>'], ['<end>'], pad='<end>', eos_token='<end>')


FAMILIES = dict(
    clip=('CLIPText', SMALL | dict(max_position_embeddings=40), _clip_tokens),
    siglip2=('Siglip2Text', SMALL | dict(max_position_embeddings=40),
             lambda: _word_level([], ['</s>'], eos_token='</s>')),
    siglip=('SiglipText', SMALL | dict(max_position_embeddings=40),
            lambda: _word_level([], ['</s>'], pad='</s>', lower=True)),
    # No mask, so the side of padding is where a word stands.
    siglip_left=('SiglipText', SMALL | dict(max_position_embeddings=40),
                 lambda: _word_level([], ['</s>'], side='left',
                                     eos_token='</s>')),
    modernbert=('ModernBert', SMALL | dict(global_attn_every_n_layers=2),
                lambda: _word_level(['[CLS]'], ['[SEP]'])),
    roberta=('Roberta', SMALL | dict(max_position_embeddings=90), _bytes),
    t5=('T5', T5, lambda: _word_level([], ['</s>'])),
    bert=('Bert', SMALL | dict(max_position_embeddings=40),
          lambda: _word_level(['[CLS]'], ['[SEP]'])),
    # A decoder that pads on the left, as embedding models often are.
    qwen2=('Qwen2', SMALL | dict(num_key_value_heads=2),
           lambda: _word_level([], ['<end>'], side='left')),
)


def _classes(name):
    stem = FAMILIES[name][0]
    config = getattr(transformers, f'{stem}Config', None)
    model = getattr(transformers, 'T5EncoderModel' if stem == 'T5' else
                    f'{stem}Model', None)
    if config is None or model is None:
        pytest.skip(f'this transformers has no {stem}')
    return config, model


@pytest.fixture(scope='module')
def save(tmp_path_factory):
    """A function that saves a family, once: (folder, model, tokenizer)."""
    made = {}

    def make(name):
        if name not in made:
            config_class, model_class = _classes(name)
            _, settings, make_tokenizer = FAMILIES[name]
            tokenizer = make_tokenizer()
            numbers = dict(
                vocab_size=len(tokenizer),
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.convert_tokens_to_ids(
                    tokenizer.eos_token or '<unk>'),
                bos_token_id=0,
                cls_token_id=0,
                sep_token_id=0)
            config = config_class(**settings, **numbers)
            torch.manual_seed(0)
            options = {}
            if 'add_pooling_layer' in inspect.signature(
                    model_class.__init__).parameters:
                options['add_pooling_layer'] = False
            model = model_class(config, **options).eval()
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=0.2)
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            # Beside a decoder's config.json, its own class would be read.
            tokenizer.save_pretrained(
                folder / 'tokenizer' if name == 'qwen2' else folder)
            made[name] = (str(folder), model, tokenizer)
        return made[name]

    return make


def _encoder(folder, **options):
    torch.manual_seed(1)
    if (Path(folder) / 'tokenizer').is_dir():
        options['tokenizer'] = f'{folder}/tokenizer'
    encoder = HFTextEncoder(
        pretrained=folder, max_tokens=options.pop('max_tokens', 30), **options)
    encoder.init_weights()
    return encoder


@pytest.mark.parametrize('name', FAMILIES)
def test_equals_the_model_itself(name, save):
    """Tokenizer, padding, positions and pooling as whoever calls the model
    by hand has them."""
    folder, model, tokenizer = save(name)
    encoder = _encoder(folder, max_tokens=80 if name == 'roberta' else 30)
    encoder.eval()
    texts = [SHORT, LONG]
    if name.startswith('siglip'):  # read in full length, with no mask
        given = tokenizer(
            texts, padding='max_length', max_length=40, return_tensors='pt')
        out = model(input_ids=given.input_ids)
    else:
        given = tokenizer(texts, padding=True, return_tensors='pt')
        positions = {}
        if tokenizer.padding_side == 'left':
            positions['position_ids'] = (
                given.attention_mask.cumsum(1) - 1).clamp(min=0)
        out = model(
            input_ids=given.input_ids,
            attention_mask=given.attention_mask,
            **positions)
    with torch.no_grad():
        features = encoder(texts)
    for i, text in enumerate(texts):
        ids = tokenizer(text).input_ids
        tokens = tokenizer.convert_ids_to_tokens(ids)
        assert encoder.tokens(text) == tokens
        assert features.mask[i].sum() == len(ids)
        assert features.mask[i, :len(ids)].all(), 'real tokens come first'
        where = slice(0, len(ids))
        if tokenizer.padding_side == 'left':
            where = slice(-len(ids), None)
        words = out.last_hidden_state[i, where]
        assert_close(features.words[i, :len(ids)], words, atol=1e-5, rtol=1e-5)
        assert not features.words[i, len(ids):].any()
        if name == 'clip' or name.startswith('siglip'):
            sentence = out.pooler_output[i]
        elif name in ('modernbert', 'roberta'):
            sentence = words[0]
        else:
            sentence = words.mean(0)
        assert_close(features.sentence[i], sentence, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', FAMILIES)
def test_the_company_of_a_sentence_changes_nothing(name, save):
    encoder = _encoder(
        save(name)[0], max_tokens=80 if name == 'roberta' else 30).eval()
    padded = _encoder(
        save(name)[0],
        max_tokens=80 if name == 'roberta' else 30,
        pad_to_max=True).eval()
    with torch.no_grad():
        both, wide = encoder([LONG, SHORT]), padded([LONG, SHORT])
        assert wide.words.shape[1] == padded.max_tokens
        for i, text in enumerate((LONG, SHORT)):
            alone = encoder([text])
            length = alone.mask.sum()
            for batch in (both, wide):
                assert batch.mask[i].sum() == length
                assert_close(batch.words[i, :length], alone.words[0],
                             atol=1e-5, rtol=1e-5)
                assert_close(batch.sentence[i], alone.sentence[0], atol=1e-5,
                             rtol=1e-5)


@pytest.mark.parametrize('name', FAMILIES)
def test_gradients_reach_what_trains(name, save):
    """Through the words alone, since a model need not read sentences."""
    encoder = _encoder(
        save(name)[0], max_tokens=80 if name == 'roberta' else 30)
    words = encoder([LONG, SHORT]).words
    (words * torch.rand_like(words)).sum().backward()
    trained = dict(encoder.named_parameters())
    still = [
        name for name, x in trained.items() if x.requires_grad and
        (x.grad is None or x.grad.abs().max() < 1e-6)
    ]
    assert not still
    fixed = [name for name, x in trained.items() if not x.requires_grad]
    # What a softmax cancels, and what is for the sentence alone.
    assert all('k_proj.bias' in x or 'key.bias' in x or '.head.' in x
               for x in fixed), fixed


def test_recomputing_changes_nothing(save):
    for name in ('clip', 'modernbert', 't5'):
        if name == 'modernbert' and not hasattr(transformers,
                                                'ModernBertModel'):
            continue
        gradients = []
        for with_cp in (False, True):
            encoder = _encoder(save(name)[0], with_cp=with_cp).train()
            for module in encoder.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.
            words = encoder([LONG, SHORT]).words
            words.square().sum().backward()
            gradients.append(
                [x.grad for x in encoder.parameters() if x.requires_grad])
        assert_close(gradients[0], gradients[1])


def test_a_frozen_one_stays_as_it_is(save):
    encoder = _encoder(save('bert')[0], frozen=True).train()
    assert not encoder.training
    assert not any(x.requires_grad for x in encoder.parameters())
    assert not encoder([LONG]).words.requires_grad


@pytest.mark.parametrize('name', ['clip', 'siglip', 'bert'])
def test_the_cache_changes_nothing(name, save):
    folder, _, _ = save(name)
    plain = _encoder(folder, frozen=True)
    cached = _encoder(folder, frozen=True, cache=True)
    calls = []
    inner = cached.model.forward
    cached.model.forward = lambda *a, **k: calls.append(0) or inner(*a, **k)
    for texts in ([LONG, SHORT], [SHORT, LONG, SHORT]):
        assert_close(plain(texts).words, cached(texts).words, atol=1e-5,
                     rtol=1e-5)
        assert_close(plain(texts).sentence, cached(texts).sentence, atol=1e-5,
                     rtol=1e-5)
    assert len(calls) == 2
    cached.init_weights()
    cached([SHORT])
    assert len(calls) == 3, 'other weights empty it'
    with pytest.raises(ValueError, match='cache=True needs frozen=True'):
        HFTextEncoder(pretrained=folder, cache=True)


def test_bfloat16_and_attention_pass_through(save):
    folder, model, _ = save('clip')
    encoder = _encoder(
        folder, frozen=True, dtype='bfloat16', attn_implementation='eager')
    assert encoder.weight.dtype == torch.bfloat16
    assert encoder.model.config._attn_implementation == 'eager'
    sdpa = _encoder(folder, frozen=True, attn_implementation='sdpa')
    assert sdpa.model.config._attn_implementation == 'sdpa'
    found, wanted = encoder([LONG]), sdpa([LONG])
    assert found.words.dtype == found.sentence.dtype == torch.float32
    assert_close(found.words, wanted.words, atol=0.1, rtol=0.1)
    assert (found.words != wanted.words).any()
    with pytest.raises(ValueError, match="refuses attn_implementation='no'"):
        HFTextEncoder(pretrained=folder, attn_implementation='no')
    with pytest.raises(ValueError, match="dtype='int8' is none"):
        HFTextEncoder(pretrained=folder, dtype='int8')


@pytest.mark.parametrize('name', ['clip', 't5', 'roberta'])
def test_long_sentences_lose_their_end(name, save, caplog):
    folder, _, tokenizer = save(name)
    encoder = _encoder(folder, max_tokens=6)
    whole = tokenizer(LONG).input_ids
    special = len(whole) - len(tokenizer(LONG,
                                         add_special_tokens=False).input_ids)
    before = 0 if name == 't5' else 1
    wanted = whole[:6 - (special - before)] + whole[-1:]
    with caplog.at_level(logging.WARNING):
        assert encoder.tokenizer.encode(LONG) == wanted
    assert encoder([LONG]).words.shape[1] == 6


def test_lengths_are_held_to_positions(save):
    with pytest.raises(ValueError, match='more than the 40 positions'):
        HFTextEncoder(pretrained=save('clip')[0], max_tokens=41)
    # RoBERTa's first position is its second after padding's.
    with pytest.raises(ValueError, match='more than the 88 positions'):
        HFTextEncoder(pretrained=save('roberta')[0], max_tokens=89)
    encoder = _encoder(save('roberta')[0], max_tokens=88)
    assert encoder([' '.join(20 * WORDS)]).words.shape[1] == 88
    with pytest.raises(ValueError, match='leaves no room for a word'):
        HFTextEncoder(pretrained=save('bert')[0], max_tokens=2)


def test_words_and_their_faults(save):
    encoder = _encoder(save('bert')[0])
    assert encoder.unknown_words('the zebra, left') == ['zebra', ',']
    spelled = _encoder(save('roberta')[0], max_tokens=60)
    assert spelled.unknown_words('the zebra') == []
    with pytest.raises(ValueError, match='has no word'):
        encoder(['  '])
    with pytest.raises(TypeError, match='list of sentences'):
        encoder('one sentence')
    lower = _encoder(save('siglip2')[0])
    assert lower.tokens('Red STAR') == lower.tokens('red star')
    assert _encoder(save('bert')[0]).tokens('RED')[1] == '<unk>'


def test_its_own_checkpoint_loads(save, tmp_path):
    encoder = _encoder(save('roberta')[0], max_tokens=60)
    torch.save(encoder.state_dict(), tmp_path / 'x.pth')
    other = HFTextEncoder(pretrained=save('roberta')[0], max_tokens=60)
    before = other.eval()([LONG]).words
    other.load_state_dict(torch.load(tmp_path / 'x.pth'))
    after = other([LONG]).words
    assert_close(after, encoder.eval()([LONG]).words)
    assert not torch.allclose(before, after), 'the constructor loads nothing'


def test_a_tower_of_a_model_of_images_and_text(tmp_path):
    """The text tower of a whole CLIP, and its architecture as a dict, which
    needs no file but that of the weights."""
    text = SMALL | dict(max_position_embeddings=40, vocab_size=20,
                        eos_token_id=2, bos_token_id=2, pad_token_id=2)
    clip = transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config=text,
            vision_config=SMALL | dict(image_size=32, patch_size=16)))
    clip.save_pretrained(tmp_path)
    _clip_tokens().save_pretrained(tmp_path)
    encoder = _encoder(str(tmp_path))
    assert_close(encoder.weight,
                 clip.text_model.embeddings.token_embedding.weight)
    arch = {k: x for k, x in text.items() if k != 'vocab_size'}
    other = HFTextEncoder(
        pretrained=str(tmp_path),
        arch=dict(model_type='clip_text_model', vocab_size=20, **arch))
    other.init_weights()
    assert_close(encoder.eval()([LONG]).words, other.eval()([LONG]).words)


def test_faults_have_a_sentence(save, tmp_path):
    folder, model, tokenizer = save('bert')
    with pytest.raises(ValueError, match='needs words'):
        HFTextEncoder(arch=dict(model_type='bert'))
    with pytest.raises(ValueError, match="no model_type 'brt'"):
        HFTextEncoder(tokenizer='synthetic', arch=dict(model_type='brt'))
    with pytest.raises(ValueError, match='do you mean hidden_size'):
        HFTextEncoder(
            tokenizer='synthetic',
            arch=dict(model_type='bert', hidden_sise=8))
    with pytest.raises(FileNotFoundError, match='The architecture of'):
        HFTextEncoder(pretrained=str(tmp_path / 'nowhere'))
    with pytest.raises(FileNotFoundError, match='The tokenizer of'):
        HFTextEncoder(
            pretrained=str(tmp_path / 'nowhere'),
            arch=dict(model_type='bert'),
            local_files_only=True)
    with pytest.raises(ValueError, match='embeddings for 5 tokens'):
        HFTextEncoder(
            tokenizer='synthetic', arch=dict(model_type='bert', vocab_size=5))
    # Weights as pickles are refused, whatever they hold.
    model.config.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / 'pytorch_model.bin')
    with pytest.raises(FileNotFoundError, match='model.safetensors'):
        _encoder(str(tmp_path))
    with pytest.raises(ValueError, match='lack 16 tensors'):
        _encoder(folder, arch=dict(num_hidden_layers=3))
    with pytest.raises(ValueError, match='do not fit the architecture'):
        _encoder(folder, arch=dict(intermediate_size=8))
    with pytest.raises(ValueError, match="pooling='best' is none of"):
        HFTextEncoder(pretrained=folder, pooling='best')
    with pytest.raises(ValueError, match='has no output for the whole'):
        _encoder(folder, pooling='pooler')([LONG])


# ----------------------------------------------------------------- adapters


@pytest.mark.parametrize('name', ['clip', 'bert', 't5'])
def test_lora_trains_adapters_alone(name, save):
    pytest.importorskip('peft')
    folder, _, _ = save(name)
    encoder = _encoder(folder, lora=dict(r=2, lora_alpha=4))
    plain = _encoder(folder)
    assert_close(encoder.eval()([LONG]).words, plain.eval()([LONG]).words)
    trained = [n for n, x in encoder.named_parameters() if x.requires_grad]
    assert trained and all('.lora_' in name for name in trained)
    before = {k: x.clone() for k, x in encoder.state_dict().items()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1.)
    for _ in range(2):  # B is 0 at first, so A gets its gradient afterwards
        words = encoder.train()([LONG]).words
        (words * torch.rand_like(words)).mean().backward()
        optimizer.step()
    after = encoder.state_dict()
    changed = [k for k, x in before.items() if not torch.equal(x, after[k])]
    assert sorted(changed) == sorted(trained)
    again = _encoder(folder, lora=dict(r=2, lora_alpha=4))
    again.load_state_dict(after)
    assert_close(again.eval()([LONG]).words, encoder.eval()([LONG]).words)
    with pytest.raises(ValueError, match='lora.target_modules'):
        _encoder(folder, lora=dict(r=2, target_modules=['nothing']))


def test_lora_without_peft(save, monkeypatch):
    if importlib.util.find_spec('peft'):
        monkeypatch.setitem(__import__('sys').modules, 'peft', None)
    with pytest.raises(ImportError, match='pip install peft'):
        _encoder(save('bert')[0], lora=dict(r=2))
    with pytest.raises(ValueError, match='contradict each other'):
        _encoder(save('bert')[0], lora=dict(r=2), frozen=True)


@pytest.mark.parametrize('name', FAMILIES)
def test_tokens_are_replaced_but_special_ones(name, save):
    """Also where a file does not call its special tokens special; and what
    is encoded is the other sentence."""
    encoder = _encoder(save(name)[0], frozen=True, cache=True)
    ids, tokenizer = encoder.replacement_ids, encoder.tokenizer
    star = tokenizer.encode('star')
    assert ids.mask is None and not set(ids.words) & ids.special

    def replace(tokens):
        return [x if x in ids.special else ids.words[-1] for x in tokens]

    if name == 'roberta':  # whose tokens are bytes
        assert [x in ids.special for x in star] == [
            True, *[False] * (len(star) - 2), True
        ]
        return
    assert replace(star) == tokenizer.encode('second')  # the last word
    assert_close(
        encoder(['star'], replace=replace).words, encoder(['second']).words)
