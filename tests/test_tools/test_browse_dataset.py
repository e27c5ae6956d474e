# Licensed under the Apache License, Version 2.0.
"""The command that draws the samples of a dataset."""

import runpy
import sys
from pathlib import Path

import cv2

from mmrefseg.synthetic import make_synthetic_refs

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'browse_dataset.py'


def test_browse_dataset_command(tmp_path, monkeypatch, capsys):
    scenes = str(tmp_path / 'scenes')
    make_synthetic_refs(
        scenes, train=3, val=2, testA=1, testB=1, size=160, seed=0)
    config = tmp_path / 'config.py'
    base = ROOT / 'configs' / '_base_' / 'datasets' / 'synthetic_refs_128.py'
    config.write_text(f"_base_ = [r'{base}']\n")
    monkeypatch.setattr(sys, 'argv', [
        str(TOOL), str(config), '--split', 'val', '--num', '3', '--out-dir',
        str(tmp_path / 'out'), '--cfg-options',
        f'val_dataloader.dataset.data_root={scenes}'
    ])
    runpy.run_path(str(TOOL), run_name='__main__')
    assert '3 drawn' in capsys.readouterr().out
    files = sorted((tmp_path / 'out').iterdir())
    assert len(files) == 4 and files[-1].name == 'overview.png'
    assert '_ref' in files[0].name and '_sent' in files[0].name
    # 128 x 128, enlarged, and a banner above it
    height, width = cv2.imread(str(files[0])).shape[:2]
    assert width == 448 and height > 448
