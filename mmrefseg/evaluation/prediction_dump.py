# Licensed under the Apache License, Version 2.0.
"""A file of predictions for other tools."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmrefseg.fileio import write_atomically
from mmrefseg.fileio.masks import mask_areas
from mmrefseg.fileio.run_lengths import encode_run_lengths
from mmrefseg.registry import METRICS
from .sample_masks import predicted_mask

_FIELDS = ('image_id', 'ref_id', 'sent_id', 'ann_id', 'kind',
           'pred_no_target')


@METRICS.register_module()
class PredictionDump(BaseMetric):
    """Writes the predicted masks to a text file, one JSON object per line.

    A line has ``image`` (path), ``text``, ``height`` and ``width`` (px), the
    ``segmentation`` as COCO's compressed run lengths, ``iou`` with the true
    mask (0 to 1; null where both are empty or there is none), and of
    ``image_id``, ``ref_id``, ``sent_id``, ``ann_id``, ``kind`` and
    ``pred_no_target`` what the sample has. Lines are in the order of the
    dataset, with any number of processes.

    Args:
        out_file (str): The file; an existing one is replaced.
        collect_device (str): Where results of several processes meet.
            Defaults to 'cpu'.

    Example:
        >>> import json, tempfile, torch
        >>> from mmrefseg.evaluation import PredictionDump
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dump = PredictionDump(out_file=f'{folder}/predictions.jsonl')
        ...     dump.process(None, [dict(
        ...         pred_sem_seg=dict(data=torch.tensor([[[1, 1], [1, 0]]])),
        ...         gt_sem_seg=dict(data=torch.tensor([[[1, 1], [0, 0]]])),
        ...         img_path='a.png', text='upper row')])
        ...     result = dump.evaluate(size=1)
        ...     with open(dump.out_file) as file:
        ...         line = json.loads(file.read())
        >>> line['text'], line['height'], round(line['iou'], 2)
        ('upper row', 2, 0.67)
    """

    def __init__(self, *, out_file: str, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the predictions of one batch.

        Args:
            data_batch: Unused.
            data_samples (Sequence[dict]): Samples with ``pred_sem_seg``
                (``1 x H x W``, {0, 1}, at the size of the original image).
        """
        for sample in data_samples:
            predicted = _to_mask(sample['pred_sem_seg'])
            line = dict(
                image=sample.get('img_path'),
                text=sample.get('text'),
                height=predicted.shape[0],
                width=predicted.shape[1],
                segmentation=encode_run_lengths(predicted),
                iou=_iou(predicted, sample))
            line.update(
                (name, sample[name]) for name in _FIELDS if name in sample)
            if sample.get('pred_no_target'):
                drawn = predicted_mask(sample, 'argmax').cpu().numpy()
                if drawn.any():
                    line['drawn'] = encode_run_lengths(drawn)
            self.results.append(line)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Write the file.

        Args:
            results (list[dict]): The lines of all processes.

        Returns:
            dict: Empty: nothing is measured.

        Raises:
            OSError: The file cannot be written; an old one is kept.
        """
        lines = (json.dumps(line, default=_plain) + '\n' for line in results)
        write_atomically(self.out_file, ''.join(lines).encode())
        return {}


def _to_mask(field: dict) -> np.ndarray:
    """The mask of a sample's field as ``H x W``, uint8."""
    return field['data'].squeeze(0).cpu().numpy().astype(np.uint8)


def _iou(predicted: np.ndarray, sample: dict):
    """Intersection over union with the true mask, or None."""
    if 'gt_sem_seg' not in sample:
        return None
    true = _to_mask(sample['gt_sem_seg'])
    if true.shape != predicted.shape:
        return None
    inter, union = mask_areas(predicted == 1, true == 1)
    return inter / union if union else None


def _plain(value: Any):
    """NumPy's numbers as JSON's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f'{value!r} cannot be written as JSON.')
