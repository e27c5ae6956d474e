# Licensed under the Apache License, Version 2.0.
"""oIoU, mIoU and P@X of referring segmentation."""

import csv
import io
import logging
import re
from functools import lru_cache
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from prettytable import PrettyTable

from mmrefseg.fileio import write_atomically
from mmrefseg.registry import METRICS
from .scores import CONVENTIONS, group_by, iou, length_bin, score

_NO_VALUE = 'none'


@METRICS.register_module()
class ReferringIoUMetric(BaseMetric):
    """How well predicted masks cover the things that sentences mean.

    Each sentence of the split counts once. With I and U the areas of the
    intersection and the union of predicted and true mask of a sentence:

    - ``oIoU`` (overall, also called cumulative IoU): sum of I over sum of U,
      in which large things weigh more;
    - ``mIoU``: mean of I / U;
    - ``P0.5`` ... (shown as P@0.5): share of sentences with I / U at or above
      the threshold.

    All in percent. I / U is 0 where U is 0. Areas are summed as integers; the
    results do not depend on the number of processes nor on the batch size.

    Args:
        eval_size (str, optional): Where masks are compared. 'original': at
            the size of the image file. 'input': at the size of the network's
            input (``img_shape``), to which a true mask at the original size
            is scaled, taking the nearest pixel; for this the model must
            predict at that size (``test_cfg.output_size='input'``). None
            leaves it to ``convention``. Defaults to None.
        precision_compare (str, optional): '>=' or '>', how an IoU meets a
            threshold. None leaves it to ``convention``. Defaults to None.
        convention (str, optional): A preset of the two: 'default' (original,
            >=), 'lavt' (input, >=), 'paper' (input, >; as the paper of
            MPG-LQGNet writes it), 'cris' (original, >). None is 'default'.
        thresholds (sequence[float]): Of P@X, between 0 and 1. Defaults to
            0.5, 0.6, 0.7, 0.8, 0.9.
        breakdown (sequence[str]): Fields of the sample by whose values the
            results are split as well, under keys such as
            'kind/relation/oIoU'; 'length' is the number of words of
            ``text``. Defaults to ().
        length_bins (sequence[int]): The least number of words of each bin
            of 'length'. Defaults to (1, 3, 6), that is 1-2, 3-5, 6 and more.
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
    """

    def __init__(self,
                 *,
                 eval_size: Optional[str] = None,
                 precision_compare: Optional[str] = None,
                 convention: Optional[str] = None,
                 thresholds: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9),
                 breakdown: Sequence[str] = (),
                 length_bins: Sequence[int] = (1, 3, 6),
                 output_file: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 collect_dir: Optional[str] = None) -> None:
        # bare keys are meant: the base class warns of an absent prefix
        super().__init__(
            collect_device=collect_device,
            prefix=prefix or 'none',
            collect_dir=collect_dir)
        self.prefix = prefix
        self.eval_size, self.precision_compare = _settle(
            convention, eval_size, precision_compare)
        self.thresholds = tuple(thresholds)
        if not all(0 <= value <= 1 for value in self.thresholds):
            raise ValueError('thresholds of ReferringIoUMetric lie between 0 '
                             f'and 1, got {self.thresholds}.')
        self.length_bins = tuple(length_bins)
        if not self.length_bins or list(self.length_bins) != sorted(
                set(self.length_bins)):
            raise ValueError('length_bins of ReferringIoUMetric must ascend, '
                             f'got {self.length_bins}.')
        if isinstance(breakdown, str):
            breakdown = (breakdown, )
        self.breakdown = tuple(breakdown)
        self.output_file = output_file
        self._size: Optional[int] = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note the areas of each sample of a batch.

        Args:
            data_batch (Any): Unused.
            data_samples (sequence[dict]): Samples with
                ``pred_sem_seg`` and ``gt_sem_seg`` (1xHxW, integers; 1 is the
                thing meant) and the fields of the metainfo.

        Raises:
            KeyError: If a sample has no true mask or no prediction.
            ValueError: If masks do not fit each other or hold other labels.
        """
        for sample in data_samples:
            pred = _labels(sample, 'pred_sem_seg')
            gt = _labels(sample, 'gt_sem_seg').to(pred.device)
            self._check(sample, pred, gt)
            if self.eval_size == 'input' and gt.shape != pred.shape:
                gt = resize_nearest(gt, pred.shape)
            pred, gt = pred == 1, gt == 1
            intersection, union = torch.stack([(pred & gt).sum(),
                                               (pred | gt).sum()]).tolist()
            groups = tuple(
                self._value(sample, field) for field in self.breakdown)
            row = ()
            if self.output_file is not None:
                row = tuple(
                    sample.get(key, '')
                    for key in ('image_id', 'ref_id', 'sent_id', 'text'))
            self.results.append((intersection, union, groups, row))

    def evaluate(self, size: int) -> dict:
        """Collect the results of all processes and compute the metrics.

        Args:
            size (int): Number of sentences of the split.

        Returns:
            dict[str, float]: The metrics in percent.

        Raises:
            ValueError: If the split is empty.
        """
        # asked before anything is exchanged: each process raises, none waits
        if size == 0:
            raise ValueError(
                'ReferringIoUMetric has nothing to evaluate: the split holds '
                'no sentence. Check split and annotation file of the dataset.')
        self._size = size
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics and log them as a table.

        Args:
            results (list[tuple]): What :meth:`process` noted for each
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
        areas = [(i, u) for i, u, _, _ in results]
        metrics = score(areas, self.thresholds, self.precision_compare)
        rows = [('all', len(areas), dict(metrics))]
        for index, field in enumerate(self.breakdown):
            labels = [groups[index] for _, _, groups, _ in results]
            if all(label == _NO_VALUE for label in labels):
                print_log(
                    f'No sample has the field "{field}": the results are not '
                    'split by it.',
                    logger='current',
                    level=logging.WARNING)
                continue
            for label, members in group_by(labels).items():
                part = score([areas[k] for k in members], self.thresholds,
                             self.precision_compare)
                rows.append((f'{field}: {label}', len(members), part))
                metrics.update({
                    f'{field}/{label}/{key}': part[key]
                    for key in self._brief()
                })
        print_log('\n' + self._table(rows), logger='current')
        if self.output_file is not None:
            self._write(results)
        return metrics

    def _brief(self) -> List[str]:
        """The keys that are reported for each part of a breakdown."""
        return ['oIoU', 'mIoU'] + [f'P{t:g}' for t in self.thresholds[:1]]

    def _check(self, sample: dict, pred: torch.Tensor,
               gt: torch.Tensor) -> None:
        """Refuse masks that the metric would misread."""
        allowed = {tuple(pred.shape)}
        if self.eval_size == 'original':
            # absent in predictions that are evaluated without their dataset
            size = tuple(sample.get('ori_shape', pred.shape)[:2])
            if tuple(pred.shape) != size:
                raise ValueError(
                    f'The prediction of {_who(sample)} has size '
                    f'{tuple(pred.shape)}, not that of the image {size}, '
                    "which eval_size='original' compares at: set "
                    "model.test_cfg.output_size='original', or "
                    "eval_size='input' in the metric.")
        else:
            size = tuple(_meta(sample, 'img_shape')[:2])
            if tuple(pred.shape) != size:
                raise ValueError(
                    f'The prediction of {_who(sample)} has size '
                    f'{tuple(pred.shape)}, not that of the network input '
                    f"{size}, which eval_size='input' compares at: set "
                    "model.test_cfg.output_size='input'.")
            allowed.add(tuple(_meta(sample, 'ori_shape')[:2]))
        if tuple(gt.shape) not in allowed:
            raise ValueError(
                f'The masks of {_who(sample)} differ in size: predicted '
                f'{tuple(pred.shape)}, true {tuple(gt.shape)}. With '
                f"eval_size='{self.eval_size}' the model must predict at that "
                f"size (model.test_cfg.output_size='{self.eval_size}') and, "
                'in the test pipeline, LoadRefMask comes after Resize.')
        for name, mask in (('predicted', pred), ('true', gt)):
            if mask.numel() and not 0 <= int(mask.min()) <= int(
                    mask.max()) <= 1:
                raise ValueError(
                    f'The {name} mask of {_who(sample)} holds labels from '
                    f'{int(mask.min())} to {int(mask.max())}; it must be 1 on '
                    'the thing meant and 0 elsewhere.')

    def _value(self, sample: dict, field: str) -> str:
        """The value of a breakdown field, fit to be a part of a key."""
        if field == 'length':
            words = len(str(_meta(sample, 'text')).split())
            return length_bin(words, self.length_bins)
        value = sample.get(field)
        if value is None:
            return _NO_VALUE
        # '/' parts keys, and trackers such as MLflow take few other signs
        return re.sub(r'[^\w.-]+', '_', str(value)) or _NO_VALUE

    def _table(self, rows: List[Tuple[str, int, Dict[str, float]]]) -> str:
        table = PrettyTable()
        keys = list(rows[0][2])
        names = [f'P@{key[1:]}' if key[0] == 'P' else key for key in keys]
        table.field_names = ['sentences', 'number'] + names
        table.align = 'r'
        table.align['sentences'] = 'l'
        for title, number, values in rows:
            table.add_row([re.sub('-up$', '+', title), number] +
                          [f'{values[key]:.2f}' for key in keys])
        size = dict(original='size of the image', input='input size')
        return (f'{table}\n(percent; masks compared at the '
                f'{size[self.eval_size]}; P@X: IoU {self.precision_compare} '
                'X)')

    def _write(self, results: list) -> None:
        text = io.StringIO(newline='')
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(
            ['image_id', 'ref_id', 'sent_id', 'text', *self.breakdown] +
            ['intersection', 'union', 'iou'])
        for intersection, union, groups, row in results:
            writer.writerow([*row, *groups, intersection, union] +
                            [f'{iou(intersection, union):.6f}'])
        write_atomically(self.output_file, text.getvalue().encode())
        print_log(
            f'Results per sentence are in {self.output_file}.',
            logger='current')


def resize_nearest(labels: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Scale a label map, taking the pixel nearest to each new pixel's centre.

    This is what Pillow does, by which LAVT scales its masks, to the pixel.
    (Torch's 'nearest' and OpenCV's take the pixel at the corner instead.)

    Args:
        labels (Tensor): HxW, integers.
        size (sequence[int]): Height and width.

    Returns:
        Tensor: height x width, dtype as ``labels``.
    """
    rows, columns = (
        torch.from_numpy(_nearest(old, new)).to(labels.device)
        for old, new in zip(labels.shape, size))
    return labels[rows][:, columns]


