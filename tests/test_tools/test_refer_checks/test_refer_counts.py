# Licensed under the Apache License, Version 2.0.
import importlib.util
import json
import pickle
from pathlib import Path

import pytest
from refer_checks import refer_counts
from refer_checks.refer_counts import (SplitCount, count_splits, differs,
                                       known_counts)

TOOL = Path(__file__).parents[3] / 'tools/dataset_converters/count_refs.py'
TINY = dict(
    train=SplitCount(3, 6, 2),
    val=SplitCount(2, 3, 2),
    testA=SplitCount(1, 2, 1),
    testB=SplitCount(1, 1, 1))


def test_count_splits(tiny_refer_parts):
    refs, _ = tiny_refer_parts
    assert count_splits(refs) == TINY


def test_differs_only_in_what_is_known():
    assert not differs(SplitCount(3, 6, 2), SplitCount(3))
    assert not differs(SplitCount(3, 6, 2), SplitCount(3, 6))
    assert differs(SplitCount(3, 5, 2), SplitCount(3, 6))
    assert differs(SplitCount(2, 6, 2), SplitCount(3))


def test_known_counts_add_up():
    """RefCOCO has 142,210 sentences."""
    splits = refer_counts.KNOWN_COUNTS['refcoco', 'unc'].values()
    assert sum(x.sentences for x in splits) == 142210
    assert sum(x.refs for x in splits) == 50000


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('count_refs', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tool(tool, tiny_refer_root, monkeypatch, capsys):
    arguments = [str(tiny_refer_root), 'unc']

    assert tool.main(arguments) == 0
    out = capsys.readouterr().out
    assert 'no published numbers of tiny_refer, split by unc' in out
    assert 'name of the folder' in out and 'refcocog (umd or google)' in out

    monkeypatch.setitem(refer_counts.KNOWN_COUNTS, ('tiny_refer', 'unc'), TINY)
    assert tool.main(arguments) == 0
    assert 'All as known' in capsys.readouterr().out

    monkeypatch.setitem(refer_counts.KNOWN_COUNTS, ('tiny_refer', 'unc'),
                        dict(TINY, val=SplitCount(2, 4)))
    assert tool.main(arguments) == 1
    out = capsys.readouterr().out
    assert out.count('DIFFERS') == 1 and 'docs/data.md' in out


@pytest.mark.parametrize('name', [
    'refs(unc).p', 'refs(unc).json', 'grefs(unc).json', 'grefs(unc).p'
])
def test_tool_reads_every_layout(tool, name, tmp_path, tiny_refer_parts,
                                 capsys):
    refs, _ = tiny_refer_parts
    if name.startswith('grefs'):
        refs[0]['ann_id'], refs[3]['ann_id'] = [11, 12], [-1]
    content = json.dumps(refs).encode() if name.endswith(
        'json') else pickle.dumps(refs)
    (tmp_path / name).write_bytes(content)
    assert tool.main([str(tmp_path), 'unc']) == 0
    first = capsys.readouterr().out.splitlines()[1]
    assert first.split() == ['train', '3', '6', '2']


def test_tool_says_what_is_not_there(tool, tiny_refer_root):
    with pytest.raises(SystemExit, match=r'^error: .*umd.*refs\(unc\)\.p'):
        tool.main([str(tiny_refer_root), 'umd'])
    with pytest.raises(SystemExit, match='^error: .*nowhere is no folder'):
        tool.main([str(tiny_refer_root / 'nowhere'), 'unc'])
    (tiny_refer_root / 'refs(unc).p').write_bytes(b'')
    with pytest.raises(SystemExit, match='^error: .*empty'):
        tool.main([str(tiny_refer_root), 'unc'])


def test_the_name_of_the_folder_chooses(tmp_path, monkeypatch):
    for name in ('refcoco+', 'RefCOCO+', 'REFCOCO+/'):
        assert known_counts(f'{tmp_path}/{name}', 'unc')['val'].refs == 3805
    (tmp_path / 'RefCOCOg').mkdir()
    monkeypatch.chdir(tmp_path / 'RefCOCOg')
    assert known_counts('.', 'umd')['val'].refs == 2573
    assert known_counts('.', 'unc') == known_counts('my_set', 'unc') == {}
