# Licensed under the Apache License, Version 2.0.
"""What is kept of a sentence: a few integers, whatever the image's size."""

from typing import Any, NamedTuple

import torch


class Counts(NamedTuple):
    """Areas of one sentence in pixels, and whether there is anything.

    Attributes:
        intersection (int): Of the predicted and the true mask.
        union (int): Of the predicted and the true mask.
        truth (int): Of the true mask.
        means_nothing (bool): Nothing in the image is meant.
        says_nothing (bool): The prediction is that nothing is meant.
        ref (Any): What groups the sentences of a ref, where that is asked.
    """

    intersection: int
    union: int
    truth: int
    means_nothing: bool = False
    says_nothing: bool = False
    ref: Any = None

    @property
    def predicted(self) -> int:
        """Area of the predicted mask."""
        return self.union - self.truth + self.intersection

    @property
    def areas(self) -> tuple[int, int]:
        """Intersection and union, the mask being empty where the prediction
        is that nothing is meant."""
        if self.says_nothing:
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
