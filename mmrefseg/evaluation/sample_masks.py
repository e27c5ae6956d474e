# Licensed under the Apache License, Version 2.0.
"""What a metric reads from a data sample, and what it refuses."""

from typing import Any

import torch

from .conventions import Convention
from .counts import Counts, count_masks
from .nearest import resize_nearest


def who(sample: dict) -> str:
    """Name a sample in an error message."""
    return (f"ref {sample.get('ref_id')}, sentence {sample.get('sent_id')} "
            f"(\"{sample.get('text')}\", image {sample.get('img_path')})")


def meta(sample: dict, key: str) -> Any:
    """A field of the metainfo that has to be there."""
    if key not in sample:
        raise KeyError(
            f'The sample of {who(sample)} has no {key}: add it to meta_keys '
            'of PackSegInputs in the test pipeline.')
    return sample[key]


def labels(sample: dict, key: str) -> torch.Tensor:
    """HxW label map of a sample, 1 on the thing meant and 0 elsewhere."""
    if key not in sample:
        advice = dict(
            gt_sem_seg='give the test pipeline a LoadRefMask (after Resize)',
            pred_sem_seg='the model did not predict; use its predict mode')
        raise KeyError(
            f'The sample of {who(sample)} has no {key}: {advice[key]}.')
    data = sample[key]['data']
    data = data.reshape(data.shape[-2:])
    if data.numel() and not 0 <= int(data.min()) <= int(data.max()) <= 1:
        name = dict(gt_sem_seg='true', pred_sem_seg='predicted')[key]
        raise ValueError(
            f'The {name} mask of {who(sample)} holds labels from '
            f'{int(data.min())} to {int(data.max())}; it must be 1 on '
            'the thing meant and 0 elsewhere.')
    return data


def predicted_mask(sample: dict,
                   foreground: str | float) -> torch.Tensor:
    """The predicted pixels.

    Where the model says that nothing is meant (``pred_no_target``), those
    that its logits draw all the same: the rules of gRefCOCO count their area,
    and a model may have emptied the mask.

    Args:
        sample (dict): With ``pred_sem_seg``, and ``seg_logits`` (2xHxW, or
            1xHxW) where ``foreground`` is a probability.
        foreground (str or float): 'argmax', or the probability above which
            a pixel is predicted.

    Returns:
        Tensor: HxW, bool.
    """
    predicted = labels(sample, 'pred_sem_seg') == 1
    emptied = bool(sample.get('pred_no_target')) and not predicted.any()
    if foreground == 'argmax':
        if not emptied or 'seg_logits' not in sample:
            return predicted
        foreground = 0.5
    if 'seg_logits' not in sample:
        raise KeyError(
            f'The sample of {who(sample)} has no seg_logits, but '
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
                f'The prediction of {who(sample)} has size '
                f'{tuple(predicted.shape)}, not that of the image {size}, '
                "which eval_size='original' compares at: set "
                "model.test_cfg.output_size='original', or "
                "eval_size='input' in the metric.")
    else:
        size = tuple(meta(sample, 'img_shape')[:2])
        if tuple(predicted.shape) != size:
            raise ValueError(
                f'The prediction of {who(sample)} has size '
                f'{tuple(predicted.shape)}, not that of the network input '
                f"{size}, which eval_size='input' compares at: set "
                "model.test_cfg.output_size='input'.")
        allowed.add(tuple(meta(sample, 'ori_shape')[:2]))
    if tuple(true.shape) not in allowed:
        raise ValueError(
            f'The masks of {who(sample)} differ in size: predicted '
            f'{tuple(predicted.shape)}, true {tuple(true.shape)}. With '
            f"eval_size='{convention.eval_size}' the model must predict at "
            'that size (model.test_cfg.output_size='
            f"'{convention.eval_size}') and, in the test pipeline, "
            'LoadRefMask comes after Resize.')


def means_nothing(sample: dict, true: torch.Tensor) -> bool:
    """Whether the sentence means nothing in its image.

    The metainfo may tell (``no_target``, or R-RefCOCO's ``exist``); else an
    empty true mask does.

    Args:
        sample (dict): The sample.
        true (Tensor): HxW, the true mask before it is scaled: scaled down,
            the mask of a small thing may vanish.

    Raises:
        ValueError: If the metainfo says so, but the mask is not empty.
    """
    said: Any | None = sample.get('no_target')
    if said is None and sample.get('exist') is not None:
        said = not sample['exist']
    empty = not bool(true.any())
    if said and not empty:
        raise ValueError(
            f'The sentence of {who(sample)} is said to mean nothing, but its '
            'true mask is not empty: correct the annotation.')
    return empty if said is None else bool(said)


def says_nothing(sample: dict, predicted_area: int) -> bool:
    """Whether the prediction is that the sentence means nothing.

    A model that decides this apart from the mask says so in
    ``pred_no_target``; for any other an empty mask does.
    """
    said = sample.get('pred_no_target')
    return predicted_area == 0 if said is None else bool(said)


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
    nothing = means_nothing(sample, true)
    if true.shape != predicted.shape:
        true = resize_nearest(true, predicted.shape)
    counts = Counts(*count_masks(predicted, true), means_nothing=nothing)
    ref = None
    if 'rris' in convention.no_target:
        ref = sample.get('image_id'), meta(sample, 'ref_id')
    return counts._replace(
        says_nothing=says_nothing(sample, counts.predicted), ref=ref)
