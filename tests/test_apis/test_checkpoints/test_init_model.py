# Licensed under the Apache License, Version 2.0.
import json
import logging
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope
from mmengine.utils import digit_version

from mmrefseg.apis import init_model, list_models
from mmrefseg.apis.checkpoints import model_zoo
from mmrefseg.apis.checkpoints.config_text import parse_config_text
from mmrefseg.models import ReferringEncoderDecoder

ROOT = Path(__file__).parents[3]
TORCH_26 = digit_version(torch.__version__) >= digit_version('2.6.0')


def state_of(path):
    return torch.load(path, map_location='cpu', weights_only=True)[
        'state_dict']


@pytest.fixture
def changed(tiny_model, tmp_path):
    """A function that writes a changed copy of the tiny checkpoint."""

    def change(function, name='changed.pth'):
        content = torch.load(tiny_model.weights, weights_only=True)
        content = function(content) or content
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return change


class TestConfig:

    @pytest.mark.parametrize('kind', ['str', 'path', 'config', 'dict'])
    def test_forms(self, tiny_model, kind):
        config = Config.fromfile(tiny_model.config)
        given = dict(
            str=tiny_model.config,
            path=Path(tiny_model.config),
            config=config,
            dict=config.to_dict())[kind]
        model = init_model(given, tiny_model.weights, 'cpu')
        assert isinstance(model, ReferringEncoderDecoder)
        assert not model.training
        assert model.cfg.model == config.model
        assert model.dataset_meta['classes'] == ('background', 'referent')
        for name, value in state_of(tiny_model.weights).items():
            assert torch.equal(model.state_dict()[name], value), name

    def test_without_weights(self, tiny_model):
        assert not init_model(tiny_model.config, device='cpu').training

    def test_options_leave_the_given_config_alone(self, tiny_model):
        config = Config.fromfile(tiny_model.config)
        model = init_model(
            config,
            device='cpu',
            cfg_options={'model.test_cfg.return_prior': True})
        assert model.test_cfg.return_prior
        assert 'return_prior' not in config.model.test_cfg

    def test_options_without_effect_are_refused(self, tiny_model):
        with pytest.raises(ValueError, match='Did you mean model.backbone'):
            init_model(
                tiny_model.config, cfg_options={'model.backbon.with_cp': True})

    def test_config_from_the_checkpoint(self, tiny_model):
        model = init_model(None, tiny_model.weights, 'cpu')
        config = Config.fromfile(tiny_model.config)
        assert model.cfg.model == config.model
        assert model.cfg.test_pipeline == config.test_pipeline

    def test_the_scope_is_left_as_it_was(self, tiny_model):
        with DefaultScope.overwrite_default_scope('mmseg'):
            init_model(tiny_model.config, device='cpu')
            scope = DefaultScope.get_current_instance().scope_name
        assert scope == 'mmseg'

    def test_building_is_quiet(self, tiny_model, recwarn, capfd):
        init_model(tiny_model.config, tiny_model.weights, 'cpu')
        assert [str(w.message) for w in recwarn] == []
        assert capfd.readouterr() == ('', '')

    @pytest.mark.parametrize('config, error, message', [
        ('nowhere/x.py', FileNotFoundError, 'no config file nowhere/x.py'),
        ('x.py', FileNotFoundError, 'no config file x.py'),
        ('mpg-lqgnet_swin-t_1xb8-35e_refcoc0-448x448', ValueError,
         "Did you mean 'mpg-lqgnet_swin-t_1xb8-35e_refcoco-448x448'.*Known"),
        ('something else', ValueError, 'Known are .*mpg-lqgnet_swin-b'),
        (None, ValueError, 'Give a config'),
        (3, TypeError, 'not by a int'),
        (dict(x=1), ValueError, 'has no model'),
        ('CHECKPOINT', ValueError, 'is a checkpoint, not a config'),
    ])
    def test_what_goes_wrong_is_said(self, tiny_model, config, error,
                                     message):
        if config == 'CHECKPOINT':
            config = tiny_model.weights
        with pytest.raises(error, match=message):
            init_model(config, device='cpu')


