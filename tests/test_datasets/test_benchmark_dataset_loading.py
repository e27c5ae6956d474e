# Licensed under the Apache License, Version 2.0.
import importlib.util
from pathlib import Path

from mmrefseg.datasets import RefCOCODataset

TOOL = Path(__file__).parents[2] / (
    'tools/analysis_tools/benchmark_dataset_loading.py')


def test_the_set_it_makes_is_a_set(tmp_path):
    spec = importlib.util.spec_from_file_location('benchmark_loading', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.write_set(str(tmp_path), refs=10, annotations=40, sentences=3)
    dataset = RefCOCODataset(
        data_root=str(tmp_path),
        data_prefix=dict(img_path=''),
        split='train',
        split_by='unc')
    plain = tool.PlainDataset(str(tmp_path))
    assert len(dataset) == len(plain) == 30
    assert len(dataset.masks) == 10
    for index in range(30):
        one, other = dataset.get_data_info(index), plain.get_data_info(index)
        assert one['text'] == other['text']
        assert one['segmentation'] == other['segmentation']
    assert set(tool.memory()) == {'VmRSS', 'VmHWM', 'Private'}
