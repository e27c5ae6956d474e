# Licensed under the Apache License, Version 2.0.
"""Scores of referring segmentation, classic and with no-target rules."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmrefseg.registry import METRICS
from .breakdowns import Breakdown
from .conventions import resolve_convention
from .counts import Counts
from .pointing import points_at_target
from .report import (CSV_COUNTS, csv_counts, format_table, score_split,
                     write_csv)
from .sample_masks import (check_sizes, count_sample, label_map,
                           predicted_mask, require_meta)

_CSV_IDS = ('image_id', 'ref_id', 'sent_id', 'text')


@METRICS.register_module()
class ReferringIoUMetric(BaseMetric):
    """Overlap of predicted masks with the targets of the sentences.

    Each sentence of the split counts once. With I and U the areas of the
    intersection and the union of predicted and true mask of a sentence:

    - ``oIoU`` (overall, also called cumulative IoU): sum of I over sum of U,
      in which large objects have more weight;
    - ``mIoU``: mean of I / U;
    - ``P0.5`` ... (shown as P@0.5): share of sentences with I / U at or above
      the threshold;
    - with ``pointing`` also ``pointing``: share of the sentences with a
      target whose most probable pixel is in the true mask (see
      :func:`~mmrefseg.evaluation.pointing.points_at_target`);
    - with ``no_target='rela'`` also ``gIoU``, ``cIoU``, ``N-acc``, ``T-acc``
      (see :func:`~mmrefseg.evaluation.no_target_scores.rela_scores`);
    - with ``no_target='rris'`` also ``mRR``, ``rIoU``, ``mIoU_ref`` (see
      :func:`~mmrefseg.evaluation.no_target_scores.rris_scores`).

    All in percent. I / U is 0 where U is 0. Areas are summed as integers; the
    results do not depend on the number of processes nor on the batch size. Of
    a sentence a few integers are kept, whatever the size of its image.

    A sentence is no-target if ``no_target`` of its metainfo is true or,
    without that field, if its true mask is empty. It is predicted as
    no-target if ``pred_no_target`` of the metainfo is true, in which case the
    mask counts as empty, or, without that field, if the mask is empty.

    Args:
        convention (str, optional): A preset of the next six: 'default',
            'paper' (of MPG-LQGNet), 'lavt', 'cris', 'cgformer', 'vlt',
            'polyformer', 'evf-sam', 'lisa', 'rela', 'refsegformer'; the table
            of what each means is in docs/metrics.md. None is 'default'.
        eval_size (str, optional): Where masks are compared. 'original': at
            the size of the image file. 'input': at the size of the network's
            input (``img_shape``), to which a true mask at the original size
            is scaled, taking the nearest pixel; for this the model must
            predict at that size (``test_cfg.output_size='input'``). None
            leaves it to ``convention``. Defaults to None.
        precision_compare (str, optional): '>=' or '>', how an IoU is compared
            with a threshold. None leaves it to ``convention``. Defaults to
            None.
        foreground (str | float, optional): 'argmax', or the probability above
            which a pixel is predicted, taken from ``seg_logits``. None leaves
            it to ``convention``. Defaults to None.
        empty_iou (int, optional): I / U where U is 0, 0 or 1. None leaves it
            to ``convention``. Defaults to None.
        thresholds (sequence[float], optional): Of P@X, between 0 and 1. None
            leaves them to ``convention``: mostly 0.5, 0.6, 0.7, 0.8, 0.9.
            Defaults to None.
        no_target (str | sequence[str], optional): Rules for no-target
            sentences, 'rela', 'rris' or both. With any, oIoU, mIoU and P@X
            are those of the sentences with a target. None leaves them to
            ``convention``. Defaults to None.
        breakdown (sequence[str]): Fields of the sample by whose values the
            results are split as well, under keys such as
            'kind/relation/oIoU'; 'length' is the number of words of
            ``text``, 'size' the share of the image that the object covers.
            Defaults to ().
        length_bins (sequence[int]): The least number of words of each bin
            of 'length'. Defaults to (1, 3, 6), that is 1-2, 3-5, 6 and more.
        size_bins (sequence[int]): The least share, in percent, of each bin of
            'size'. Defaults to (0, 1, 5, 20), that is below 1, 1 to 5, 5 to
            20 (each without its upper end), 20 and more.
        pointing (bool): Also whether the most probable pixel is on the
            target, which needs ``seg_logits``. Defaults to False.
        output_file (str, optional): A CSV file with a line per sentence, in
            the order of the dataset. Defaults to None.
        collect_device (str): 'cpu' or 'gpu', where results of several
            processes meet. Defaults to 'cpu'.
        prefix (str, optional): Put before the keys. Defaults to None.
        collect_dir (str, optional): As in ``BaseMetric``.

    Raises:
        ValueError: If an argument is none of its choices, or if a given
            ``convention`` and a given argument contradict each other.

    Note:
        For the best checkpoint: ``save_best='oIoU', rule='greater'``.

    Example:
        >>> import torch
        >>> from mmengine.logging import MMLogger
        >>> from mmrefseg.evaluation import ReferringIoUMetric
        >>> true = torch.tensor([[[1, 1], [0, 0]]])
        >>> predicted = torch.tensor([[[1, 1], [1, 0]]])
        >>> metric = ReferringIoUMetric(thresholds=(0.5, 0.7))
        >>> metric.process(None, [
        ...     dict(pred_sem_seg=dict(data=predicted),
        ...          gt_sem_seg=dict(data=true), text='upper row')])
        >>> logger = MMLogger.get_current_instance()
        >>> level = logger.level
        >>> logger.setLevel('ERROR')  # without the table
        >>> scores = metric.evaluate(size=1)
        >>> logger.setLevel(level)
        >>> {key: round(value, 2) for key, value in scores.items()}
        {'oIoU': 66.67, 'mIoU': 66.67, 'P0.5': 100.0, 'P0.7': 0.0}
    """

    def __init__(self,
                 *,
                 eval_size: str | None = None,
                 precision_compare: str | None = None,
                 convention: str | None = None,
                 foreground: str | float | None = None,
                 empty_iou: int | None = None,
                 thresholds: Sequence[float] | None = None,
                 no_target: str | Sequence[str] | None = None,
                 breakdown: Sequence[str] = (),
                 length_bins: Sequence[int] = (1, 3, 6),
                 size_bins: Sequence[int] = (0, 1, 5, 20),
                 pointing: bool = False,
                 output_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        # Keys have no prefix; the base class warns unless one is given.
        super().__init__(
            collect_device=collect_device,
            prefix=prefix or 'none',
            collect_dir=collect_dir)
        self.prefix = prefix
        self.convention = resolve_convention(
            convention,
            eval_size=eval_size,
            precision_compare=precision_compare,
            foreground=foreground,
            empty_iou=empty_iou,
            thresholds=thresholds,
            no_target=no_target)
        self.breakdown = Breakdown(breakdown, length_bins, size_bins)
        self.pointing = pointing
        self.output_file = output_file
        self._size: int | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the areas of each sample of a batch.

        Args:
            data_batch (Any): Unused.
            data_samples (sequence[dict]): Samples with
                ``pred_sem_seg`` and ``gt_sem_seg`` (1xHxW, integers; 1 on the
                target), ``seg_logits`` where probabilities are asked for, and
                the fields of the metainfo.

        Raises:
            KeyError: If a sample has no true mask or no prediction, or lacks
                a required field.
            ValueError: If masks do not fit each other or hold other labels,
                or if a no-target sentence has a mask.
        """
        for sample in data_samples:
            predicted = predicted_mask(sample, self.convention.foreground)
            true = label_map(sample, 'gt_sem_seg').to(predicted.device) == 1
            check_sizes(sample, predicted, true, self.convention)
            counts = count_sample(sample, predicted, true, self.convention)
            if self.pointing:
                counts = counts._replace(
                    pointed=points_at_target(sample, true))
            if 'length' in self.breakdown.fields:
                require_meta(sample, 'text')
            parts = self.breakdown.labels(sample, counts.truth,
                                          predicted.numel())
            row: tuple = ()
            if self.output_file is not None:
                row = tuple(sample.get(key, '') for key in _CSV_IDS)
            self.results.append((counts, parts, row))

    def evaluate(self, size: int) -> dict:
        """Collect the results of all processes and compute the metrics.

        Args:
            size (int): Number of sentences of the split.

        Returns:
            dict[str, float]: The metrics in percent.

        Raises:
            ValueError: If the split is empty.
        """
        # Before processes exchange results: all raise, and none waits.
        if size == 0:
            raise ValueError(
                'ReferringIoUMetric has nothing to evaluate: the split holds '
                'no sentence. Check split and annotation file of the dataset.')
        self._size = size
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics and log them as a table.

        Args:
            results (list[tuple]): The results of :meth:`process` for each
                sentence, in the order of the dataset.

        Returns:
            dict[str, float]: The metrics in percent.

        Raises:
            ValueError: If there are fewer results than sentences.
        """
        if self._size not in (None, len(results)):
            raise ValueError(
                f'{len(results)} results for {self._size} sentences: some '
                'were never predicted, so the metric would be wrong. Test '
                'with a sampler that visits every item and drop_last=False.')
        counts, parts, ids = zip(*results)
        # MMEngine turns named tuples into plain tuples on their way here.
        items = [Counts(*each) for each in counts]
        metrics, rows = score_split(items, parts, self.breakdown.fields,
                                    self.convention)
        print_log(
            '\n' + format_table(rows, self.convention), logger='current')
        if self.output_file is not None:
            write_csv(
                self.output_file,
                (*_CSV_IDS, *self.breakdown.fields, *CSV_COUNTS,
                 *(('pointed', ) if self.pointing else ())),
                [(*row, *part, *csv_counts(item, self.convention))
                 for item, part, row in zip(items, parts, ids)])
            print_log(
                f'Results per sentence are in {self.output_file}.',
                logger='current')
        return metrics