class TestNames:

    def test_configs_of_the_package(self):
        names = list_models()
        assert len(names) == len(set(names))
        own = {path.stem for path in (ROOT / 'configs').glob('[!_]*/*.py')}
        assert own - set(names) == {
            'mpg-lqgnet_nano_1xb32-1200it_synthetic-varied-128x128',
            'mpg-lqgnet_efficientnet-lite2-minilm_1xb32-2400it_photos-256x256'
        }  # a packaged model has one name in the list
        found = model_zoo.find_model(
            'MPG-LQGNet_swin-t_1xb8-35e_refcoco-448x448')
        assert Path(found.config).is_file()
        assert found.config.endswith('swin-t_1xb8-35e_refcoco-448x448.py')

    def test_the_packaged_model_by_both_names(self):
        """That of the README, and that of its config."""
        by_config = 'mpg-lqgnet_nano_1xb32-1200it_synthetic-varied-128x128'
        packaged = init_model('mpg-lqgnet_nano', device='cpu')
        model = init_model(by_config, device='cpu')
        assert model.state_dict().keys() == packaged.state_dict().keys()
        for name, value in packaged.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), name
        # Its own config, with which it can be trained further.
        assert 'train_dataloader' in model.cfg
        assert model_zoo.find_model(by_config).config.endswith(
            f'{by_config}.py')

    @pytest.fixture
    def shipped(self, tmp_path, monkeypatch, tiny_model):
        """A repository with a model index, in place of ours."""
        folder = tmp_path / 'configs' / 'method'
        folder.mkdir(parents=True)
        (folder / 'tiny_a.py').write_text(Path(tiny_model.config).read_text())
        (folder / 'tiny_b.py').write_text(Path(tiny_model.config).read_text())
        (tmp_path / 'model-index.yml').write_text(
            'Import:\n- configs/method/metafile.yml\n')
        (folder / 'metafile.yml').write_text(
            'Models:\n'
            '- Name: tiny_a\n'
            '  Alias: the-tiny-one\n'
            '  Config: configs/method/tiny_a.py\n'
            f'  Weights: {tiny_model.weights}\n'
            '- Name: tiny_c\n'
            '  Alias: [c1, c2]\n'
            '  Config: configs/method/tiny_b.py\n')
        monkeypatch.setattr(model_zoo, '_shipped', lambda: tmp_path)
        monkeypatch.setattr(model_zoo, '_PACKAGED', tmp_path / 'no_box')
        return tmp_path

    def test_model_index(self, shipped, tiny_model):
        assert list_models() == [
            'tiny_a', 'the-tiny-one', 'tiny_c', 'c1', 'c2', 'tiny_b'
        ]
        found = model_zoo.find_model('the-tiny-one')
        assert found.weights == tiny_model.weights
        assert found.config == str(shipped / 'configs/method/tiny_a.py')
        assert model_zoo.find_model('c2').weights is None
        model = init_model('Tiny_A', device='cpu')
        name = 'decode_head.conv_seg.weight'
        assert torch.equal(model.state_dict()[name],
                           state_of(tiny_model.weights)[name])

    def test_own_weights_go_first(self, shipped, changed):

        def zero(content):
            content['state_dict']['decode_head.conv_seg.weight'].zero_()

        model = init_model('tiny_a', changed(zero), 'cpu')
        assert not model.decode_head.conv_seg.weight.any()

    def test_no_index_at_all(self, monkeypatch, tmp_path):
        monkeypatch.setattr(model_zoo, '_shipped', lambda: None)
        monkeypatch.setattr(model_zoo, '_PACKAGED', tmp_path)
        assert list_models() == []


