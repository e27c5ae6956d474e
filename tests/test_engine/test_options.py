# Licensed under the Apache License, Version 2.0.
"""Settings of a command line that have no effect do not pass in silence."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmrefseg  # noqa: F401  (lets configs inherit from 'mmrefseg::...')
from mmrefseg.engine import options
from mmrefseg.engine.options import accepted_arguments, merge_options

ROOT = Path(__file__).parents[2]
NANO = 'mpg_lqgnet/mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
CONFIGS = sorted(
    str(path.relative_to(ROOT / 'configs'))
    for path in (ROOT / 'configs').glob('[!_]*/**/*.py'))


@pytest.fixture
def warned(monkeypatch):
    """The warnings, in order."""
    init_default_scope('mmrefseg')
    texts = []
    monkeypatch.setattr(options, 'print_log',
                        lambda text, **_: texts.append(text))
    return texts


def load(name=NANO):
    return Config.fromfile(ROOT / 'configs' / name, format_python_code=False)


@pytest.mark.parametrize('option, advice', [
    ('optim_wraper.optimizer.lr', 'Set optim_wrapper.optimizer.lr instead'),
    ('train_dataloder.batch_size', 'Set train_dataloader.batch_size instead'),
    ('train_pipeline.2.scale',
     'Set train_dataloader.dataset.pipeline.2.scale instead'),
    ('image_scale', 'Set train_dataloader.dataset.pipeline.2.scale or '),
    ('data_root', 'Set val_dataloader.dataset.data_root or '
     'test_dataloader.dataset.data_root or train_dataloader.dataset.'
     'data_root instead'),
    ('max_iters', 'Set train_cfg.max_iters instead'),
    ('vis_backends', 'Set visualizer.vis_backends instead'),
    ('norm_cfg.type', 'model.neck.norm_cfg.type'),
    ('something_else', "reads 'something_else'."),
    ('lr', "reads 'lr'."),
])
def test_names_that_no_run_reads(warned, option, advice):
    cfg = load()
    merge_options(cfg, {option: [] if option == 'vis_backends' else 1})
    assert len(warned) == 1
    assert warned[0].startswith(f'--cfg-options {option} has no effect')
    for part in advice.removeprefix('Set ').removesuffix(' instead').split(
            ' or '):
        assert part in warned[0]


@pytest.mark.parametrize('option, nearest', [
    ('model.backbon.drop_path_rate', 'Did you mean model.backbone?'),
    ('model.backbone.drop_path', 'model.backbone.drop_path_rate?'),
    ('model.decode_head.loss_decode.0.loss_wieght', 'loss_decode.0.loss_weig'),
    ('default_hooks.visualization.num_samples', 'num_val_samples?'),
    ('val_evaluator.breakdwn', 'val_evaluator.breakdown?'),
    ('train_dataloader.dataset.pipeline.2.scal', 'pipeline.2.scale?'),
    ('optim_wrapper.clip_gard', 'optim_wrapper.clip_grad?'),
    ('optim_wrapper.optimizer.weight_decy', 'optimizer.weight_decay?'),
    ('param_scheduler.1.eta_mn', 'param_scheduler.1.eta_min?'),
    ('model.zzz', "takes no argument 'zzz'."),
])
def test_arguments_that_a_class_does_not_take(warned, option, nearest):
    with pytest.raises(ValueError) as error:
        merge_options(load(), {option: 1})
    assert str(error.value).startswith(f'--cfg-options {option}: ')
    assert nearest in str(error.value)


@pytest.mark.parametrize('option, nearest', [
    ('default_hooks.checkpiont.interval', 'default_hooks.checkpoint?'),
    ('model.test_cfg.output_sise', 'model.test_cfg.output_size?'),
    ('train_dataloader.batchsize', 'train_dataloader.batch_size?'),
    ('randomness.sed', 'randomness.seed?'),
    # its class takes arguments of any name
    ('default_hooks.checkpoint.intervall', 'checkpoint.interval?'),
])
def test_names_that_are_nearly_another(warned, option, nearest):
    merge_options(load(), {option: 1})
    assert len(warned) == 1
    assert f'{option} may have no effect' in warned[0]
    assert nearest in warned[0]


@pytest.mark.parametrize('option', [
    'optim_wrapper.clip_grad.max_norm', 'optim_wrapper.clip_grad.norm_type',
    'optim_wrapper.paramwise_cfg.lr_mult.language_encoder',
    'optim_wrapper.accumulative_counts', 'optim_wrapper.constructor',
    'model.test_cfg.return_prior', 'model.train_cfg.share_images',
    'model.backbone.init_cfg.checkpoint', 'model.backbone.with_cp',
    'model.language_encoder.arch.hidden_act', 'model.backbone.gate.norm_cfg',
    'param_scheduler.0.end', 'param_scheduler.1.convert_to_iter_based',
    'train_dataloader.dataset.pipeline.2.scale', 'train_cfg.by_epoch',
    'train_dataloader.dataset.indices', 'train_dataloader.num_workers',
    'train_dataloader.sampler.round_up', 'train_dataloader.pin_memory',
    'test_evaluator.output_file', 'test_dataloader.dataset.split',
    'visualizer.draw_prior', 'default_hooks.visualization.draw',
    'default_hooks.checkpoint.max_keep_ckpts', 'default_hooks.new.type',
    'default_hooks.visualization.priority',
    'env_cfg.resource_limit', 'randomness.deterministic', 'work_dir',
    'load_from', 'resume', 'compile', 'find_unused_parameters', 'sync_bn',
    'model_wrapper_cfg.type', 'experiment_name', 'custom_hooks',
    'auto_scale_lr.enable'
])
def test_settings_with_an_effect_pass(warned, option):
    cfg = load()
    merge_options(cfg, {option: 1})
    assert not warned
    node = cfg.to_dict()
    for name in option.split('.'):
        node = node[int(name)] if isinstance(node, list) else node[name]
    assert node == 1


def test_a_class_given_by_the_same_call_counts(warned):
    cfg = load()
    merge_options(
        cfg, {
            'default_hooks.logger.type': 'EMAHook',
            'default_hooks.logger.ema_type': 'ExponentialMovingAverage'
        })
    assert not warned


@pytest.mark.parametrize('name', CONFIGS)
def test_every_argument_of_every_config_is_accepted(warned, name):
    """And setting any of them again gives no warning."""

    def visit(node, path):
        if isinstance(node, list) and any(isinstance(x, dict) for x in node):
            for index, item in enumerate(node):
                if isinstance(item, dict):  # MMEngine sets no other item
                    visit(item, f'{path}.{index}')
        elif isinstance(node, dict) and not any('.' in key for key in node):
            if 'type' in node:
                known, closed = accepted_arguments(node['type'])
                assert not closed or set(node) <= known, path
                types.add(node['type'])
            for key, item in node.items():
                visit(item, f'{path}.{key}')
        else:
            settings[path] = node

    cfg, types, settings = load(name), set(), {}
    before = cfg.to_dict()
    for key in set(before) & options._names_read(cfg):
        visit(before[key], key)
    merge_options(cfg, settings)
    assert cfg.to_dict() == before
    # One that only tests has no optimizer, schedule or training pipeline.
    assert len(types) > (20 if cfg.get('train_cfg') else 15)
    assert not warned


def test_options_that_cannot_be_applied(warned):
    with pytest.raises(ValueError, match='pipeline.9.scale.*Index 9 exceeds'):
        merge_options(load(),
                      {'train_dataloader.dataset.pipeline.9.scale': 1})


@pytest.mark.parametrize('kind, takes, closed', [
    ('Resize', {'scale', 'keep_ratio'}, True),
    ('torch.optim.SGD', {'lr', 'momentum'}, True),
    ('NoSuchThing', set(), False),
    (dict, set(), False),
])
def test_arguments(kind, takes, closed):
    init_default_scope('mmrefseg')
    known, is_closed = accepted_arguments(kind)
    assert takes <= known
    assert is_closed == closed
