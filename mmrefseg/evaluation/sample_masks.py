# Licensed under the Apache License, Version 2.0.
"""Masks and metainfo of a data sample, checked and counted."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .conventions import Convention
from .counts import Counts, count_masks


def describe_sample(sample: dict) -> str:
    """Name a sample in an error message."""
    return (f"ref {sample.get('ref_id')}, sentence {sample.get('sent_id')} "
            f"(\"{sample.get('text')}\", image {sample.get('img_path')})")


def require_meta(sample: dict, key: str) -> Any:
    """A required field of the metainfo."""
    if key not in sample:
        raise KeyError(
            f'The sample of {describe_sample(sample)} has no {key}: add it '
            'to meta_keys of PackSegInputs in the test pipeline.')
    return sample[key]


def label_map(sample: dict, key: str) -> torch.Tensor:
    """HxW label map of a sample, 1 on the target and 0 elsewhere."""
    if key not in sample:
        advice = dict(
            gt_sem_seg='give the test pipeline a LoadRefMask (after Resize)',
            pred_sem_seg='the model did not predict; use its predict mode')
        raise KeyError(
            f'The sample of {describe_sample(sample)} has no {key}: '
            f'{advice[key]}.')
    data = sample[key]['data']
    data = data.reshape(data.shape[-2:])
    # One transfer from the device for both.
    low, high = 0, 0
    if data.numel():
        low, high = torch.stack(data.aminmax()).tolist()
    if low < 0 or high > 1:
        name = dict(gt_sem_seg='true', pred_sem_seg='predicted')[key]
        raise ValueError(
            f'The {name} mask of {describe_sample(sample)} holds labels from '
            f'{low} to {high}; it must be 1 on the target and 0 elsewhere.')
    return data


def predicted_mask(sample: dict,
                   foreground: str | float) -> torch.Tensor:
    """The predicted pixels.

    With ``pred_no_target``, a model may have emptied its mask. Then these are
    the pixels of its logits, since the rules of gRefCOCO count their area.

    Args:
        sample (dict): With ``pred_sem_seg``, and ``seg_logits`` (2xHxW, or
            1xHxW) where ``foreground`` is a probability.
        foreground (str or float): 'argmax', or the probability above which
            a pixel is predicted.

    Returns:
        Tensor: HxW, bool.
    """
    predicted = label_map(sample, 'pred_sem_seg') == 1
    emptied = bool(sample.get('pred_no_target')) and not predicted.any()
    if foreground == 'argmax':
        if not emptied or 'seg_logits' not in sample:
            return predicted
        foreground = 0.5
    if 'seg_logits' not in sample:
        raise KeyError(
            f'The sample of {describe_sample(sample)} has no seg_logits, but '
            f'foreground={foreground} asks for probabilities: use a model '
            "that gives them, or foreground='argmax'.")
    logits = sample['seg_logits']['data'].float()
    if logits.shape[0] == 1:
        return logits[0].sigmoid() > foreground
    return logits.softmax(dim=0)[1] > foreground


def check_sizes(sample: dict, predicted: torch.Tensor, true: torch.Tensor,
                convention: Convention) -> None:
    """Refuse masks that are not of the size at which they are compared."""
    allowed = {tuple(predicted.shape)}
    if convention.eval_size == 'original':
        # absent in predictions that are evaluated without their dataset
        size = tuple(sample.get('ori_shape', predicted.shape)[:2])
        if tuple(predicted.shape) != size:
            raise ValueError(
                f'The prediction of {describe_sample(sample)} has size '
                f'{tuple(predicted.shape)}, not that of the image {size}, '
                "which eval_size='original' compares at: set "
                "model.test_cfg.output_size='original', or "
                "eval_size='input' in the metric.")
    else:
        size = tuple(require_meta(sample, 'img_shape')[:2])
        if tuple(predicted.shape) != size:
            raise ValueError(
                f'The prediction of {describe_sample(sample)} has size '
                f'{tuple(predicted.shape)}, not that of the network input '
                f"{size}, which eval_size='input' compares at: set "
                "model.test_cfg.output_size='input'.")
        allowed.add(tuple(require_meta(sample, 'ori_shape')[:2]))
    if tuple(true.shape) not in allowed:
        raise ValueError(
            f'The masks of {describe_sample(sample)} differ in size: '
            f'predicted {tuple(predicted.shape)}, true {tuple(true.shape)}. '
            'With '
            f"eval_size='{convention.eval_size}' the model must predict at "
            'that size (model.test_cfg.output_size='
            f"'{convention.eval_size}') and, in the test pipeline, "
            'LoadRefMask comes after Resize.')


def is_no_target(sample: dict, empty: bool) -> bool:
    """Whether a sentence has no target in its image.

    Args:
        sample (dict): ``no_target`` decides where the sample has it.
        empty (bool): Whether the true mask is empty before it is scaled:
            scaled down, the mask of a small object may vanish.

    Raises:
        ValueError: ``no_target`` is true, but the mask is not empty.
    """
    no_target = sample.get('no_target')
    if no_target and not empty:
        raise ValueError(
            f'The sentence of {describe_sample(sample)} is marked as '
            'no-target, but its true mask is not empty: correct the '
            'annotation.')
    return empty if no_target is None else bool(no_target)


def count_sample(sample: dict, predicted: torch.Tensor, true: torch.Tensor,
                 convention: Convention) -> Counts:
    """The counts of a sentence.

    Args:
        sample (dict): Fields of the metainfo.
        predicted (Tensor): HxW, bool, the predicted mask.
        true (Tensor): hxw, bool, the true mask; of another size, it is
            scaled to that of the predicted one.
        convention (Convention): Says whether sentences have to be grouped
            by their ref.
    """
    empty = None
    if true.shape != predicted.shape:
        empty = not bool(true.any())
        true = resize_nearest(true, predicted.shape)
    counts = Counts(*count_masks(predicted, true))
    if empty is None:
        empty = counts.truth == 0
    pred_no_target = sample.get('pred_no_target')
    if pred_no_target is None:
        pred_no_target = counts.predicted == 0
    ref = None
    if 'rris' in convention.no_target:
        ref = sample.get('image_id'), require_meta(sample, 'ref_id')
    return counts._replace(
        no_target=is_no_target(sample, empty),
        pred_no_target=bool(pred_no_target),
        ref=ref)


def resize_nearest(labels: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Scale a label map, taking the pixel nearest to each new pixel's centre.

    This equals Pillow, by which LAVT scales its masks, to the pixel. (Torch's
    'nearest' and OpenCV's take the pixel at the corner instead.)

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
    """Index of the old pixel for each of ``new`` pixels."""
    # A new centre may fall on the border of two pixels (640 to 480: every
    # third). Summed in steps, as in Pillow, it is rounded as in Pillow.
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.minimum(np.cumsum(steps).astype(np.int64), old - 1)
