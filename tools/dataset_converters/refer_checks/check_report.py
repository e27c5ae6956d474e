# Licensed under the Apache License, Version 2.0.
"""Report of a check, as text."""

import os.path as osp
from collections import Counter

from .refer_check import RefsReport
from .refer_counts import SplitCount, say_unknown, split_by_of

_COLUMNS = '{:10}{:>8}{:>11}{:>8}{:>8}   {}'


def format_report(report: RefsReport, limit: int = 5) -> str:
    """A table by split, then the faults by kind.

    Args:
        report (RefsReport): Of one refs file.
        limit (int): At most this many examples of each kind.

    Returns:
        str: Several lines.
    """
    lines = [report.path]
    if report.counts:
        lines += _table(report)
    kinds = Counter((x.kind, x.harmless) for x in report.faults)
    for (kind, harmless), count in sorted(
            kinds.items(), key=lambda x: (x[0][1], x[0][0])):
        lines.append(f'  {count} x {kind}' + (' (harmless)' if harmless else
                                              ''))
        examples = [
            x for x in report.faults if (x.kind, x.harmless) == (kind,
                                                                 harmless)
        ]
        lines += [f'      {_where(x.split)}{x.what}' for x in examples[:limit]]
        if count > limit:
            lines.append(f'      ... and {count - limit} more')
    if not report.faults:
        lines.append('  No faults.')
    return '\n'.join(lines)


def _where(split) -> str:
    return f'[{split}] ' if split else ''


def _table(report: RefsReport) -> list[str]:
    lines = [
        '  ' + _COLUMNS.format('split', 'refs', 'sentences', 'images',
                               'faults', 'published')
    ]
    faults = Counter(x.split for x in report.faults if not x.harmless)
    known = report.known
    for split in [*report.counts, *(x for x in known
                                    if x not in report.counts)]:
        count = report.counts.get(split, SplitCount(0, 0, 0))
        right = ''
        if split in known:
            right = ' / '.join('-' if x is None else str(x)
                               for x in known[split])
        lines.append('  ' + _COLUMNS.format(split, *count, faults[split],
                                            right).rstrip())
    if not known and '(' in osp.basename(report.path):
        folder, name = osp.split(report.path)
        lines.append('  ' + say_unknown(folder, split_by_of(name)))
    return lines
