# Licensed under the Apache License, Version 2.0.
"""Tables of published results: checked, trained, tested, written, resumed."""

import csv
import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import reproduce
from mmengine.config import Config
from reproduction import costs, report, runs
from reproduction.commands import Launcher
from reproduction.data_check import check_data
from reproduction.runs import Run
from reproduction.settings import Settings
from reproduction.tables import read_tables

from mmrefseg.synthetic import make_synthetic_refs

ROOT = Path(__file__).parents[2]
TABLES = read_tables()


@pytest.fixture
def settings(tmp_path):
    return Settings(data=str(tmp_path / 'data'), work_dir=str(tmp_path / 'w'))


# ------------------------------------------------------------------ tables


def test_rows_are_what_the_readme_has():
    page = (ROOT / 'README.md').read_text()
    mpg, lavt = TABLES['table1'], TABLES['table1-lavt']
    for ours, theirs in zip(mpg.rows, lavt.rows, strict=True):
        for split, published in ours.published.items():
            assert (f'| {ours.what} {split} | {theirs.published[split]:.2f} | '
                    f'{published:.2f} |') in page


@pytest.mark.parametrize('table', TABLES.values(), ids=lambda x: x.name)
def test_configs_are_of_the_sets(table, settings):
    for row in table.rows:
        cfg = Run(row, settings).cfg
        for part in ('train', 'val', 'test'):
            dataset = cfg[f'{part}_dataloader'].dataset
            assert dataset.split_by == row.split_by
            assert dataset.data_root == settings.data
            folder = os.path.dirname(dataset.get('ann_file', '')) or '.'
            assert folder == row.folder
        assert cfg.test_dataloader.dataset.split == row.splits


def test_no_such_row():
    with pytest.raises(ValueError, match="table1 has no row 'refcocog_g'"):
        TABLES['table1'].only(['refcocog_g'])


# ---------------------------------------------------------------- commands


def test_the_batch_is_that_of_the_recipe(settings):
    row = TABLES['table1'].rows[0]

    def cfg(gpus=1, accumulate=1, **more):
        return Run(
            row,
            replace(
                settings,
                launcher=Launcher(gpus),
                accumulate=accumulate,
                **more)).cfg

    assert cfg().train_dataloader.batch_size == 8
    eight = cfg(8, sync_bn=True)
    assert eight.train_dataloader.batch_size == 1
    assert eight.sync_bn == 'torch'
    two = cfg(2, 4)
    assert two.train_dataloader.batch_size == 1
    assert two.optim_wrapper.accumulative_counts == 4
    with pytest.raises(ValueError, match='8, which cannot be divided by --gp'):
        cfg(3)
    assert cfg(options={
        'optim_wrapper.optimizer.lr': 1.
    }).optim_wrapper.optimizer.lr == 1


def test_published_masks_are_compared_at_the_size_of_the_input(settings):
    cfg = Run(TABLES['table1'].rows[0],
              replace(settings, convention='paper')).cfg
    assert cfg.model.test_cfg.output_size == 'input'
    assert cfg.val_evaluator.convention == 'paper'
    assert cfg.test_evaluator.to_dict() == dict(
        type='ReferringIoUMetric', convention='paper', breakdown=['split'])


def test_launchers(monkeypatch):
    one = Launcher().train('r', 'c.py', 'w')
    assert one.words[1:] == [
        str(ROOT / 'tools/train.py'), 'c.py', '--work-dir', 'w', '--resume'
    ]
    many = Launcher(4, port=7).test('r', 'c.py', 'x.pth', 'w')
    assert many.words == [
        'bash',
        str(ROOT / 'tools/dist_test.sh'), 'c.py', 'x.pth', '4', '--work-dir',
        'w'
    ]
    assert many.environment()['PORT'] == '7'
    slurm = Launcher(16, 'part').train('r', 'c.py', 'w')
    assert slurm.words == [
        'bash',
        str(ROOT / 'tools/slurm_train.sh'), 'part', 'r', 'c.py', '--work-dir',
        'w', '--resume'
    ]
    assert slurm.variables == dict(GPUS='16', GPUS_PER_NODE='8')


@pytest.mark.parametrize('wrong', [['--gpus', '0'], ['--jobs', '2'],
                                   ['--utilisation', '0']])
