# Licensed under the Apache License, Version 2.0.
"""Rows over a base, runs that are done once, and the tables of them."""

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import ablation_tests
import cv2
import pytest
from mmengine.config import Config

import ablation_runs
import ablation_tables
import run_ablation

ROOT = Path(__file__).parents[2]
ROWS = ROOT / 'projects' / 'ablation' / 'rows.yml'

# A command that trains nothing: it notes that it was called, and measures
# what the config says.
FAKE = '''
import json, os, sys
from mmengine.config import Config
config, work_dir = sys.argv[1:]
cfg = Config.fromfile(config)
with open(os.path.join(work_dir, 'calls'), 'a') as file:
    file.write('x')
if cfg.get('fails'):
    sys.exit('no such data')
out = os.path.join(work_dir, 'stamp', 'vis_data')
os.makedirs(out, exist_ok=True)
with open(os.path.join(out, 'scalars.json'), 'w') as file:
    file.write(json.dumps(dict(loss=1.0, step=1)) + '\\n')
    if not cfg.get('silent'):
        for oIoU in (1.0, 10. * cfg.model.width + cfg.randomness.seed):
            file.write(json.dumps(dict(
                oIoU=oIoU, mIoU=2., **{'P0.5': 3., 'P0.7': 2., 'P0.9': 1.},
                step=2, data_time=.1)) + '\\n')
'''


@pytest.fixture
def place(tmp_path):
    """A base, two rows over it, and the fake command."""
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'base.py').write_text(
        'model = dict(width=3)\nrandomness = dict(seed=9)\n')
    (tmp_path / 'configs/full.py').write_text("# all\n_base_ = './other.py'\n")
    (tmp_path / 'configs/less.py').write_text("# less\n_base_ = './other.py'\n"
                                      'model = dict(width=2)\n')
    (tmp_path / 'rows.yml').write_text(
        'metrics: [oIoU, mIoU]\nrows:\n'
        '- {row: full, config: full.py, tables: [2, x], what: all}\n'
        '- {row: less, config: less.py, tables: [2], what: narrow, '
        'published: [71.5, 60]}\n')
    (tmp_path / 'fake.py').write_text(FAKE)
    return tmp_path


def _command(place):
    return lambda config, work_dir: [
        sys.executable, str(place / 'fake.py'), config, work_dir
    ]


def _runs(place, seeds=2, **options):
    return [
        ablation_runs.prepare(
            row,
            base=str(place / 'base.py'),
            seed=seed,
            work_dir=str(place / 'work'),
            options=options) for seed in range(seeds)
        for row in ablation_runs.read_rows(str(place / 'rows.yml'))
    ]


class TestRows:

    def test_the_paper_has_25(self):
        rows = ablation_runs.read_rows(str(ROWS))
        published = [row for row in rows if row.published]
        assert len(published) == 25
        assert all(len(row.published) == 5 for row in published)
        # Each file of the folder is a row, and each row a file.
        files = {path.name for path in ROWS.parent.glob('configs/*.py')}
        assert {Path(row.config).name for row in rows} == files
        assert len({row.name for row in rows}) == len(rows)

    @pytest.mark.parametrize('table, number', [('2', 7), ('3', 7), ('4', 5),
                                               ('5', 8), ('6', 2),
                                               ('cafg', 2)])
    def test_every_table_has_the_full_model(self, table, number):
        rows = ablation_runs.read_rows(str(ROWS), [table])
        assert rows[0].name == 'full'
        assert len(rows) == number

    def test_unknown_table(self):
        with pytest.raises(ValueError, match="no table '7'; it has 2, 3"):
            ablation_runs.read_rows(str(ROWS), ['7'])

    def test_lambda_is_what_a_row_says(self):
        cfg = Config.fromfile(ROWS.parent / 'configs/table2_6_lambda-0.py')
        assert cfg.model.decode_head.prior_loss_weight == 0

    def test_a_row_changes_any_base(self, place):
        run = _runs(place)[1]
        cfg = Config.fromfile(run.config)
        assert cfg.model.width == 2
        assert cfg.randomness.seed == 0
        # It stands on its own: the base may change or go.
        assert '_base_' not in Path(run.config).read_text()

    def test_a_row_without_base(self, place):
        (place / 'configs/less.py').write_text('model = dict(width=2)\n')
        with pytest.raises(ValueError, match="less.py needs one line _base_"):
            _runs(place)


    def test_a_whole_row_is_not_laid_over_a_base(self, place):
        (place / 'configs/less.py').write_text('model = dict(width=2)\n')
        rows = (place / 'rows.yml').read_text()
        (place / 'rows.yml').write_text('whole: true\n' + rows)
        (place / 'configs/other.py').write_text('model = dict(width=5)\n')
        full, less = _runs(place, seeds=1)
        assert Config.fromfile(full.config).model.width == 5
        assert Config.fromfile(less.config).model.width == 2


