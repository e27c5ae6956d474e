# Licensed under the Apache License, Version 2.0.
"""A run writes to a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmrefseg.engine import launch, work_dir
from mmrefseg.engine.work_dir import lock_work_dir

ROOT = Path(__file__).parents[2]
HOLD = ('import sys; from mmrefseg.engine.work_dir import lock_work_dir; '
        'lock_work_dir(sys.argv[1]); print("locked", flush=True); '
        'sys.stdin.read()')


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The config that a run left in ``work_dirs/tiny``."""
    monkeypatch.chdir(tmp_path)
    Path('configs').mkdir()
    Path('configs/tiny.py').write_text(
        'resume = False\nload_from = None\n'
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)\n")
    cfg = launch.load_config('configs/tiny.py')
    cfg.resume = True
    cfg.load_from = 'work_dirs/older/iter_3.pth'
    Path('work_dirs/tiny').mkdir(parents=True)
    cfg.dump('work_dirs/tiny/tiny.py')
    return 'work_dirs/tiny/tiny.py'


@pytest.fixture
def warned(monkeypatch):
    texts = []
    monkeypatch.setattr(work_dir, 'print_log',
                        lambda text, **_: texts.append(text))
    return texts


def test_the_config_of_a_run_goes_on_in_its_folder(run, warned):
    cfg = launch.load_config(run)
    assert cfg.work_dir == 'work_dirs/tiny'
    assert (cfg.resume, cfg.load_from) == (True, 'work_dirs/older/iter_3.pth')
    assert not warned


@pytest.mark.parametrize(
    'text', [None, "_base_ = '../work_dirs/tiny/tiny.py'"])
def test_a_copy_or_an_heir_does_not(run, warned, text):
    if text is None:
        shutil.copy(run, 'configs/mine.py')
    else:
        Path('configs/mine.py').write_text(text)
    cfg = launch.load_config('configs/mine.py')
    assert cfg.work_dir == 'work_dirs/mine'
    assert (cfg.resume, cfg.load_from) == (False, None)
    assert len(warned) == 1
    assert 'the run in work_dirs/tiny' in warned[0]
    assert 'writes to work_dirs/mine' in warned[0]


def test_a_copy_of_the_same_name_is_refused(run, warned):
    shutil.copy(run, 'configs/tiny.py')
    with pytest.raises(ValueError, match='give --work-dir') as error:
        launch.load_config('configs/tiny.py')
    assert 'copy of the config of the run in work_dirs/tiny' in str(
        error.value)
    assert launch.load_config(
        'configs/tiny.py', work_dir='new').work_dir == 'new'
    assert launch.load_config(
        'configs/tiny.py', options=dict(work_dir='new')).work_dir == 'new'
    # Where that run is not, nothing can be written into it.
    shutil.rmtree('work_dirs')
    assert launch.load_config('configs/tiny.py').work_dir == 'work_dirs/tiny'


def test_what_a_person_writes_counts(run, warned):
    Path('configs/mine.py').write_text(
        "_base_ = '../work_dirs/tiny/tiny.py'\nwork_dir = 'runs/mine'\n")
    assert launch.load_config('configs/mine.py').work_dir == 'runs/mine'
    Path('configs/plain.py').write_text("work_dir = 'runs/plain'\n")
    assert launch.load_config('configs/plain.py').work_dir == 'runs/plain'
    assert not warned


def hold(folder):
    """A process that keeps a folder."""
    process = subprocess.Popen([sys.executable, '-c', HOLD, str(folder)],
                               env=dict(os.environ, PYTHONPATH=str(ROOT)),
                               stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == 'locked\n'
    return process


@pytest.mark.skipif(work_dir.fcntl is None, reason='needs POSIX locks')
def test_a_folder_is_for_one_run_at_a_time(tmp_path):
    folder = tmp_path / 'run'
    process = hold(folder)
    try:
        with pytest.raises(RuntimeError, match='still going on') as error:
            lock_work_dir(str(folder))
        assert f'(process {process.pid} on ' in str(error.value)
        # Another folder, and the other processes of a distributed run.
        lock_work_dir(str(tmp_path / 'other'))
        os.environ['RANK'] = '1'
        lock_work_dir(str(folder), 'pytorch')
    finally:
        os.environ.pop('RANK', None)
        process.kill()
        process.wait()
    # Killed, it left its file behind; that does not count.
    assert 'process' in (folder / '.lock').read_text()
    lock_work_dir(str(folder))
    lock_work_dir(str(folder))  # the next run of the same process
    assert (folder / '.lock').read_text().startswith(
        f'process {os.getpid()} on ')


@pytest.mark.skipif(work_dir.fcntl is None, reason='needs POSIX locks')
def test_a_second_training_is_refused(run, tmp_path):
    process = hold(tmp_path / 'taken')
    before = Config.fromfile(run)
    try:
        done = subprocess.run([
            sys.executable, ROOT / 'tools/train.py', run, '--work-dir',
            'taken'
        ],
                              env=dict(os.environ, PYTHONPATH=str(ROOT)),
                              capture_output=True,
                              text=True)
    finally:
        process.kill()
        process.wait()
    assert done.returncode == 1
    assert 'taken is the work directory of a run' in done.stderr
    # Nothing was written over what the first one left.
    assert os.listdir('taken') == ['.lock']
    assert Config.fromfile(run).to_dict() == before.to_dict()
