# Licensed under the Apache License, Version 2.0.
"""A sample of what `make fuzz` does, with the same oracle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / 'fuzz'


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_sample(tmp_path):
    out = tmp_path / 'figures.json'
    done = subprocess.run(
        [sys.executable, FUZZ / 'run.py', '--cases', '100', '--seed', '1',
         '--out', out],
        env={
            **os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH':
            os.pathsep.join(
                [str(FUZZ.parents[1]), os.environ.get('PYTHONPATH', '')])
        },
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    kinds = json.loads(out.read_text())['kinds']
    assert sum(x['tried'] for x in kinds.values()) >= 100
    for name, found in kinds.items():
        assert found['tried'] == found['refused'] + found['accepted']
        # Both outcomes come up but where code asks to be run.
        assert found['refused'] > 0, name
    assert kinds['refs pickle, code']['accepted'] == 0
    assert sum(x['accepted'] for x in kinds.values()) > 20
