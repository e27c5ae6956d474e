# Licensed under the Apache License, Version 2.0.
"""Loading of weights: from where, in which files, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from mmrefseg.models.foundation import hub
from mmrefseg.models.foundation.hub import KINDS, Kind, load_pretrained
from mmrefseg.models.foundation.prompts import (Sentences, check_template,
                                                lower_phrase)


@pytest.fixture
def copy(tiny_weights, tmp_path):
    """A function that copies the files of a kind, free to be changed."""

    def make(kind):
        return Path(shutil.copytree(tiny_weights(kind), tmp_path / kind))

    return make


def test_only_safetensors_are_read(copy):
    folder = copy('clipseg')
    loaded = load_pretrained(str(folder), ['clipseg'])
    torch.save(loaded.model.state_dict(), folder / 'pytorch_model.bin')
    (folder / 'model.safetensors').unlink()
    with pytest.raises(OSError, match=r'safetensors \(no .bin\) are needed'):
        load_pretrained(str(folder), ['clipseg'])


def test_names_that_no_cache_has():
    """Offline, or with local_files_only."""
    for local in (True, False):
        with pytest.raises(OSError, match='weights nobody/nothing cannot'):
            load_pretrained(
                'nobody/nothing', ['clipseg'], local_files_only=local)


def test_every_request_is_as_it_was_asked(copy, monkeypatch):
    """Model, processor and config, all of the same place and revision."""
    asked = []
    folder = str(copy('clipseg'))

    def watch(kind, name):
        method = getattr(kind, name).__func__

        def call(cls, source, **kwargs):
            asked.append((cls.__name__, kwargs.get('revision'),
                          kwargs.get('local_files_only')))
            if 'output_loading_info' in kwargs:
                assert kwargs['use_safetensors'] is True
            assert not kwargs.get('trust_remote_code')
            return method(cls, source, **kwargs)

        monkeypatch.setattr(kind, name, classmethod(call))

    watch(transformers.CLIPSegProcessor, 'from_pretrained')
    watch(transformers.CLIPSegForImageSegmentation, 'from_pretrained')
    load_pretrained(
        folder, ['clipseg'], revision='v1', local_files_only=True)
    assert asked == [('CLIPSegProcessor', 'v1', True),
                     ('CLIPSegForImageSegmentation', 'v1', True)]


def test_a_name_is_found_in_the_cache_of_the_hub(copy, monkeypatch, tmp_path):
    """By branch and by commit, without a network."""
    commit = 'a' * 40
    root = tmp_path / 'cache/models--someone--tiny'
    (root / 'refs').mkdir(parents=True)
    (root / 'refs/main').write_text(commit)
    (root / 'snapshots').mkdir()
    copy('clipseg').rename(root / 'snapshots' / commit)
    cache = str(tmp_path / 'cache')
    import huggingface_hub.constants
    import transformers.utils.hub
    for module in (huggingface_hub.constants, transformers.utils.hub):
        for name in ('HF_HUB_CACHE', 'TRANSFORMERS_CACHE', 'HF_HOME'):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, cache)
    for revision in (None, 'main', commit):
        loaded = load_pretrained(
            'someone/tiny', ['clipseg'],
            revision=revision,
            local_files_only=True)
        assert loaded.kind == 'clipseg'
    with pytest.raises(OSError, match='someone/tiny'):
        load_pretrained(
            'someone/tiny', ['clipseg'],
            revision='other',
            local_files_only=True)


def test_weights_of_another_kind(tiny_weights):
    with pytest.raises(ValueError, match="'owlv2', but one of 'sam', 'sam2'"):
        load_pretrained(tiny_weights('owlv2'), ['sam', 'sam2'])


def test_weights_that_leave_parts_random(copy):
    from safetensors.torch import load_file, save_file
    folder = copy('clipseg')
    path = folder / 'model.safetensors'
    tensors = load_file(path)
    gone = next(x for x in tensors if 'transposed_convolution' in x)
    del tensors[gone]
    save_file(tensors, path, metadata=dict(format='pt'))
    with pytest.raises(ValueError, match='lack 1 parameters .* decoder'):
        load_pretrained(str(folder), ['clipseg'])


def test_no_kind_is_taken_as_incomplete(tiny_weights):
    """Tied parameters are in a file once."""
    for kind in ('clipseg', 'grounding-dino', 'owlv2', 'sam'):
        loaded = load_pretrained(tiny_weights(kind), [kind])
        assert not loaded.model.training


@pytest.mark.parametrize('kind', ['sam2', 'sam3'])
def test_published_weights_are_those_of_the_video_model(kind, copy):
    """Whose config says so; the part for images is taken."""
    folder = copy(kind)
    config = json.loads((folder / 'config.json').read_text())
    config['model_type'] = f'{kind}_video'
    if kind == 'sam3':  # as in facebook/sam3
        config = dict(model_type='sam3_video', detector_config=dict(
            config, model_type='sam3'))
    (folder / 'config.json').write_text(json.dumps(config))
    loaded = load_pretrained(str(folder), [kind, f'{kind}_video'])
    assert type(loaded.model).__name__ == KINDS[kind].model


@pytest.mark.parametrize('since, torchvision, message', [
    ('99.1', False, "has since 99.1; installed is .*'transformers>=99.1'"),
    ('4.40', True, 'whose processor needs torchvision'),
])
def test_what_is_missing_is_named(since, torchvision, message, tiny_weights,
                                  monkeypatch):
    kind = Kind('CLIPSegForImageSegmentation', 'CLIPSegProcessor', since,
                torchvision)
    monkeypatch.setitem(KINDS, 'clipseg', kind)
    monkeypatch.setattr(hub.importlib.util, 'find_spec', lambda _: None)
    with pytest.raises(ImportError, match=message):
        load_pretrained(tiny_weights('clipseg'), ['clipseg'])


@pytest.mark.parametrize('wrong, message', [
    (dict(dtype='int8'), "dtype='int8' is none of"),
    (dict(template='photo'), 'needs {} once'),
    (dict(existence_threshold=2.), 'must lie between 0 and 1'),
    (dict(test_cfg=dict(output_size='large')), 'output_size'),
])
def test_wrong_settings(wrong, message, build):
    with pytest.raises(ValueError, match=message):
        build('clipseg', **wrong)


@pytest.mark.parametrize('name, wrong', [
    ('gdino-sam', dict(boxes='some')),
    ('sam3', dict(instances='some')),
])
def test_wrong_choices(name, wrong, build):
    with pytest.raises(ValueError, match="='some' .* neither 'best' nor"):
        build(name, **wrong)


@pytest.mark.parametrize('text, expected', [
    ('The Red Cup', 'the red cup.'),
    ('the red cup.', 'the red cup.'),
    (' no. 5  on top... ', 'no 5 on top.'),
    ('...', '.'),
])
def test_phrases_of_grounding_dino(text, expected):
    """One phrase: a dot within would begin another."""
    assert lower_phrase(text) == expected


def test_templates():
    check_template('a photo of {}')
    check_template('{} {0}')
    for wrong in ('', '{', '{} and {}'):
        with pytest.raises(ValueError, match='needs {} once'):
            check_template(wrong)


def test_sentences_as_tokens(tiny_weights):
    """Ids are those of the processor; the end of long ones is lost."""
    loaded = load_pretrained(tiny_weights('owlv2'), ['owlv2'])
    sentences = Sentences(loaded.processor.tokenizer, 16)
    texts = ['the red star', 'blue circle on the left']
    ids = sentences(texts, fill=True)['input_ids']
    expected = loaded.processor(
        text=[[x] for x in texts], return_tensors='pt')['input_ids']
    assert torch.equal(ids, expected)
    assert sentences.tokens('the red')
    assert sentences.unknown_words('the zebra') == []
    long = sentences(['the ' * 40])['input_ids']
    assert long.shape == (1, 16)
    assert long[0, -1] == ids.max()  # the end token stays
    for empty in ('', ' ', '\u200b'):
        with pytest.raises(ValueError, match='has no word'):
            sentences.tokens(empty)
