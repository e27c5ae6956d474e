# Licensed under the Apache License, Version 2.0.
"""The configs of converted sets, on the folder tree of ``data/README.md``."""

from pathlib import Path

import pytest
from converter_sets import MAKERS
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, init_default_scope

from mmrefseg.converters import convert_refs

CONFIGS = Path(__file__).parents[2] / 'configs'


def load(name):
    return Config.fromfile(CONFIGS / '_base_/datasets' / f'{name}.py')


@pytest.mark.parametrize('name, form, folder, counts', [
    ('ris_cq', 'ris-cq', 'data/coco', (4, 4)),
    ('talk2car_regseg', 'talk2car-regseg', 'data/talk2car_regseg', (1, 1)),
])
def test_config_reads_what_is_converted(name, form, folder, counts, tmp_path,
                                        monkeypatch):
    monkeypatch.chdir(tmp_path)
    init_default_scope('mmrefseg')
    made = MAKERS[form](Path(folder))
    if form == 'ris-cq':
        for split in ('train', 'val'):
            convert_refs(form, made.source, f'{folder}/ris_cq/{split}.jsonl')
    else:
        convert_refs(form, made.source, f'{folder}/refs.jsonl')
    cfg = load(name)
    found = []
    for part in ('train', 'val', 'test'):
        dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
        found.append(len(dataset))
        sample = dataset[0]['data_samples']
        assert dataset[0]['inputs'].shape[-2:] == (448, 448)
        assert sample.gt_sem_seg.data.any()
    assert tuple(found) == (counts[0], counts[1], counts[1])
    assert cfg.train_dataloader.drop_last
    for part in ('val', 'test'):
        metric = METRICS.build(cfg[f'{part}_evaluator'])
        assert metric.pointing == (form != 'ris-cq')


def test_long_sentences_have_room():
    for name in ('ris-cq', 'talk2car-regseg'):
        cfg = Config.fromfile(
            CONFIGS / f'mpg_lqgnet/mpg-lqgnet_swin-b_1xb8-35e_{name}-448x448'
            '.py')
        assert cfg.model.language_encoder.max_tokens == 64
