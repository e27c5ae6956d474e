# Licensed under the Apache License, Version 2.0.
"""Tables and a plot of the results of an ablation."""

import csv
import io
import math
import statistics
from collections.abc import Sequence

from mmrefseg.fileio import write_atomically
from ablation_runs import Row

METRICS = ('oIoU', 'mIoU', 'P0.5', 'P0.7', 'P0.9')
# Metrics by the row's name and the seed.
Results = dict[str, dict[int, dict[str, float]]]


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is NaN for one value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, statistics.stdev(values)


def pooled_error(a: Sequence[float], b: Sequence[float]) -> float:
    """Standard error of the difference of two means, both taken to spread
    alike.

    Args:
        a (Sequence[float]): Values of one row.
        b (Sequence[float]): Values of another.

    Returns:
        float: ``s sqrt(1/n_a + 1/n_b)`` with the pooled deviation ``s``; NaN
        if neither row has two values.
    """
    freedom = len(a) + len(b) - 2
    if freedom < 1:
        return math.nan
    squares = sum(
        sum((x - statistics.fmean(values))**2 for x in values)
        for values in (a, b))
    return math.sqrt(squares / freedom * (1 / len(a) + 1 / len(b)))


def compare(rows: Sequence[Row], results: Results, metric: str,
            reference: str) -> dict[str, tuple[float, float]]:
    """Difference of each row to a reference row.

    Args:
        rows (Sequence[Row]): The rows.
        results (Results): Their metrics.
        metric (str): Name of a metric.
        reference (str): Name of the reference row.

    Returns:
        dict[str, tuple[float, float]]: By the row's name, the difference of
        the means and its pooled standard error. Empty without the reference.
    """
    if reference not in results:
        return {}
    own = [m[metric] for m in results[reference].values()]
    found = {}
    for row in rows:
        if row.name == reference or row.name not in results:
            continue
        values = [m[metric] for m in results[row.name].values()]
        found[row.name] = (statistics.fmean(values) - statistics.fmean(own),
                           pooled_error(values, own))
    return found


def _number(mean: float, deviation: float) -> str:
    return (f'{mean:.2f}'
            if math.isnan(deviation) else f'{mean:.2f} ± {deviation:.2f}')


def markdown(rows: Sequence[Row], results: Results,
             metrics: Sequence[str] = METRICS) -> str:
    """A markdown table: mean and deviation over the seeds, the difference to
    the first row in pooled standard errors, and the published numbers.

    Args:
        rows (Sequence[Row]): The rows, in order.
        results (Results): Their metrics; rows without any are skipped.
        metrics (Sequence[str]): Names of the metrics shown.

    Returns:
        str: The table, each line ended.
    """
    first, reference = metrics[0], rows[0].name
    differences = compare(rows, results, first, reference)
    shown = [name.replace('P0.', 'P@0.') for name in metrics]
    # What further tests measure ('control/oIoU') nobody has published.
    public = [name for name in metrics if '/' not in name]
    head = ['row', 'what', 'seeds', *shown, f'{first} to {reference}']
    if any(row.published for row in rows):
        names = '/'.join(name.replace('P0.', 'P@0.') for name in public)
        head.append(f'published {names}')
    lines = [head, ['---'] * len(head)]
    for row in rows:
        if row.name not in results:
            continue
        runs = results[row.name]
        cells = [row.name, row.what, str(len(runs))]
        cells += [
            _number(*spread([m[metric] for m in runs.values()]))
            for metric in metrics
        ]
        if row.name in differences:
            difference, error = differences[row.name]
            # no standard error from one seed each, or from equal values
            known = error > 0
            cells.append(f'{difference:+.2f}' + (
                f' ({difference / error:+.1f} SE)' if known else ''))
        else:
            cells.append('')
        if any(other.published for other in rows):
            cells.append(' '.join(f'{row.published[metric]:.2f}'
                                  for metric in public
                                  if metric in row.published) or 'none')
        lines.append(cells)
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def as_csv(rows: Sequence[Row], results: Results,
           metrics: Sequence[str] = METRICS) -> str:
    """The same as comma-separated values, and each seed's own.

    Args:
        rows (Sequence[Row]): The rows, in order.
        results (Results): Their metrics.
        metrics (Sequence[str]): Names of the metrics.

    Returns:
        str: A line for each row and seed, with the published numbers, then
        one for each row's mean and one for its deviation (``seed`` says so).
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    public = [name for name in metrics if '/' not in name]
    writer.writerow(['row', 'what', 'seed', *metrics] +
                    [f'published_{name}' for name in public])
    for row in rows:
        runs = results.get(row.name)
        if not runs:
            continue
        published = [row.published.get(name, '') for name in public]
        lines: list[tuple[object, list[float]]] = [
            (seed, [runs[seed][name] for name in metrics])
            for seed in sorted(runs)
        ]
        both = [
            spread([m[name] for m in runs.values()]) for name in metrics
        ]
        lines.append(('mean', [mean for mean, _ in both]))
        lines.append(('std', [deviation for _, deviation in both]))
        for seed, values in lines:
            writer.writerow(
                [row.name, row.what, seed] +
                ['' if math.isnan(x) else f'{x:.4f}'
                 for x in values] + published)
    return out.getvalue()


def plot(path: str, rows: Sequence[Row], results: Results,
         metric: str = 'oIoU') -> None:
    """Draw each seed as a point, each row's mean and deviation around it, and
    the published numbers beside them.

    Args:
        path (str): PNG file.
        rows (Sequence[Row]): The rows, in order.
        results (Results): Their metrics.
        metric (str): The metric drawn. Defaults to 'oIoU'.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    rows = [row for row in rows if row.name in results]
    with matplotlib.rc_context({'font.size': 9}):
        figure = Figure(figsize=(9, 1.2 + 0.45 * len(rows)))
        canvas = FigureCanvasAgg(figure)
        ours, theirs = figure.subplots(1, 2, sharey=True)
        for place, row in enumerate(rows):
            values = [m[metric] for m in results[row.name].values()]
            mean, deviation = spread(values)
            ours.errorbar(mean, place,
                          xerr=None if math.isnan(deviation) else deviation,
                          fmt='|', markersize=18, capsize=4, color='#9ecae1',
                          markeredgewidth=3, linewidth=2)
            ours.plot(values, [place] * len(values), 'o', color='#08519c',
                      markersize=4)
            if metric in row.published:
                theirs.plot(row.published[metric], place, 'D', color='#636363')
        ours.set_yticks(range(len(rows)),
                        [f'{row.name}: {row.what}' for row in rows])
        ours.invert_yaxis()
        for axes, title, shown in (
            (ours, f'measured: {metric}, mean, deviation, seeds',
             [m[metric] for row in rows for m in results[row.name].values()]),
            (theirs, f'published: {metric}',
             [row.published[metric] for row in rows
              if metric in row.published])):
            axes.set_title(title)
            axes.grid(axis='x', alpha=0.4)
            if shown:
                margin = max(1., 0.25 * (max(shown) - min(shown)))
                axes.set_xlim(max(0., min(shown) - margin),
                              min(100., max(shown) + margin))
        figure.tight_layout()
        picture = io.BytesIO()
        canvas.print_png(picture)
    write_atomically(path, picture.getvalue())
