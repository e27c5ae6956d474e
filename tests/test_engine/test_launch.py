# Licensed under the Apache License, Version 2.0.
"""From a config and the arguments of a command to a Runner."""

import runpy
from pathlib import Path

import command_options
import pytest
import torch
from mmengine.config import Config

from mmrefseg.engine import launch

ROOT = Path(__file__).parents[2]
TEXT = '''
default_scope = 'mmrefseg'
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=.1))
default_hooks = dict(visualization=dict(type='RefVisualizationHook'))
test_evaluator = dict(type='ReferringIoUMetric')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
'''


@pytest.fixture
def cfg():
    return Config.fromstring(TEXT, '.py')


@pytest.fixture
def device(monkeypatch):
    """A function that makes the machine appear to have a device."""

    def pretend(name):
        for module in (launch, command_options):
            monkeypatch.setattr(module, 'get_device', lambda: name)

    return pretend


class TestLoadConfig:

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / 'some-model.py'
        path.write_text(TEXT)
        return str(path)

    def test_work_dir_is_named_after_the_file(self, path):
        cfg = launch.load_config(path)
        assert cfg.work_dir == 'work_dirs/some-model'
        assert cfg.launcher == 'none'

    def test_work_dir_of_the_config_goes_before_that(self, path):
        cfg = launch.load_config(path, options={'work_dir': 'there'})
        assert cfg.work_dir == 'there'

    def test_work_dir_of_the_command_goes_before_all(self, path):
        cfg = launch.load_config(
            path, options={'work_dir': 'there'}, work_dir='here')
        assert cfg.work_dir == 'here'

    def test_options_change_settings(self, path):
        cfg = launch.load_config(
            path, options={'optim_wrapper.optimizer.lr': 1.})
        assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=1.)

    def test_absent(self):
        with pytest.raises(FileNotFoundError, match='no config file no.py'):
            launch.load_config('no.py')


class TestAmp:

    def test_on_gpu(self, cfg, device):
        device('cuda')
        command_options.enable_amp(cfg)
        assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
        assert cfg.optim_wrapper.loss_scale == 'dynamic'
        assert cfg.optim_wrapper.optimizer.lr == .1

    def test_on_cpu(self, cfg, device):
        device('cpu')
        command_options.enable_amp(cfg)
        assert cfg.optim_wrapper.type == 'AutocastOptimWrapper'
        assert 'loss_scale' not in cfg.optim_wrapper

    @pytest.mark.parametrize('kind', command_options.AMP_WRAPPERS)
    def test_is_there_already(self, cfg, kind):
        cfg.optim_wrapper.type = kind
        command_options.enable_amp(cfg)
        assert cfg.optim_wrapper.type == kind

    def test_of_a_foreign_wrapper(self, cfg):
        cfg.optim_wrapper.type = 'ApexOptimWrapper'
        with pytest.raises(ValueError, match='ApexOptimWrapper'):
            command_options.enable_amp(cfg)


class TestAutoScale:

    def test_is_switched_on(self, cfg):
        cfg.auto_scale_lr = dict(base_batch_size=16)
        command_options.enable_auto_scale_lr(cfg)
        assert cfg.auto_scale_lr == dict(base_batch_size=16, enable=True)

    @pytest.mark.parametrize('setting', [None, dict(enable=False)])
    def test_needs_the_batch_size(self, cfg, setting):
        cfg.auto_scale_lr = setting
        with pytest.raises(ValueError, match='base_batch_size'):
            command_options.enable_auto_scale_lr(cfg)


class TestResume:

    def test_leaves_the_config_alone(self, cfg):
        cfg.resume, cfg.load_from = True, 'a.pth'
        command_options.set_resume(cfg, None)
        assert (cfg.resume, cfg.load_from) == (True, 'a.pth')

    def test_from_the_latest(self, cfg):
        cfg.load_from = 'pretrained.pth'
        command_options.set_resume(cfg, 'auto')
        assert (cfg.resume, cfg.load_from) == (True, None)

    def test_from_a_checkpoint(self, cfg, tmp_path):
        path = tmp_path / 'a.pth'
        path.touch()
        command_options.set_resume(cfg, str(path))
        assert (cfg.resume, cfg.load_from) == (True, str(path))

    def test_from_an_absent_one(self, cfg):
        with pytest.raises(FileNotFoundError, match='no checkpoint no.pth'):
            command_options.set_resume(cfg, 'no.pth')

    def test_an_address_is_not_looked_for(self):
        command_options.check_checkpoint('https://example.org/a.pth')


