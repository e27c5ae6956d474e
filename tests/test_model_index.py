# Licensed under the Apache License, Version 2.0.
"""What the model index and the pages of the methods say of the configs."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmrefseg.apis.checkpoints.model_zoo import find_model, packaged_models

ROOT = Path(__file__).parents[1]
METAFILES = sorted((ROOT / 'configs').glob('*/metafile.yml'))


def ids(path):
    return path.parent.name


@pytest.mark.parametrize('path', METAFILES, ids=ids)
def test_every_config_is_listed_as_it_is(path):
    content = yaml.safe_load(path.read_text())
    collections = {entry['Name'] for entry in content['Collections']}
    for entry in content['Collections']:
        assert (ROOT / entry['README']).is_file()
    listed = {}
    for model in content['Models']:
        config = ROOT / model['Config']
        assert model['Name'] == config.stem
        assert model['In Collection'] in collections
        listed[config] = model
    # Rows of ablations have a list of their own.
    assert set(listed) == set(path.parent.glob('*.py'))
    for config, model in listed.items():
        cfg = Config.fromfile(config, format_python_code=False)
        said = model['Metadata']
        for result in model.get('Results', ()):
            assert set(result) == {'Task', 'Dataset', 'Metrics'}
        if cfg.get('train_cfg') is None:  # weights of others, tested only
            assert said['Pretrained'] == [
                value for value in cfg.model.values()
                if isinstance(value, str) and '/' in value
            ]
            continue
        assert said['Batch Size'] == cfg.auto_scale_lr.base_batch_size
        assert cfg.train_cfg.get('max_epochs') == said.get('Epochs')
        assert cfg.train_cfg.get('max_iters') == said.get('Iterations')


@pytest.mark.parametrize('path', METAFILES, ids=ids)
def test_the_page_of_a_method_links_every_config(path):
    page = (path.parent / 'README.md').read_text()
    missing = [
        config.name for config in path.parent.glob('*.py')
        if f']({config.name})' not in page
    ]
    assert not missing


def test_packaged_models_are_found_under_all_their_names():
    """MIM asks for ``Weights``; one alias is the name of the package's."""
    models = [
        model for path in METAFILES
        for model in yaml.safe_load(path.read_text())['Models']
    ]
    with_weights = [model for model in models if 'Weights' in model]
    aliases = [
        [model['Alias']] if isinstance(model['Alias'], str) else model['Alias']
        for model in with_weights
    ]
    assert sorted(own[0] for own in aliases) == packaged_models()
    for model, own in zip(with_weights, aliases):
        assert (ROOT / model['Weights']).is_file()
        for name in (model['Name'], *own):
            assert find_model(name).weights == str(ROOT / model['Weights'])


def test_there_is_a_method():
    assert METAFILES
