# Licensed under the Apache License, Version 2.0.
"""Losses of a mask, weighted by whether the sentence has a target."""

from collections.abc import Callable

import torch
from mmseg.utils import SampleList
from torch import Tensor

from .existence import has_target

LossByFeat = Callable[[Tensor, SampleList], dict[str, Tensor]]


def check_no_target_weight(weight: float) -> None:
    """Refuse a negative weight.

    Raises:
        ValueError: ``weight`` is negative.
    """
    if weight < 0:
        raise ValueError(f'no_target_weight={weight} must not be negative; '
                         '1 treats all sentences alike.')


def weigh_no_target(loss_by_feat: LossByFeat, logits: Tensor,
                    samples: SampleList, weight: float) -> dict[str, Tensor]:
    """Losses of a batch, in which no-target sentences count ``weight``.

    ``L = (n_1 L(sentences with a target) + weight n_0 L(no-target)) / n`` for
    each loss, the mean over its sentences, of ``n_1`` and ``n_0`` sentences,
    ``n`` in all: each sentence has the same weight whatever stands beside it
    in the batch. What is only logged counts all sentences alike.

    Args:
        loss_by_feat (Callable): ``(logits, samples) -> dict`` of mmseg's
            heads.
        logits (Tensor): ``n x C x h x w``.
        samples (list[SegDataSample]): See :func:`has_target`.
        weight (float): Not negative; 1 is ``loss_by_feat`` itself.

    Returns:
        dict[str, Tensor]: As ``loss_by_feat`` gives it.
    """
    if weight == 1:
        return loss_by_feat(logits, samples)
    there = [has_target(sample) for sample in samples]
    total: dict[str, Tensor] = {}
    for wanted in (True, False):
        rows = [i for i, value in enumerate(there) if value is wanted]
        if not rows:
            continue
        part = loss_by_feat(logits[torch.tensor(rows, device=logits.device)],
                            [samples[i] for i in rows])
        for name, value in part.items():
            factor = weight if 'loss' in name and not wanted else 1
            value = value * (factor * len(rows) / len(samples))
            total[name] = total[name] + value if name in total else value
    return total