@lru_cache(maxsize=1024)
def _nearest(old: int, new: int) -> np.ndarray:
    """Which of ``old`` pixels each of ``new`` pixels takes."""
    # a new centre often falls on the border of two pixels (640 to 480, every
    # third time): summed up in steps, as Pillow does, it falls as there
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.minimum(np.cumsum(steps).astype(np.int64), old - 1)


def _settle(convention: Optional[str], eval_size: Optional[str],
            compare: Optional[str]) -> Tuple[str, str]:
    """The comparison size and sign that the arguments ask for."""
    name = 'default' if convention is None else convention
    if name not in CONVENTIONS:
        raise ValueError(f'ReferringIoUMetric knows the conventions '
                         f'{sorted(CONVENTIONS)}, not {name!r}.')
    settled = []
    for option, given, preset, choices in (
        ('eval_size', eval_size, CONVENTIONS[name][0], ('original', 'input')),
        ('precision_compare', compare, CONVENTIONS[name][1], ('>=', '>'))):
        if given is not None and given not in choices:
            raise ValueError(f'{option} of ReferringIoUMetric is one of '
                             f'{choices}, not {given!r}.')
        if None not in (convention, given) and given != preset:
            raise ValueError(
                f'convention={convention!r} means {option}={preset!r}, but '
                f'{option}={given!r} is given too: leave one of them away.')
        settled.append(preset if given is None else given)
    return settled[0], settled[1]


def _who(sample: dict) -> str:
    """Name a sample in an error message."""
    return (f"ref {sample.get('ref_id')}, sentence {sample.get('sent_id')} "
            f"(\"{sample.get('text')}\", image {sample.get('img_path')})")


def _labels(sample: dict, key: str) -> torch.Tensor:
    """HxW label map of a sample."""
    if key not in sample:
        advice = dict(
            gt_sem_seg='give the test pipeline a LoadRefMask (after Resize)',
            pred_sem_seg='the model did not predict; use its predict mode')
        raise KeyError(
            f'The sample of {_who(sample)} has no {key}: {advice[key]}.')
    data = sample[key]['data']
    return data.reshape(data.shape[-2:])


def _meta(sample: dict, key: str) -> Any:
    if key not in sample:
        raise KeyError(
            f'The sample of {_who(sample)} has no {key}: add it to meta_keys '
            'of PackSegInputs in the test pipeline.')
    return sample[key]
