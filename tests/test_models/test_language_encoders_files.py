# Licensed under the Apache License, Version 2.0.
"""Where the language encoder gets vocabulary, architecture and weights."""

import json
import os
import shutil

import huggingface_hub
import pytest
import torch
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel
from transformers import BertTokenizerFast as Tokenizer

from mmrefseg.models.language_encoders import BertLanguageEncoder, bert_weights

TEXTS = ['red circle', 'the small star to the left of the blue squares']


@pytest.fixture
def folder(tmp_path, tiny_vocab, tiny_arch):
    """A BERT folder as people have it, heads included."""
    path = tmp_path / 'tiny-bert'
    torch.manual_seed(5)
    BertForMaskedLM(BertConfig(vocab_size=23, **tiny_arch)).save_pretrained(
        str(path))
    shutil.copy(tiny_vocab, path / 'vocab.txt')
    return path


@pytest.fixture
def log(monkeypatch):
    messages = []
    monkeypatch.setattr(bert_weights, 'print_log',
                        lambda message, *_: messages.append(message))
    return messages


def _expected(folder):
    """Word features as transformers itself loads them."""
    model = BertModel.from_pretrained(
        str(folder), add_pooling_layer=False).eval()
    batch = Tokenizer(str(folder / 'vocab.txt'))(
        TEXTS, padding=True, return_tensors='pt')
    with torch.no_grad():
        words = model(**batch).last_hidden_state
    return words * batch['attention_mask'][..., None]


def _features(**kwargs):
    torch.manual_seed(0)
    encoder = BertLanguageEncoder(**kwargs).eval()
    before = encoder(TEXTS).words
    encoder.init_weights()
    with torch.no_grad():
        after = encoder(TEXTS).words
    assert not torch.allclose(before, after)  # the constructor loads nothing
    return after


def test_safetensors(folder, log):
    torch.testing.assert_close(
        _features(pretrained=str(folder)),
        _expected(folder),
        atol=1e-6,
        rtol=0)
    # 5 of the embeddings, 16 of each layer
    assert log == [f"BERT: loaded 53 tensors of '{folder}'."]


@pytest.mark.parametrize('prefix', ['', 'bert.', 'module.bert.'])
def test_old_pytorch_model_bin(folder, log, prefix):
    expected = _expected(folder)
    state_dict = {}
    for name, tensor in load_file(str(folder / 'model.safetensors')).items():
        if name.startswith('bert.'):
            name = prefix + name[len('bert.'):]
        name = name.replace('LayerNorm.weight', 'LayerNorm.gamma')
        name = name.replace('LayerNorm.bias', 'LayerNorm.beta')
        state_dict[name] = tensor
    state_dict[f'{prefix}embeddings.position_ids'] = torch.arange(40)[None]
    for name in (f'{prefix}pooler.dense', 'cls.seq_relationship'):
        state_dict[f'{name}.weight'] = torch.ones(16, 16)
        state_dict[f'{name}.bias'] = torch.ones(16)
    os.remove(folder / 'model.safetensors')
    torch.save(state_dict, str(folder / 'pytorch_model.bin'))
    torch.testing.assert_close(
        _features(pretrained=str(folder)), expected, atol=1e-6, rtol=0)
    # Heads are expected and not worth a word.
    assert log == [f"BERT: loaded 53 tensors of '{folder}'."]


def test_half_precision_file(folder):
    expected = _expected(folder)
    path = str(folder / 'model.safetensors')
    save_file({k: v.half() for k, v in load_file(path).items()}, path)
    features = _features(pretrained=str(folder))
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected, atol=1e-2, rtol=0)


def test_tokenizer_json_only(folder):
    expected = _expected(folder)
    tokenizer = Tokenizer(str(folder / 'vocab.txt'))
    # Some folders ask for padding and cutting; the encoder does its own.
    tokenizer.backend_tokenizer.enable_padding(length=20)
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.save(str(folder / 'tokenizer.json'))
    os.remove(folder / 'vocab.txt')
    torch.testing.assert_close(
        _features(pretrained=str(folder)), expected, atol=1e-6, rtol=0)
    encoder = BertLanguageEncoder(
        pretrained=str(folder), vocab=str(folder))
    assert encoder.tokens('red circles') == [
        '[CLS]', 'red', 'circle', '##s', '[SEP]'
    ]


