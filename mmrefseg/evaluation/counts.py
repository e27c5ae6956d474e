# Licensed under the Apache License, Version 2.0.
"""Counts of a sentence: a few integers, whatever the size of the image."""

from typing import Any, NamedTuple

import torch


class Counts(NamedTuple):
    """Areas of one sentence in pixels, and its no-target flags.

    Attributes:
        intersection (int): Of the predicted and the true mask.
        union (int): Of the predicted and the true mask.
        truth (int): Of the true mask.
        no_target (bool): The sentence has no target in the image.
        pred_no_target (bool): No target is predicted.
        ref (Any): Identifies the ref, where a rule groups sentences by it.
        pointed (bool, optional): The most probable pixel is in the true mask;
            None where that is not asked.
    """

    intersection: int
    union: int
    truth: int
    no_target: bool = False
    pred_no_target: bool = False
    ref: Any = None
    pointed: bool | None = None

    @property
    def predicted(self) -> int:
        """Area of the predicted mask."""
        return self.union - self.truth + self.intersection

    @property
    def scored_areas(self) -> tuple[int, int]:
        """Intersection and union; the predicted mask counts as empty where
        no target is predicted."""
        if self.pred_no_target:
            return 0, self.truth
        return self.intersection, self.union


def count_masks(predicted: torch.Tensor,
                true: torch.Tensor) -> tuple[int, int, int]:
    """Areas of intersection, of union and of the true mask.

    Args:
        predicted (Tensor): HxW, bool.
        true (Tensor): HxW, bool, on the same device.

    Returns:
        tuple[int, int, int]: In pixels, exact (summed as int64).
    """
    sums = torch.stack([(predicted & true).sum(), (predicted | true).sum(),
                        true.sum()])
    return tuple(sums.tolist())