class TestMoreTests:

    @pytest.fixture
    def run(self, place):
        """A trained run, and a test.py that says what it was given."""
        run = _runs(place, seeds=1)[0]
        ablation_runs.execute(run, _command(place))
        checkpoint = Path(run.folder, 'iter_1.pth')
        checkpoint.touch()
        Path(run.folder, 'last_checkpoint').write_text(str(checkpoint))
        (place / 'base.py').write_text('changed = True\n')
        (place / 'test.py').write_text('''
import json, os, sys
from mmengine.config import Config
config, checkpoint, _, work_dir = sys.argv[1:]
data = Config.fromfile(config).test_dataloader.dataset
if data.type == 'ExchangedSentences':
    data = data.dataset
    assert data.split == 'val'
os.makedirs(os.path.join(work_dir, 'stamp'))
with open(os.path.join(work_dir, 'stamp', 'stamp.json'), 'w') as file:
    json.dump(dict(oIoU=len(data.split), mIoU=7., time=1.), file)
''')
        return run

    def test_control_and_unseen(self, run, place):
        text = Path(run.config).read_text()
        data = "dict(dataset=dict(type='A', split='val'))"
        Path(run.config).write_text(f'{text}\ntest_dataloader = {data}\n')
        found = {}
        for test in ablation_tests.TESTS:
            found.update(ablation_tests.run_test(run, test, str(place)))
        assert found == {
            'control/oIoU': 3, 'control/mIoU': 7.,
            'unseen/oIoU': 2, 'unseen/mIoU': 7.
        }
        assert list(found) == ablation_tests.names_of(ablation_tests.TESTS)
        # Known now: the same is not tested twice.
        (place / 'test.py').write_text('raise SystemExit(1)')
        assert ablation_tests.run_test(
            run, 'control', str(place))['control/oIoU'] == 3
        Path(run.folder, 'iter_1.pth').write_text('trained further')
        with pytest.raises(RuntimeError, match='test control of full, seed 0'):
            ablation_tests.run_test(run, 'control', str(place))


class TestRuns:

    def test_each_is_done_once(self, place):
        runs = _runs(place)
        lines = []
        results = ablation_runs.run_all(
            runs, _command(place), jobs=2, report=lines.append)
        assert {name: {seed: m['oIoU'] for seed, m in of.items()}
                for name, of in results.items()} == {
                    'full': {0: 30., 1: 31.},
                    'less': {0: 20., 1: 21.}
                }
        assert set(results['full'][0]) == {
            'oIoU', 'mIoU', 'P0.5', 'P0.7', 'P0.9'
        }
        assert len(lines) == 4
        again = ablation_runs.run_all(_runs(place), _command(place))
        assert again == results
        for run in runs:
            assert Path(run.folder, 'calls').read_text() == 'x'

    def test_other_settings_want_another_folder(self, place):
        _runs(place)
        with pytest.raises(FileExistsError, match='another --work-dir'):
            _runs(place, **{'model.width': 7})

    def test_a_result_of_another_config_does_not_count(self, place):
        run = _runs(place)[0]
        ablation_runs.execute(run, _command(place))
        result = Path(run.folder, ablation_runs.RESULT)
        content = json.loads(result.read_text())
        content['config_sha256'] = '0'
        result.write_text(json.dumps(content))
        ablation_runs.execute(run, _command(place))
        assert Path(run.folder, 'calls').read_text() == 'xx'

    def test_a_failed_run_is_named_and_begun_again(self, place):
        runs = _runs(place, fails=True)
        with pytest.raises(RuntimeError, match=r'full, seed 0, .*output\.log'):
            ablation_runs.run_all(runs, _command(place))
        log = Path(runs[0].folder, 'output.log')
        assert 'no such data' in log.read_text()
        # Nothing is begun after a failure, and no result is left.
        assert not Path(runs[-1].folder, 'calls').exists()
        assert not Path(runs[0].folder, ablation_runs.RESULT).exists()

    def test_nothing_measured(self, place):
        with pytest.raises(RuntimeError, match='No validation was found'):
            ablation_runs.execute(
                _runs(place, silent=True)[0], _command(place))

    def test_several_gpus(self):
        one = ablation_runs.train_command('tools')('a.py', 'work')
        assert one[1:] == [
            'tools/train.py', 'a.py', '--work-dir', 'work', '--resume'
        ]
        eight = ablation_runs.train_command('tools', 8)('a.py', 'work')
        assert eight[:4] == ['bash', 'tools/dist_train.sh', 'a.py', '8']