def test_arch_changes_what_the_folder_says(folder, log):
    encoder = BertLanguageEncoder(
        pretrained=str(folder),
        arch=dict(num_hidden_layers=2, hidden_dropout_prob=0.3))
    assert encoder.bert.config.hidden_dropout_prob == 0.3
    assert encoder.bert.config.hidden_size == 16
    encoder.init_weights()
    assert len(log) == 1
    assert 'loaded 37 tensors' in log[0]
    assert 'left out 16' in log[0] and 'encoder.layer.2.' in log[0]


def test_more_embeddings_than_words(folder):
    """Files are padded to round numbers of rows at times."""
    config = json.loads((folder / 'config.json').read_text())
    config['vocab_size'] = 32
    (folder / 'config.json').write_text(json.dumps(config))
    path = str(folder / 'model.safetensors')
    state_dict = load_file(path)
    name = 'bert.embeddings.word_embeddings.weight'
    state_dict[name] = torch.cat([state_dict[name], torch.ones(9, 16)])
    save_file(state_dict, path)
    encoder = BertLanguageEncoder(pretrained=str(folder))
    encoder.init_weights()
    assert encoder(TEXTS).words.shape == (2, 13, 16)


def test_nothing_matches(folder):
    save_file({'conv1.weight': torch.ones(2)},
              str(folder / 'model.safetensors'))
    encoder = BertLanguageEncoder(pretrained=str(folder))
    with pytest.raises(ValueError, match='matches a BERT.*conv1.weight'):
        encoder.init_weights()


@pytest.mark.parametrize('arch, message', [
    (dict(num_hidden_layers=4), 'lack 16 tensors .*encoder.layer.3'),
    (dict(intermediate_size=8), 'has shape .*24, 16.* make arch'),
])
def test_other_architecture(folder, arch, message):
    encoder = BertLanguageEncoder(pretrained=str(folder), arch=arch)
    with pytest.raises(ValueError, match=message):
        encoder.init_weights()


def test_fewer_embeddings_than_words(folder):
    config = json.loads((folder / 'config.json').read_text())
    config['vocab_size'] = 9
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match='for 9 tokens, .* has 23'):
        BertLanguageEncoder(pretrained=str(folder))


class _RunsCode:

    def __reduce__(self):
        return os.mkdir, ('it_ran', )


@pytest.mark.parametrize('kind', ['code', 'truncated', 'safetensors'])
def test_bad_files(folder, kind, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if kind == 'safetensors':
        path = folder / 'model.safetensors'
        path.write_bytes(path.read_bytes()[:1000])
    else:
        os.remove(folder / 'model.safetensors')
        path = folder / 'pytorch_model.bin'
        torch.save(dict(a=_RunsCode() if kind == 'code' else 1), str(path))
        if kind == 'truncated':
            path.write_bytes(path.read_bytes()[:200])
    encoder = BertLanguageEncoder(pretrained=str(folder))
    message = f"{path.name}' (cannot be read|hold more than)"
    with pytest.raises(ValueError, match=message):
        encoder.init_weights()
    assert not (tmp_path / 'it_ran').exists()


@pytest.mark.parametrize('removed, message', [
    ('vocab.txt', 'has no vocab.txt and no tokenizer.json: .*vocab to the'),
    ('config.json', 'has no config.json: .*pretrained'),
])
def test_incomplete_folder(folder, removed, message):
    for name in (removed, 'tokenizer.json'):
        if (folder / name).exists():
            os.remove(folder / name)
    with pytest.raises(FileNotFoundError, match=message):
        BertLanguageEncoder(pretrained=str(folder))


def test_folder_without_weights(folder):
    os.remove(folder / 'model.safetensors')
    encoder = BertLanguageEncoder(pretrained=str(folder))
    with pytest.raises(
            FileNotFoundError,
            match='no model.safetensors and no pytorch_model.bin'):
        encoder.init_weights()


@pytest.mark.parametrize('changes, message', [
    (dict(model_type='roberta'), "describes a 'roberta', not a 'bert'"),
    (dict(position_embedding_type='relative_key'), 'relative positions'),
])
def test_other_models(folder, changes, message):
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, **changes}))
    with pytest.raises(ValueError, match=message):
        BertLanguageEncoder(pretrained=str(folder))


