# Licensed under the Apache License, Version 2.0.
"""Tests of trained runs beyond the validation that ends their training."""

import json
import os
import os.path as osp
import subprocess
import sys
from collections.abc import Sequence
from glob import glob

from mmrefseg.fileio import write_atomically
from ablation_runs import Run

# What is laid over the config of a run for each test, by its name.
TESTS = {
    # Sentences of an image exchanged among its objects: a model that does
    # not read loses nothing by it.
    'control': '''
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ExchangedSentences',
        dataset=_base_.test_dataloader.dataset))
''',
    # Renderers that no training sees (docs/synthetic_scenes.md).
    'unseen': '''
test_dataloader = dict(dataset=dict(split=('unseenA', 'unseenB')))
''',
}
SHOWN = ('oIoU', 'mIoU')


def names_of(tests: Sequence[str]) -> list[str]:
    """Names of the metrics that tests add, such as 'control/oIoU'."""
    return [f'{test}/{metric}' for test in tests for metric in SHOWN]


def run_test(run: Run, test: str, tools: str,
             threads: int | None = None) -> dict[str, float]:
    """Test a trained run, unless it was tested already.

    Args:
        run (Run): A run that is trained.
        test (str): One of ``TESTS``.
        tools (str): The folder ``tools``.
        threads (int, optional): ``OMP_NUM_THREADS`` of the test.

    Returns:
        dict[str, float]: Metrics in percent, named 'control/oIoU', ...

    Raises:
        RuntimeError: The test fails.
    """
    folder = osp.join(run.folder, test)
    path = osp.join(folder, 'result.json')
    with open(osp.join(run.folder, 'last_checkpoint'),
              encoding='utf-8') as file:
        checkpoint = file.read().strip()
    trained = os.stat(checkpoint).st_mtime
    if osp.exists(path):
        with open(path, encoding='utf-8') as file:
            result = json.load(file)
        if result['trained'] == trained:
            return result['metrics']
    os.makedirs(folder, exist_ok=True)
    config = osp.join(folder, f'{test}.py')
    write_atomically(
        config,
        f'_base_ = {osp.abspath(run.config)!r}\n{TESTS[test]}'.encode())
    env = dict(os.environ)
    if threads is not None:
        env['OMP_NUM_THREADS'] = str(threads)
    log = osp.join(folder, 'output.log')
    with open(log, 'wb') as file:
        code = subprocess.run(
            [sys.executable, osp.join(tools, 'test.py'), config, checkpoint,
             '--work-dir', folder],
            stdout=file, stderr=subprocess.STDOUT, env=env).returncode
    found = sorted(glob(osp.join(folder, '*', '*.json')))
    if code or not found:
        raise RuntimeError(f'The test {test} of {run.row.name}, seed '
                           f'{run.seed}, failed: see the end of {log}.')
    with open(found[-1], encoding='utf-8') as file:
        values = json.load(file)
    metrics = {f'{test}/{name}': values[name] for name in SHOWN}
    write_atomically(
        path, json.dumps(dict(trained=trained, metrics=metrics)).encode())
    return metrics