def test_wrong_arguments(wrong, capsys):
    with pytest.raises(SystemExit):
        reproduce.parse_args(['table1', *wrong])


# -------------------------------------------------- steps, without training


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Commands that train nothing: ``place(*arguments)`` runs table 1 with
    them and returns what was started; the oIoU of a set is its letters."""
    started = []

    def start(command, log):
        tool = os.path.basename(command.words[1])
        config = command.words[2]
        out = Path(command.words[command.words.index('--work-dir') + 1])
        name = Path(config).parent.name
        started.append((tool, name))
        if name == start.fails:
            return 1
        out.mkdir(parents=True, exist_ok=True)
        if tool == 'train.py':
            (out / 'best_oIoU_epoch_3.pth').touch()
            return 0
        assert Path(command.words[3]).exists()
        splits = Config.fromfile(config).test_dataloader.dataset.split
        measured = {'oIoU': 1., 'mIoU': 2.}
        for split in splits:
            measured[f'split/{split}/oIoU'] = 60. + len(name)
            measured[f'split/{split}/mIoU'] = 50.
        (out / 'stamp').mkdir()
        (out / 'stamp/stamp.json').write_text(json.dumps(measured))
        return 0

    start.fails = None
    monkeypatch.setattr(runs, 'start', start)
    monkeypatch.setattr(reproduce, 'check_data', lambda *_: None)

    def run(*arguments, fails=None):
        started.clear()
        start.fails = fails
        reproduce.main([
            'table1', '--data', 'there', '--work-dir',
            str(tmp_path / 'work'), *arguments
        ])
        return list(started)

    run.started = started
    run.folder = tmp_path / 'work'
    return run


def test_each_step_once(place):
    with pytest.raises(SystemExit, match=r'refcoco\+: train ended with code'):
        place(fails='refcoco+')
    assert place.started == [('train.py', 'refcoco'), ('test.py', 'refcoco'),
                             ('train.py', 'refcoco+')]
    lines = (place.folder / 'table1.md').read_text()
    assert '| RefCOCO | testB | 71.85 | 67.00 | -4.85 | 50.00 |  |' in lines
    assert '| RefCOCO+ | val | 66.44 | not measured |' in lines
    assert "Convention 'paper'" in lines
    assert place() == [('train.py', 'refcoco+'), ('test.py', 'refcoco+'),
                       ('train.py', 'refcocog'), ('test.py', 'refcocog')]
    with open(place.folder / 'table1.csv') as file:
        rows = list(csv.DictReader(file))
    assert [x['split'] for x in rows] == [
        'val', 'testA', 'testB', 'val', 'testA', 'testB', 'val', 'test'
    ]
    assert [float(x['measured oIoU']) for x in rows] == [67.] * 3 + [68.] * 5
    assert rows[-1]['difference'] == '+2.84'
    assert place() == []


def test_rows_one_by_one_make_one_table(place):
    place('--rows', 'refcocog')
    assert 'not measured' in (place.folder / 'table1.md').read_text()
    assert len(place('--rows', 'refcoco', 'refcoco+')) == 4
    assert 'not measured' not in (place.folder / 'table1.md').read_text()


def test_other_settings_are_refused(place):
    place('--rows', 'refcoco')
    with pytest.raises(SystemExit, match='has other settings than this'):
        place('--seed', '1')
    assert not place.started


def test_a_training_without_checkpoint(place):
    with pytest.raises(SystemExit, match='left no last checkpoint'):
        place('--checkpoint', 'last')


# -------------------------------------------------------------------- data


def test_data_is_checked_once(tmp_path, settings):
    scenes = tmp_path / 'scenes'
    make_synthetic_refs(
        str(scenes), train=1, val=1, testA=1, testB=1, size=96)
    settings = replace(settings, data=str(tmp_path))
    row = replace(TABLES['synthetic'].rows[0], folder='scenes')
    said = []
    check_data([row, row], settings, said.append)
    assert len(said) == 1 and 'refs(synthetic).p' in said[0]
    check_data([row], settings, said.append)
    assert said[1].endswith('checked before')
    (scenes / 'instances.json').write_text('{}')
    with pytest.raises(ValueError, match=r'scenes \(synthetic\)'):
        check_data([row], settings, said.append)
    absent = replace(row, folder='absent')
    with pytest.raises(ValueError, match='data has faults'):
        check_data([absent], settings, said.append)


# -------------------------------------------------------------------- cost


def test_cost_by_hand(settings, monkeypatch):
    assert costs.Cost(1e9, 100, 50).hours(1e-3, 0.5) == pytest.approx(
        2e9 * (3 * 100 + 50) / (1e9 * 0.5) / 3600)
    monkeypatch.setattr(costs, '_forward', lambda model: 2e11)
    row = TABLES['table1'].rows[0]
    counts = costs.count_row(row, 'absent')
    cost = costs.estimate(Run(row, settings).cfg, counts, row.splits)
    assert cost == costs.Cost(2e11, 35 * 42404, 36 * 10834 + 5657 + 5095)
    masked = Run(
        row,
        replace(
            settings,
            options={'model.train_cfg.masked': dict(type='MaskedTraining')}))
    assert costs.estimate(masked.cfg, counts, row.splits).passes == 6
    assert costs.estimate(masked.cfg, {}, row.splits) is None


# --------------------------------------------------------------- the whole

SMALL = [
    'train_cfg.max_iters=6', 'train_cfg.val_interval=6',
    'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1',
    'default_hooks.visualization.draw=False',
    'train_dataloader.batch_size=4',
    'train_dataloader.dataset.pipeline.2.scale=(64,64)',
    'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    'test_dataloader.dataset.pipeline.1.scale=(64,64)',
    *(f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
      for key in ('num_workers=0', 'persistent_workers=False')),
]


@pytest.mark.slow
def test_the_whole_on_synthetic_scenes(tmp_path, monkeypatch, capsys):
    """A training that is killed, goes on, and is tested on three splits; then
    there is nothing more to do."""
    for name, value in dict(
            PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='-1').items():
        monkeypatch.setenv(name, value)
    make_synthetic_refs(
        str(tmp_path / 'scenes'), train=6, val=1, testA=1, testB=1, size=96)
    command = [
        'synthetic', '--rows', 'mpg-lqgnet', '--data',
        str(tmp_path / 'scenes'), '--work-dir',
        str(tmp_path / 'work'), '--cfg-options', *SMALL
    ]
    folder = tmp_path / 'work/mpg-lqgnet'
    plain, started = runs.start, []

    def killed(command, log):
        process = subprocess.Popen(
            command.words, stdout=log, stderr=log, env=command.environment())
        while process.poll() is None and not (
                folder / 'train/last_checkpoint').exists():
            time.sleep(0.01)
        process.kill()
        return process.wait()

    monkeypatch.setattr(runs, 'start', killed)
    with pytest.raises(SystemExit, match='train ended with code -9'):
        reproduce.main(command)
    assert 'No faults.' in capsys.readouterr().out

    reproduce.main([*command, '--dry-run'])
    said = capsys.readouterr().out
    assert 'train: to be resumed' in said and 'GPU hours' in said
    assert '192 sentences x 3 passes' in said  # 6 iterations of 32

    def counted(command, log):
        started.append(os.path.basename(command.words[1]))
        return plain(command, log)

    monkeypatch.setattr(runs, 'start', counted)
    reproduce.main(command)
    assert started == ['train.py', 'test.py']
    log = (folder / 'train.log').read_text()
    assert log.count('Iter(train) [1/6]') == 1  # before it was killed
    assert 'resumed epoch' in log
    said = capsys.readouterr().out
    assert 'checked before' in said

    table = (tmp_path / 'work/synthetic.csv').read_text().splitlines()
    cells = [line.split(',') for line in table]
    assert [x[:3] for x in cells[1:4]] == [['MPG-LQGNet', split, 'none']
                                           for split in ('val', 'testA',
                                                         'testB')]
    assert all(0 <= float(x[3]) <= 100 for x in cells[1:4])
    assert cells[4][:4] == ['LAVT', 'val', 'none', 'not measured']
    best, = folder.glob('train/best_oIoU_*.pth')
    assert json.loads(
        (folder / 'train.json').read_text())['checkpoint'] == str(best)

    reproduce.main(command)
    assert started == ['train.py', 'test.py']
    assert (tmp_path / 'work/synthetic.csv').read_text().splitlines() == table
    assert report.MORE[0] in table[0]