@pytest.mark.parametrize('kwargs, error, message', [
    (dict(), ValueError, r'set vocab= .*synthetic.*pretrained='),
    (dict(vocab='no/such/vocab.txt'), FileNotFoundError,
     'neither a file nor a packaged vocabulary'),
    (dict(pretrained='./no/such/folder'), FileNotFoundError,
     "'./no/such/folder' is not a folder"),
])
def test_nothing_there(kwargs, error, message):
    with pytest.raises(error, match=message):
        BertLanguageEncoder(**kwargs)


def test_vocabulary_without_special_tokens(tmp_path, tiny_arch):
    path = tmp_path / 'vocab.txt'
    path.write_text('[PAD]\n[CLS]\n[SEP]\nred\n')
    with pytest.raises(ValueError, match=r'lacks \[UNK\], \[MASK\]'):
        BertLanguageEncoder(vocab=str(path), arch=tiny_arch)


class TestHub:
    """The hub, played by a function in place of hf_hub_download."""

    @pytest.fixture
    def hub(self, monkeypatch, folder):
        """Calls, and switches for what is in the cache and on the hub."""

        class Hub:
            calls = []
            cache = ()
            online = ()
            network = True

            def download(self, name, file, local_files_only=False):
                self.calls.append((name, file, local_files_only))
                if file in self.cache:
                    return str(folder / file)
                if local_files_only or not self.network:
                    raise LocalEntryNotFoundError('cannot reach the hub')
                if file not in self.online:
                    raise EntryNotFoundError(f'no {file} there')
                return str(folder / file)

        hub = Hub()
        hub.calls = []
        monkeypatch.setattr(huggingface_hub, 'hf_hub_download', hub.download)
        return hub

    def test_well_known_name_is_built_without(self, hub, bert_sized_vocab):
        hub.network = False
        with torch.device('meta'):
            encoder = BertLanguageEncoder(
                pretrained='bert-base-uncased', vocab=bert_sized_vocab)
        assert hub.calls == []
        with pytest.raises(
                FileNotFoundError,
                match="The weights of 'bert-base-uncased' .*cannot reach the "
                'hub.*pretrained to a folder.*HF_HUB_OFFLINE=1'):
            encoder.init_weights()
        assert ('bert-base-uncased', 'model.safetensors',
                False) in hub.calls

    def test_no_network(self, hub):
        hub.network = False
        with pytest.raises(
                FileNotFoundError,
                match="vocabulary of 'some/bert' .*language_encoder.vocab"):
            BertLanguageEncoder(pretrained='some/bert')
        # One attempt: each takes long when the network is away.
        assert len([call for call in hub.calls if not call[2]]) == 1

    def test_cache_is_enough(self, hub, folder):
        hub.network = False
        hub.cache = ('vocab.txt', 'config.json', 'model.safetensors')
        torch.testing.assert_close(
            _features(pretrained='some/bert'),
            _expected(folder),
            atol=1e-6,
            rtol=0)
        assert all(local_only for _, _, local_only in hub.calls)

    def test_next_file_when_one_is_not_there(self, hub, folder):
        expected = _expected(folder)
        torch.save(
            load_file(str(folder / 'model.safetensors')),
            str(folder / 'pytorch_model.bin'))
        os.remove(folder / 'model.safetensors')
        hub.online = ('vocab.txt', 'config.json', 'pytorch_model.bin')
        torch.testing.assert_close(
            _features(pretrained='some/bert'), expected, atol=1e-6, rtol=0)

    def test_real_client_says_what_to_set(self, monkeypatch, tmp_path):
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE',
                            str(tmp_path))
        with pytest.raises(
                FileNotFoundError, match='language_encoder.vocab'):
            BertLanguageEncoder(pretrained='some/bert-that-is-not-there')
