# Licensed under the Apache License, Version 2.0.
"""What is wrong with a run ends in one sentence that says what and where."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def command(place, tmp_path, monkeypatch):
    """A function that runs a file of tools/ in this process, from an empty
    folder, and returns the error that ended it."""

    def run(tool, *arguments):
        argv = [str(TOOLS / tool), *map(str, arguments)]
        monkeypatch.setattr(sys, 'argv', argv)
        with pytest.raises((Exception, SystemExit)) as error:
            runpy.run_path(argv[0], run_name='__main__')
        return error.value

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    return run


def _first_image(place):
    instances = json.loads((place.scenes / 'instances.json').read_text())
    return instances['images'][0]['file_name']


def _copy(place, folder):
    """A copy of the scenes that a test may spoil."""
    shutil.copytree(place.scenes, folder)
    return folder


# Options of a run, the error's class, what the error says.
OPTIONS = {
    'no_such_folder': ([
        'train_dataloader.dataset.data_root=data/absent'
    ], FileNotFoundError, r'data/absent'),
    'no_such_split': (['train_dataloader.dataset.split=tarin'], ValueError,
                      r"tarin.*train.*val"),
    'no_such_split_by': (['train_dataloader.dataset.split_by=umd'],
                         FileNotFoundError, r'refs\(umd\)\.p.*synthetic'),
    'batch_of_one': (['train_dataloader.batch_size=1'], ValueError,
                     r"training batch of 1.*batch size.*sync_bn='torch'"),
    'unknown_type': (['model.decode_head.type=LQPHead'], KeyError,
                     r"'LQPHead' is not in .*Did you mean 'LQPGHead'"),
    'unknown_argument': (['model.backbone.drop_path=0.1'], ValueError,
                         r'drop_path.*LanguageSwinTransformer.*drop_path_rate'),
    'slide': (['model.test_cfg.mode=slide'], ValueError,
              r'in a crop left is no longer left'),
    'loss_is_nan': ([
        'optim_wrapper.optimizer.lr=1e30'
    ], FloatingPointError,
                    r"not finite.*\.(png|jpg) \(ref \d+: '.+'\).*Lower the"),
    'wrong_number_of_queries': ([
        'model.backbone.query_stages="(0,1)"'
    ], ValueError, r'expects 4 language queries and got 2'),
    'sentence_without_text': ([
        'train_dataloader.dataset.pipeline.3.meta_keys="(\'ori_shape\',)"'
    ], ValueError, r"metainfo holds 'text' .*meta_keys"),
}


@pytest.mark.parametrize('name', OPTIONS)
def test_wrong_options(name, command, place):
    options, kind, message = OPTIONS[name]
    error = command('train.py', place.config, '--cfg-options', *options)
    assert isinstance(error, kind)
    assert re.search(message, str(error), re.DOTALL)


def test_missing_image(command, place, tmp_path):
    scenes = _copy(place, tmp_path / 'scenes')
    image = _first_image(place)
    next(scenes.rglob(image)).unlink()
    error = command('train.py', place.config, '--cfg-options',
                    f'train_dataloader.dataset.data_root={scenes}')
    assert image in str(error) and 'ref' in str(error)


def test_truncated_image(command, place, tmp_path):
    scenes = _copy(place, tmp_path / 'scenes')
    image = next(scenes.rglob(_first_image(place)))
    image.write_bytes(image.read_bytes()[:200])
    error = command('train.py', place.config, '--cfg-options',
                    f'train_dataloader.dataset.data_root={scenes}')
    assert image.name in str(error) and 'ref' in str(error)


@pytest.mark.parametrize('tool, arguments, message', [
    ('train.py', ['absent.py'], 'There is no config file absent.py'),
    ('test.py', ['absent.py', 'x.pth'], 'There is no config file absent.py'),
    ('train.py', ['{config}', '--resume', 'absent.pth'],
     'There is no checkpoint absent.pth'),
    ('test.py', ['{config}', 'absent.pth'],
     'There is no checkpoint absent.pth'),
])
def test_missing_files(tool, arguments, message, command, place):
    arguments = [x.format(config=place.config) for x in arguments]
    error = command(tool, *arguments)
    assert isinstance(error, FileNotFoundError) and message in str(error)


def test_unknown_flag(command, place, capsys):
    error = command('train.py', place.config, '--auto-lr')
    assert isinstance(error, SystemExit) and error.code == 2
    assert 'unrecognized arguments: --auto-lr' in capsys.readouterr().err


def test_the_sentence_comes_last(place):
    """As a person sees it: an exit code, and the sentence at the end."""
    done = place.python('train.py', place.config, '--work-dir', 'bad',
                        '--cfg-options', 'train_dataloader.batch_size=1')
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert 'CAFG got a training batch of 1' in last
