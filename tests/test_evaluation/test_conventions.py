# Licensed under the Apache License, Version 2.0.
"""Each preset means what the table in docs/metrics.md says."""

import re
from pathlib import Path

import numpy as np
import pytest

from mmrefseg.evaluation import ReferringIoUMetric
from mmrefseg.evaluation.conventions import (CONVENTIONS, Convention,
                                             resolve_convention)

PAGE = Path(__file__).parents[2] / 'docs/metrics.md'


def test_the_table_on_the_page_is_true():
    section = PAGE.read_text().split('## Conventions')[1].split('\n## ')[0]
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in section.splitlines() if line.startswith('| ')]
    header = rows[0]
    stated = {}
    for row in rows:
        names = re.findall(r"`'([\w-]+)'`", row[0])
        cells = dict(zip(header, row))
        for name in names:
            foreground = cells['foreground']
            points = re.findall(r'\d?\.\d+', cells['P@X'])
            stated[name] = Convention(
                eval_size='original'
                if 'original' in cells['compared at'] else 'input',
                precision_compare=re.findall(
                    '`(>=?)`', cells['IoU meets X'] or '`>=`')[0],
                foreground=float(foreground[2:])
                if foreground[:2] == '> ' else foreground,
                empty_iou=int(cells['union 0']),
                thresholds=tuple(float(x) for x in points),
                no_target=tuple(re.findall("`'(.+?)'`", cells['no target'])))
    assert stated == CONVENTIONS


def test_by_name():
    def settled(**kwargs):
        convention = ReferringIoUMetric(**kwargs).convention
        return convention.eval_size, convention.precision_compare

    assert settled() == ('original', '>=')
    assert settled(convention='paper') == ('input', '>')
    assert settled(convention='lavt') == ('input', '>=')
    assert settled(convention='cris') == ('original', '>')
    assert settled(eval_size='input') == ('input', '>=')
    assert settled(convention='lavt', eval_size='input') == ('input', '>=')


def test_numbers_can_be_added_to_a_convention():
    got = resolve_convention('lavt', thresholds=[0.5, 0.95], no_target='rela')
    assert got.thresholds == (0.5, 0.95) and got.no_target == ('rela', )
    assert got.eval_size == 'input'
    both = resolve_convention('rela', no_target=['rela', 'rris'])
    assert both.no_target == ('rela', 'rris')
    assert resolve_convention('rela', no_target=()).no_target == ()


@pytest.mark.parametrize('kwargs, message', [
    (dict(convention='lavt', eval_size='original'), 'remove one of them'),
    (dict(convention='cris', foreground='argmax'), 'remove one of them'),
    (dict(convention='lisa', empty_iou=0), 'remove one of them'),
    (dict(convention='laft'), 'knows the conventions'),
    (dict(eval_size='orginal'), 'eval_size of ReferringIoUMetric is one of'),
    (dict(precision_compare='=='), 'precision_compare'),
    (dict(empty_iou=2), 'empty_iou'),
    (dict(foreground=35), "foreground.* 'argmax' or a probability"),
    (dict(foreground='sigmoid'), "foreground.* 'argmax' or a probability"),
    (dict(thresholds=(50, )), 'between 0 and 1'),
    (dict(no_target='rella'), 'no_target'),
    (dict(length_bins=(3, 1)), 'must ascend'),
])
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ReferringIoUMetric(**kwargs)


def tie(inter, union):
    gt, pred = np.zeros((2, 100), int)
    gt[:union], pred[:inter] = 1, 1
    return pred.reshape(10, 10), gt.reshape(10, 10)


def test_what_meets_a_threshold(make_sample, evaluate):
    """A tie and an empty pair, by each convention at the same size."""
    samples = [
        make_sample(*pair, ori_shape=(10, 10), img_shape=(10, 10),
                    logits=np.stack([1 - 2 * pair[0], 2 * pair[0] - 1]))
        for pair in (tie(14, 20), tie(0, 0))
    ]

    def hits(name):
        got = evaluate(samples, convention=name, no_target=())
        return got.get('P0.7'), got['mIoU']

    for name in ('default', 'lavt', 'polyformer', 'refsegformer', 'rela'):
        assert hits(name) == (50., 35.), name
    for name in ('paper', 'cris', 'cgformer'):
        assert hits(name) == (0., 35.), name
    assert hits('vlt') == (50., 85.)
    for name in ('lisa', 'evf-sam'):
        assert hits(name) == (None, 85.)


def test_a_lower_foreground_threshold_enlarges_masks(make_sample, evaluate):
    share = np.array([[0.2, 0.34, 0.36, 0.45, 0.55, 0.9]])
    logits = np.stack([np.zeros_like(share), np.log(share / (1 - share))])
    gt = [[0, 0, 0, 0, 1, 1]]
    sample = make_sample(share > 0.5, gt, logits=logits)
    assert evaluate([sample])['oIoU'] == 100.
    assert evaluate([sample], convention='cris')['oIoU'] == 50.
    assert evaluate([sample], foreground=0.4)['oIoU'] == 100 * (2 / 3)
    # a head with one channel
    sample = make_sample(share > 0.5, gt, logits=logits[1:])
    assert evaluate([sample], convention='cris')['oIoU'] == 50.
    sample = make_sample(share > 0.5, gt)
    with pytest.raises(KeyError, match='has no seg_logits'):
        evaluate([sample], convention='cris')