class TestWeights:

    def test_bare_weights_and_wrapped_ones(self, tiny_model, changed):
        for function in (
                lambda content: content['state_dict'],
                lambda content: dict(
                    state_dict={
                        f'module.{k}': v
                        for k, v in content['state_dict'].items()
                    })):
            model = init_model(tiny_model.config, changed(function), 'cpu')
            assert model.decode_head.conv_seg.weight.std() > 0.5

    def test_halves_are_read_as_float32(self, tiny_model, changed):

        def halve(content):
            content['state_dict'] = {
                k: v.half() if v.is_floating_point() else v
                for k, v in content['state_dict'].items()
            }

        model = init_model(tiny_model.config, changed(halve), 'cpu')
        kinds = {v.dtype for v in model.state_dict().values()}
        assert kinds == {torch.float32, torch.int64}

    def test_safetensors(self, tiny_model, tmp_path):
        from safetensors.torch import save_file
        path = str(tmp_path / 'x.safetensors')
        save_file(state_of(tiny_model.weights), path)
        model = init_model(tiny_model.config, path, 'cpu')
        assert model.decode_head.conv_seg.weight.std() > 0.5

    def test_classes_of_the_checkpoint(self, tiny_model, changed):
        path = changed(lambda content: content['meta'].update(
            dataset_meta=dict(classes=('no', 'yes'))))
        model = init_model(tiny_model.config, path, 'cpu')
        assert model.dataset_meta == dict(classes=('no', 'yes'))

    @pytest.mark.skipif(not TORCH_26, reason='PyTorch tells them apart since '
                        '2.6')
    def test_checkpoints_of_training_runs(self, tiny_model, changed):
        path = changed(lambda content: content.update(
            message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.], [1])))))
        init_model(tiny_model.config, path, 'cpu')

    def test_what_follows_from_the_architecture_may_be_left_out(
            self, tiny_model, changed):

        def shorten(content):
            for name in list(content['state_dict']):
                if name.endswith(
                    ('relative_position_index', 'num_batches_tracked')):
                    del content['state_dict'][name]

        init_model(tiny_model.config, changed(shorten), 'cpu')

    def test_surplus_is_told(self, tiny_model, changed, monkeypatch):
        logged = []
        monkeypatch.setattr('mmrefseg.apis.checkpoints.checkpoint.print_log',
                            lambda *args, level: logged.append(
                                (level, args[0])))
        path = changed(lambda content: content['state_dict'].update(
            {'auxiliary_head.x': torch.ones(2)}))
        init_model(tiny_model.config, path, 'cpu')
        assert logged[0][0] == logging.WARNING
        assert '1 tensors' in logged[0][1]
        assert 'auxiliary_head.x' in logged[0][1]

    def test_missing_file(self, tiny_model):
        with pytest.raises(FileNotFoundError, match="'no.pth' do not exist"):
            init_model(tiny_model.config, 'no.pth', 'cpu')

    @pytest.mark.parametrize('function, message', [
        (lambda content: dict(state_dict={'other.weight': torch.ones(2)}),
         'Nothing in .*changed.pth belongs to this model: the file has '
         'other.weight, the model '),
        (lambda content: [
            content['state_dict'].pop(name)
            for name in list(content['state_dict']) if 'gates.0' in name
        ] and None, r'\d+ of \d+ tensors are not in it, .*gates\.0.*more'),
        (lambda content: content['state_dict'].update(
            {'decode_head.conv_seg.weight': torch.ones(3, 16, 1, 1)}),
         r'another shape, decode_head.conv_seg.weight \(3 x 16 x 1 x 1 in the '
         r'file, 2 x 16 x 1 x 1 in the model\)'),
        (lambda content: dict(state_dict={}), 'holds no weights'),
        (lambda content: dict(epoch=3), 'holds no weights'),
        (lambda content: [1, 2], 'holds a list'),
    ])
    def test_what_does_not_fit_is_said(self, tiny_model, changed, function,
                                       message):
        with pytest.raises(ValueError, match=message):
            init_model(tiny_model.config, changed(function), 'cpu')

    def test_a_checkpoint_without_config_says_so(self, changed):
        path = changed(lambda content: content['meta'].pop('cfg') and None)
        with pytest.raises(ValueError, match='does not tell its config'):
            init_model(None, path, 'cpu')

    @pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
    def test_cut_off_files(self, tiny_model, tmp_path, suffix):
        path = tmp_path / f'cut{suffix}'
        path.write_bytes(Path(tiny_model.weights).read_bytes()[:5000])
        with pytest.raises(ValueError, match='cut.* cannot be read .*again'):
            init_model(tiny_model.config, path, 'cpu')

    def test_code_is_refused_and_does_not_run(self, tiny_model, tmp_path):
        marker = tmp_path / 'it_ran'

        class Evil:

            def __reduce__(self):
                return Path.touch, (marker, )

        path = str(tmp_path / 'evil.pth')
        torch.save(dict(state_dict={'x': torch.ones(1)}, meta=Evil()), path)
        with pytest.raises(ValueError, match='more than plain data'):
            init_model(tiny_model.config, path, 'cpu')
        assert not marker.exists()
        with open(path, 'wb') as file:
            pickle.dump(Evil(), file, protocol=2)
        with pytest.raises(ValueError, match='more than plain data'):
            init_model(tiny_model.config, path, 'cpu')
        assert not marker.exists()


class TestConfigText:

    def test_reads_what_mmengine_writes(self, tiny_model):
        config = Config.fromfile(tiny_model.config)
        config.odd = ConfigDict({
            'a.b': [1, -2.5, None, True],
            'plain': dict(x=(1, ), y={1: 'one'}, z='"quoted"\n'),
            3: 'three'
        })
        own = parse_config_text(config.pretty_text)
        assert own.to_dict() == config.to_dict()
        assert own.model.backbone.depths == [1, 1, 1, 1]

    @pytest.mark.parametrize('text', [
        "x = __import__('os').system('true')",
        'x = open("/etc/passwd").read()',
        'import os',
        'x = dict([("a", 1)])',
        'x = [i for i in range(3)]',
        'x, y = 1, 2',
        'x = {**dict(a=1)}',
        'x = dict(**dict(a=1))',
        'x = dict(y)',
        'x = 1 + f',
        'x = dict(a=1',
    ])
    def test_refuses_everything_else(self, text):
        with pytest.raises(ValueError, match='The config in the checkpoint'):
            parse_config_text(text)


def test_damaged_published_weights(tiny_model, tmp_path):
    (tmp_path / 'w.pth').write_bytes(Path(tiny_model.weights).read_bytes())
    (tmp_path / model_zoo.METADATA).write_text(
        json.dumps(dict(config='c.py', weights='w.pth', sha256='0' * 64)))
    with pytest.raises(ValueError, match='checksum differs'):
        init_model(str(tmp_path), device='cpu')
    (tmp_path / 'w.pth').unlink()
    with pytest.raises(FileNotFoundError, match='w.pth are not there'):
        init_model(str(tmp_path), device='cpu')
