# Licensed under the Apache License, Version 2.0.
import importlib.util
from pathlib import Path

from mmrefseg.datasets import refer_counts
from mmrefseg.datasets.refer_counts import SplitCount, count_splits, differs

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/count_refs.py'
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


def test_tool(tiny_refer_root, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('count_refs', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    arguments = [str(tiny_refer_root), 'unc']

    assert tool.main(arguments) == 0
    assert 'No numbers are known for tiny_refer' in capsys.readouterr().out

    monkeypatch.setitem(refer_counts.KNOWN_COUNTS, ('tiny_refer', 'unc'), TINY)
    assert tool.main(arguments) == 0
    assert 'All as known' in capsys.readouterr().out

    monkeypatch.setitem(refer_counts.KNOWN_COUNTS, ('tiny_refer', 'unc'),
                        dict(TINY, val=SplitCount(2, 4)))
    assert tool.main(arguments) == 1
    out = capsys.readouterr().out
    assert out.count('DIFFERS') == 1 and 'docs/data.md' in out
