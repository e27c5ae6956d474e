# Licensed under the Apache License, Version 2.0.
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from safetensors import safe_open
from safetensors.torch import save_file

from mmrefseg.apis import (RefSegInferencer, init_model, packaged_models,
                           publish_model, read_metadata)
from mmrefseg.apis.checkpoints import model_zoo
from mmrefseg.apis.checkpoints.checkpoint import read_checkpoint
from mmrefseg.apis.checkpoints.portable_config import make_portable
from mmrefseg.apis.checkpoints.publish import read_metrics
from mmrefseg.apis.checkpoints.weights_file import (serialize_weights,
                                                    tensors_digest)

ROOT = Path(__file__).parents[3]
TOOL = ROOT / 'tools/model_converters/publish_model.py'
PLACES = ('/home/', '/tmp/', 'somebody')


@pytest.fixture
def publish(monkeypatch, tmp_path):
    """A function that runs the command in this process, in an empty
    folder."""
    spec = importlib.util.spec_from_file_location('publish_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['publish_model.py', *arguments])
        module.main()

    return run


@pytest.fixture(scope='module')
def published(tiny_model, tmp_path_factory):
    """Folder of the tiny model in halves."""
    folder = str(tmp_path_factory.mktemp('published') / 'tiny-one')
    publish_model(
        tiny_model.weights, folder, half=True, metrics=dict(oIoU=12.5))
    return folder


class TestFolder:

    def test_files(self, published):
        metadata = read_metadata(published)
        assert set(os.listdir(published)) == set(metadata['files'])
        assert metadata['name'] == 'tiny-one'
        assert metadata['weights'] == (
            f"tiny-one-{metadata['sha256'][:8]}.pth")
        assert metadata['dtype'] == 'float16'
        assert metadata['metrics'] == dict(oIoU=12.5)
        assert metadata['trained'] == dict(epoch=2, iter=8, seed=0)
        size = os.path.getsize(os.path.join(published, metadata['weights']))
        assert size == metadata['bytes']

    def test_nothing_of_this_machine_or_of_training(self, published,
                                                    tmp_path):
        text = Path(published, 'config.py').read_text()
        text += Path(published, 'metadata.json').read_text()
        for word in (*PLACES, str(tmp_path.parent), 'optim_wrapper',
                     'load_from', 'work_dir', '_base_', 'swin.pth'):
            assert word not in text, word
        assert text.startswith(
            '# Licensed under the Apache License, Version 2.0.\n')
        content = torch.load(
            os.path.join(published,
                         read_metadata(published)['weights']),
            weights_only=True)
        assert set(content) == {'state_dict', 'meta'}

    def test_weights_are_those_of_the_checkpoint(self, published,
                                                 tiny_model):
        own = init_model(published, device='cpu').state_dict()
        theirs = init_model(
            tiny_model.config, tiny_model.weights, 'cpu').state_dict()
        for name, value in theirs.items():
            assert own[name].dtype == value.dtype
            expected = value.half().float() if value.is_floating_point(
            ) else value
            if not name.endswith('num_batches_tracked'):
                assert torch.equal(own[name], expected), name

    def test_it_segments_as_before(self, published, tiny_model, photo):
        texts = ['red square', 'star']
        [own] = RefSegInferencer(
            published, device='cpu')(photo, texts)['predictions']
        [theirs] = RefSegInferencer(
            tiny_model.config, tiny_model.weights,
            'cpu')(photo, texts)['predictions']
        for one, other in zip(own, theirs):
            assert (one['mask'] != other['mask']).mean() < 0.01
            assert one['score'] == pytest.approx(other['score'], abs=0.01)

    def test_full_precision_is_exact(self, tiny_model, tmp_path):
        for safetensors in (False, True):
            done = publish_model(
                tiny_model.weights,
                str(tmp_path / 'x'),
                safetensors=safetensors)
            assert done['weights'].endswith(
                '.safetensors' if safetensors else '.pth')
            own = init_model(str(tmp_path / 'x'), device='cpu')
            theirs = init_model(tiny_model.config, tiny_model.weights, 'cpu')
            for one, other in zip(own.parameters(), theirs.parameters()):
                assert torch.equal(one, other)
        # The second publication took the place of the first.
        assert sorted(os.listdir(tmp_path / 'x')) == sorted(done['files'])
        assert len(done['files']) == 3

    def test_in_the_box(self, published, monkeypatch, photo):
        monkeypatch.setattr(model_zoo, '_PACKAGED', Path(published).parent)
        assert packaged_models() == ['tiny-one']
        assert RefSegInferencer.list_models()[0] == 'tiny-one'
        assert read_metadata('tiny-one')['metrics'] == dict(oIoU=12.5)
        inferencer = RefSegInferencer('tiny-one', device='cpu')
        [[own]] = inferencer(photo, 'red star')['predictions']
        assert own['mask'].any()

    def test_numbers_beyond_float16_are_kept(self, tiny_model, tmp_path):
        content = torch.load(tiny_model.weights, weights_only=True)
        name = 'decode_head.coord_conv.bn.running_var'
        content['state_dict'][name][0] = 1e6
        torch.save(content, tmp_path / 'x.pth')
        done = publish_model(
            str(tmp_path / 'x.pth'), str(tmp_path / 'out'), half=True)
        assert done['kept_float32'] == [name]
        model = init_model(str(tmp_path / 'out'), device='cpu')
        assert model.state_dict()[name][0] == 1e6

    def test_what_does_not_load_is_not_published(self, tiny_model, tmp_path):
        config = tmp_path / 'other.py'
        config.write_text(f'_base_ = {tiny_model.config!r}\n'
                          'model = dict(backbone=dict(embed_dims=16))\n')
        with pytest.raises(ValueError, match='does not fit this model'):
            publish_model(
                tiny_model.weights,
                str(tmp_path / 'out'),
                config=str(config))
        assert not (tmp_path / 'out').exists()

    def test_a_vocabulary_of_ones_own_comes_along(self, tiny_model, tmp_path,
                                                  monkeypatch, photo):
        packaged = ROOT / 'mmrefseg/models/language_encoders/vocabularies'
        bert = tmp_path / 'my_bert'
        bert.mkdir()
        (bert / 'vocab.txt').write_text((packaged /
                                         'synthetic.txt').read_text())
        (bert / 'config.json').write_text(
            json.dumps(dict(hidden_size=16, intermediate_size=32)))
        config = tmp_path / 'mine.py'
        config.write_text(
            f'_base_ = {tiny_model.config!r}\n'
            'model = dict(language_encoder=dict(\n'
            f'    vocab=None, pretrained={str(bert)!r}))\n')
        done = publish_model(
            tiny_model.weights, str(tmp_path / 'out'), config=str(config))
        assert 'vocab.txt' in done['files']
        text = (tmp_path / 'out' / 'config.py').read_text()
        assert 'my_bert' not in text and '{{ fileDirname }}' in text
        (bert / 'vocab.txt').unlink()
        (tmp_path / 'out').rename(tmp_path / 'moved')
        monkeypatch.chdir(tmp_path / 'my_bert')
        # The weights alone find it, too, since it lies beside them.
        init_model(None, tmp_path / 'moved' / done['weights'], 'cpu')
        [[own]] = RefSegInferencer(
            str(tmp_path / 'moved'), device='cpu')(photo,
                                                   'star')['predictions']
        assert own['mask'].shape == (60, 90)


class TestWeightsAlone:
    """The one file says everything: config, what was measured, checksum."""

    @pytest.fixture(scope='class', params=['pth', 'safetensors'])
    def alone(self, request, tiny_model, tmp_path_factory):
        folder = tmp_path_factory.mktemp('alone')
        done = publish_model(
            tiny_model.weights,
            str(folder / 'out'),
            name='tiny',
            safetensors=request.param == 'safetensors',
            metrics={'oIoU': 12.5},
            note='made here')
        path = folder / f'moved.{request.param}'
        (folder / 'out' / done['weights']).rename(path)
        return str(path)

    def test_it_is_enough(self, alone, tiny_model, photo):
        model = init_model(None, alone, 'cpu')
        theirs = init_model(tiny_model.config, tiny_model.weights, 'cpu')
        for one, other in zip(model.parameters(), theirs.parameters()):
            assert torch.equal(one, other)
        [[own]] = RefSegInferencer(
            weights=alone, device='cpu')(photo, 'star')['predictions']
        [[expected]] = RefSegInferencer(
            tiny_model.config, tiny_model.weights,
            'cpu')(photo, 'star')['predictions']
        assert (own['mask'] == expected['mask']).all()
        assert 'optim_wrapper' not in model.cfg

    def test_what_it_says(self, alone):
        metadata = read_metadata(alone)
        assert metadata['metrics'] == dict(oIoU=12.5)
        assert metadata['note'] == 'made here' and metadata['name'] == 'tiny'
        assert metadata['trained'] == dict(epoch=2, iter=8, seed=0)

    def test_other_tensors_are_noticed(self, alone, tmp_path):
        content = read_checkpoint(alone)
        name = 'decode_head.conv_seg.bias'
        content['state_dict'][name] = content['state_dict'][name] + 1
        kind = alone.rsplit('.', 1)[1]
        path = tmp_path / f'changed.{kind}'
        path.write_bytes(
            serialize_weights(content['state_dict'], content['meta'], kind))
        with pytest.raises(ValueError, match='not those that were published'):
            init_model(None, str(path), 'cpu')

    def test_plain_data_only(self, alone):
        if alone.endswith('.pth'):
            torch.load(alone, weights_only=True)
        else:
            with safe_open(alone, framework='pt') as file:
                assert set(file.metadata()) == {'format', 'cfg', 'published'}


def test_the_checksum_does_not_depend_on_the_format(tiny_model, tmp_path):
    digests = {
        publish_model(
            tiny_model.weights, str(tmp_path / 'x'),
            safetensors=kind)['tensors_sha256']
        for kind in (False, True)
    }
    assert len(digests) == 1


@pytest.mark.parametrize('change', [
    dict(a=torch.zeros(2, 3)),
    dict(a=torch.zeros(3, 2, dtype=torch.int32)),
    dict(b=torch.zeros(3, 2)),
    dict(a=torch.zeros(3, 2), b=torch.tensor(1.)),
    dict(a=torch.tensor([[0., 0.], [0., 0.], [0., 1e-30]])),
])
def test_what_the_checksum_sees(change):
    same = torch.zeros(2, 3).t()  # another layout in memory
    assert tensors_digest(dict(a=same)) == tensors_digest(
        dict(a=torch.zeros(3, 2)))
    assert tensors_digest(change) != tensors_digest(dict(a=same))


def test_weights_of_others_say_nothing(tmp_path):
    save_file({'a': torch.ones(1)}, tmp_path / 'x.safetensors')
    assert read_checkpoint(str(tmp_path / 'x.safetensors'))['meta'] == {}
    with pytest.raises(ValueError, match='does not say what it is'):
        read_metadata(str(tmp_path / 'x.safetensors'))
    with pytest.raises(ValueError, match='does not tell its config'):
        init_model(None, tmp_path / 'x.safetensors')


class TestPortableConfig:

    def test_paths(self, tiny_model):
        config = Config.fromfile(tiny_model.config)
        config.test_dataloader.dataset.update(
            ann_file='/home/somebody/refs/sub/instances.json',
            data_prefix=dict(img_path='/mnt/coco/train2014'))
        config.visualizer = dict(
            type='RefSegVisualizer', save_dir='C:\\Users\\me\\pictures')
        config.test_evaluator.output_file = '~/areas.csv'
        done = make_portable(config)
        dataset = done.config.test_dataloader.dataset
        assert dataset.data_root == 'data/refs'
        assert dataset.ann_file == 'sub/instances.json'
        assert dataset.data_prefix.img_path == 'train2014'
        assert done.config.visualizer.save_dir is None
        assert done.config.test_evaluator.output_file is None
        assert done.config.model.backbone.init_cfg is None
        assert 'train_cfg' not in done.config
        assert len(done.changes) == 6
        # The given config stays as it was.
        assert config.test_dataloader.dataset.data_root.startswith('/home')

    def test_bert_from_the_hub_becomes_its_architecture(
            self, bert_sized_vocab):
        config = Config.fromfile(
            ROOT / 'configs/mpg_lqgnet/'
            'mpg-lqgnet_swin-t_1xb8-35e_refcoco-448x448.py')
        config.model.language_encoder.vocab = bert_sized_vocab
        done = make_portable(config)
        encoder = done.config.model.language_encoder
        assert 'pretrained' not in encoder
        assert encoder.vocab.endswith('vocab.txt')
        assert [str(path) for path in done.files.values()] == [
            bert_sized_vocab
        ]
        assert done.config.test_dataloader.dataset.data_root.startswith(
            'data/')
        assert done.config.default_hooks.visualization.type == (
            'RefVisualizationHook')


class TestMetrics:

    SCALARS = '\n'.join(
        json.dumps(x) for x in (
            dict(loss=1., epoch=1, step=1),
            {'oIoU': 10., 'kind/relation/oIoU': 9., 'time': 2., 'step': 1},
            {'oIoU': 20., 'P0.5': 21., 'mIoU': 22., 'step': 2},
        ))

    @pytest.mark.parametrize('text, meta, expected', [
        ('{"oIoU": 3.5, "mIoU": 4, "P0.9": 1.0, "time": 3}', {},
         {'oIoU': 3.5, 'mIoU': 4, 'P0.9': 1.}),
        (SCALARS, dict(epoch=2, iter=9),
         {'oIoU': 20., 'P0.5': 21., 'mIoU': 22.}),
        (SCALARS, dict(epoch=0, iter=1),
         {'oIoU': 10., 'kind/relation/oIoU': 9.}),
    ])
    def test_files(self, tmp_path, text, meta, expected):
        path = tmp_path / 'x.json'
        path.write_text(text)
        assert read_metrics(str(path), meta) == expected

    @pytest.mark.parametrize('text, message', [
        ('{"loss": 1}', 'has no oIoU'),
        ('no json', 'is no JSON file'),
        (SCALARS, 'no measurement of epoch 7, iteration 70'),
    ])
    def test_what_goes_wrong_is_said(self, tmp_path, text, message):
        path = tmp_path / 'x.json'
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_metrics(str(path), dict(epoch=7, iter=70))

    def test_missing_file(self):
        with pytest.raises(FileNotFoundError, match='no file none.json'):
            read_metrics('none.json', {})


def test_the_command_and_the_standard_test(tiny_model, tiny_refer_root,
                                           tmp_path, publish, capsys):
    """What it wrote is tested by tools/test.py, from an empty folder."""
    publish(tiny_model.weights, 'out/tiny', '--half', '--metric',
            'oIoU=81.25', 'P0.5=90', '--note', 'python tools/train.py x.py')
    printed = capsys.readouterr().out
    assert 'measured: oIoU 81.25, P0.5 90.00' in printed
    assert "data_root '/home/somebody/refs' became 'data/refs'" in printed
    assert 'python tools/test.py out/tiny/config.py' in printed
    metadata = read_metadata(str(tmp_path / 'out/tiny'))
    assert metadata['note'] == 'python tools/train.py x.py'
    tested = subprocess.run([
        sys.executable, ROOT / 'tools/test.py', 'out/tiny/config.py',
        f"out/tiny/{metadata['weights']}", '--work-dir', 'work',
        '--cfg-options',
        f'test_dataloader.dataset.data_root={tiny_refer_root}'
    ],
                            cwd=tmp_path,
                            env={
                                **os.environ, 'PYTHONPATH': str(ROOT),
                                'OMP_NUM_THREADS': '1',
                                'CUDA_VISIBLE_DEVICES': '-1'
                            },
                            capture_output=True,
                            text=True,
                            timeout=300)
    assert tested.returncode == 0, tested.stderr
    assert 'do not match exactly' not in tested.stdout
    [found] = (tmp_path / 'work').glob('2*/2*.json')
    assert 'oIoU' in read_metrics(str(found), {})


@pytest.mark.parametrize('arguments, message', [
    (['none.pth', 'out'], "error: The weights 'none.pth' do not exist"),
    (['none.pth', 'out', '--metric', 'oIoU'], 'error: --metric oIoU: write'),
])
def test_errors_of_the_command(publish, arguments, message):
    with pytest.raises(SystemExit, match=message):
        publish(*arguments)
