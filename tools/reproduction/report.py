# Licensed under the Apache License, Version 2.0.
"""A table of what was published and what was measured."""

import csv
import io
import os.path as osp
from collections.abc import Mapping

from mmrefseg.fileio import write_atomically
from mmrefseg.version import __version__
from .settings import Settings
from .tables import Table

MORE = ('mIoU', 'P0.5')
# Metrics by the row's name and the split.
Results = Mapping[str, Mapping[str, Mapping[str, float]]]


def lines_of(table: Table, results: Results) -> list[list[str]]:
    """The cells of a table, the heads first.

    Args:
        table (Table): The table.
        results (Results): What was measured; may be a part of it.

    Returns:
        list[list[str]]: Set, split, published and measured oIoU, their
        difference, further metrics.
    """
    head = ['set', 'split', 'published oIoU', 'measured oIoU', 'difference']
    lines = [head + [name.replace('P0.', 'P@0.') for name in MORE]]
    for row in table.rows:
        for split, published in row.published.items():
            found = results.get(row.name, {}).get(split)
            cells = [row.what, split]
            cells.append('none' if published is None else f'{published:.2f}')
            if found is None:
                cells += ['not measured', ''] + [''] * len(MORE)
            else:
                difference = ''
                if published is not None:
                    difference = f'{found["oIoU"] - published:+.2f}'
                cells += [f'{found["oIoU"]:.2f}', difference]
                cells += [
                    f'{found[name]:.2f}' if name in found else ''
                    for name in MORE
                ]
            lines.append(cells)
    return lines


def as_markdown(table: Table, results: Results, settings: Settings) -> str:
    """The table with what it rests on, in Markdown.

    Args:
        table (Table): The table.
        results (Results): What was measured.
        settings (Settings): Of the runs.

    Returns:
        str: Lines, each ended.
    """
    lines = lines_of(table, results)
    lines.insert(1, ['---'] * len(lines[0]))
    chosen = ('best oIoU on val'
              if settings.checkpoint == 'best' else 'last checkpoint')
    text = [
        f'# {table.title}', '',
        *(f'| {" | ".join(cells)} |' for cells in lines), '',
        f"Convention '{settings.convention}' (docs/metrics.md), {chosen}, "
        f'seed {settings.seed}, mmrefseg {__version__}. Configs:', ''
    ]
    for row in table.rows:
        text.append(f'- {row.what}: {osp.basename(row.config)}')
    if settings.options:
        text += ['', f'Changed: {settings.options}']
    return '\n'.join(text) + '\n'


def as_csv(table: Table, results: Results) -> str:
    """The table as comma-separated values."""
    out = io.StringIO()
    csv.writer(out, lineterminator='\n').writerows(lines_of(table, results))
    return out.getvalue()


def write(table: Table, results: Results, settings: Settings) -> str:
    """Write the table to the folder, as Markdown and CSV.

    Returns:
        str: Its path, without the ending.
    """
    path = osp.join(settings.work_dir, table.name)
    write_atomically(f'{path}.md',
                     as_markdown(table, results, settings).encode())
    write_atomically(f'{path}.csv', as_csv(table, results).encode())
    return path