class TestTables:

    @pytest.fixture
    def rows(self, place):
        return ablation_runs.read_rows(str(place / 'rows.yml'))

    @pytest.fixture
    def results(self):

        def metrics(oIoU):
            return {
                'oIoU': oIoU, 'mIoU': 2., 'P0.5': 3., 'P0.7': 2., 'P0.9': 1.
            }

        return {
            'full': {0: metrics(50.), 1: metrics(52.), 2: metrics(54.)},
            'less': {0: metrics(40.), 1: metrics(41.), 2: metrics(45.)},
        }

    def test_pooled_error(self):
        # Deviations 2 and sqrt(7), so a pooled variance of 5.5.
        assert ablation_tables.pooled_error(
            [50., 52., 54.],
            [40., 41., 45.]) == pytest.approx(math.sqrt(5.5 * 2 / 3))
        assert math.isnan(ablation_tables.pooled_error([1.], [2.]))

    def test_compare(self, rows, results):
        difference, error = ablation_tables.compare(rows, results, 'oIoU',
                                                    'full')['less']
        assert difference == pytest.approx(-10)
        assert error == pytest.approx(math.sqrt(5.5 * 2 / 3))

    def test_markdown(self, rows, results):
        table = ablation_tables.markdown(rows, results).splitlines()
        assert len({line.count('|') for line in table}) == 1
        assert table[2].startswith('| full | all | 3 | 52.00 ± 2.00 |')
        assert table[3].startswith('| less | narrow | 3 | 42.00 ± 2.65 |')
        assert '| -10.00 (-5.2 SE) | 71.50 60.00 |' in table[3]
        assert table[2].endswith('|  | none |')

    def test_one_seed_has_no_deviation(self, rows, results):
        one = {name: {0: of[0]} for name, of in results.items()}
        table = ablation_tables.markdown(rows, one).splitlines()
        assert '| 40.00 |' in table[3] and '| -10.00 |' in table[3]
        assert 'nan' not in ''.join(table)
        assert 'nan' not in ablation_tables.as_csv(rows, one)

    def test_rows_without_results_are_skipped(self, rows, results):
        del results['full']
        table = ablation_tables.markdown(rows, results).splitlines()
        assert len(table) == 3 and table[2].startswith('| less')

    def test_csv(self, rows, results):
        lines = list(
            csv.DictReader(
                io.StringIO(ablation_tables.as_csv(rows, results))))
        assert [line['seed'] for line in lines[5:]
                ] == ['0', '1', '2', 'mean', 'std']
        assert float(lines[8]['oIoU']) == 42
        assert float(lines[8]['published_oIoU']) == 71.5
        assert lines[0]['published_oIoU'] == ''

    def test_plot(self, rows, results, tmp_path):
        path = tmp_path / 'plot.png'
        ablation_tables.plot(str(path), rows, results)
        picture = cv2.imread(str(path))
        assert picture.shape[1] == 900 and picture.std() > 10


class TestCommand:
    """What is started, and what only is listed."""

    @pytest.fixture(autouse=True)
    def started(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)

        def fail(*args, **kwargs):
            raise AssertionError('something was started')

        monkeypatch.setattr(subprocess, 'run', fail)

    def test_without_arguments_it_lists_and_starts_nothing(
            self, tmp_path, capsys):
        run_ablation.main([])
        printed = capsys.readouterr().out
        assert 'T4-3            4 ' in printed
        assert 'spatial-spatial gate' in printed
        assert 'data:   data/synthetic_refs (missing: python tools/' in printed
        assert '81 runs of 400 iterations, 32 sentences a batch' in printed
        assert 'Nothing was started.' in printed
        assert printed.endswith('run_ablation.py --table 2\n')
        assert not list(tmp_path.iterdir())

    def test_a_plan_of_a_base(self, place, capsys):
        (place / 'base.py').write_text(
            'train_cfg = dict(max_epochs=3)\ntrain_dataloader = '
            'dict(batch_size=4, dataset=dict(data_root="."))\n')
        args = ['--base', 'base.py', '--rows', 'rows.yml', '--seeds', '2']
        run_ablation.main(['--table', 'x', '--dry-run', *args])
        printed = capsys.readouterr().out
        assert '\nless ' not in printed
        assert '2 runs of 3 epochs, 4 sentences a batch\n' in printed
        assert printed.endswith(f'--table x {" ".join(args)}\n')

    def test_a_table_is_started(self, place):
        with pytest.raises(AssertionError, match='something was started'):
            run_ablation.main([
                '--table', '2', '--base', 'base.py', '--rows', 'rows.yml'
            ])
        assert len(list(place.glob('work_dirs/ablation/*/seed_*'))) == 6

    def test_unknown_table(self):
        with pytest.raises(SystemExit, match="error: .*no table '7'"):
            run_ablation.main(['--table', '7'])