class TestPredictions:

    def test_are_all_drawn(self, cfg):
        command_options.draw_predictions(cfg, show_dir='drawn')
        hook = cfg.default_hooks.visualization
        assert hook.num_test_samples == -1
        assert (hook.out_dir, hook.show) == ('drawn', False)

    def test_need_a_hook_to_be_drawn(self, cfg):
        del cfg.default_hooks['visualization']
        with pytest.raises(ValueError, match='RefVisualizationHook'):
            command_options.draw_predictions(cfg, show=True)

    @pytest.mark.parametrize('several', [False, True])
    def test_are_written_besides_measuring(self, cfg, several):
        first = cfg.test_evaluator
        if several:
            cfg.test_evaluator = [first]
        command_options.dump_predictions(cfg, 'a.jsonl')
        assert cfg.test_evaluator[0] == first
        assert cfg.test_evaluator[1].out_file == 'a.jsonl'

    def test_are_written_as_json_lines(self, cfg):
        with pytest.raises(ValueError, match='.jsonl'):
            command_options.dump_predictions(cfg, 'a.pkl')


class TestDistributed:

    def test_one_process_needs_nothing(self, cfg, device):
        device('cpu')
        launch.prepare_distributed(cfg)
        assert 'model_wrapper_cfg' not in cfg

    def test_gpus_are_left_to_mmengine(self, cfg, device):
        device('cuda')
        cfg.launcher = 'pytorch'
        launch.prepare_distributed(cfg)
        assert 'model_wrapper_cfg' not in cfg

    @pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
    def test_cpu_has_one_launcher(self, cfg, device, launcher):
        device('cpu')
        cfg.launcher = launcher
        with pytest.raises(ValueError, match='dist_train.sh'):
            launch.prepare_distributed(cfg)

    @pytest.mark.parametrize('own', [False, True])
    def test_cpu_has_no_device_numbers(self, cfg, device, monkeypatch, own):
        device('cpu')
        monkeypatch.setattr(launch, 'is_distributed', lambda: True)
        cfg.launcher = 'pytorch'
        cfg.find_unused_parameters = True
        if own:
            cfg.model_wrapper_cfg = dict(
                type='MMDistributedDataParallel', bucket_cap_mb=5)
        launch.prepare_distributed(cfg)
        wrapper = cfg.model_wrapper_cfg
        assert wrapper.type == 'MMDistributedDataParallel'
        assert wrapper.device_ids is None
        assert ('bucket_cap_mb' in wrapper) == own
        assert own or wrapper.find_unused_parameters


class TestLeaveDistributed:

    def test_the_group_is_closed(self, tmp_path):
        torch.distributed.init_process_group(
            'gloo',
            init_method=f'file://{tmp_path / "meeting"}',
            rank=0,
            world_size=1)
        try:
            launch.leave_distributed()
            assert not torch.distributed.is_initialized()
        finally:
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()

    def test_one_process_has_none(self):
        launch.leave_distributed()
        assert not torch.distributed.is_initialized()

    @pytest.mark.parametrize('fails', [False, True])
    @pytest.mark.parametrize('tool, does', [('train', 'train'),
                                            ('test', 'test')])
    def test_the_commands_do_it_last(self, tool, does, fails, monkeypatch,
                                     tmp_path):
        """Without it a run of two processes that went well fails in about
        one of ten cases: too rarely to be seen by running it. After an error
        it would wait for ever."""
        calls = []

        class FakeRunner:

            def __getattr__(self, name):

                def call():
                    calls.append(name)
                    if fails:
                        raise RuntimeError('no')

                return call

        monkeypatch.chdir(tmp_path)
        Path('a.py').write_text(TEXT)
        Path('a.pth').touch()
        monkeypatch.setattr(launch, 'build_runner', lambda cfg: FakeRunner())
        monkeypatch.setattr(launch, 'leave_distributed',
                            lambda: calls.append('leave'))
        monkeypatch.setattr(
            'sys.argv',
            [tool, 'a.py', *(['a.pth'] if tool == 'test' else [])])
        script = str(ROOT / 'tools' / f'{tool}.py')
        if fails:
            with pytest.raises(RuntimeError, match='no'):
                runpy.run_path(script, run_name='__main__')
        else:
            runpy.run_path(script, run_name='__main__')
        assert calls == ([does] if fails else [does, 'leave'])
