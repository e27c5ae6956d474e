# Licensed under the Apache License, Version 2.0.
"""The pointing game: whether the most probable pixel is on the target."""

from collections.abc import Sequence

import torch

from .counts import Counts
from .sample_masks import describe_sample, resize_nearest


def points_at_target(sample: dict, true: torch.Tensor) -> bool:
    """Whether the pixel of the highest foreground probability is in the mask.

    The game is that of Zhang et al., "Top-down Neural Attention by Excitation
    Backprop" (IJCV 2018), without its margin of 15 pixels around the mask:
    a hit is a maximum on the target itself.

    Pixels are compared by the difference of the two logits, which orders them
    as their probabilities do but does not end at 1, where many pixels of a
    softmax in single precision meet. Of equal maxima the first counts, row by
    row from the upper left corner.

    Args:
        sample (dict): With ``seg_logits`` (2xHxW, or 1xHxW). Where
            ``pred_no_target`` is true, nothing is pointed at.
        true (Tensor): hxw, bool, the true mask; of another size, it is scaled
            to that of the logits.

    Returns:
        bool: False where the mask is empty.

    Raises:
        KeyError: The sample has no logits.

    Example:
        >>> import torch
        >>> from mmrefseg.evaluation.pointing import points_at_target
        >>> logits = torch.tensor([[[0., 2.], [1., 0.]]])
        >>> true = torch.tensor([[False, True], [True, True]])
        >>> points_at_target(dict(seg_logits=dict(data=logits)), true)
        True
    """
    if 'seg_logits' not in sample:
        raise KeyError(
            f'The sample of {describe_sample(sample)} has no seg_logits, but '
            'pointing=True asks for the most probable pixel: use a model that '
            'gives them.')
    if sample.get('pred_no_target'):
        return False
    logits = sample['seg_logits']['data'].double()
    score = logits[0] if logits.shape[0] == 1 else logits[1] - logits[0]
    if true.shape != score.shape:
        true = resize_nearest(true, score.shape)
    return bool(true.flatten()[score.flatten().argmax()])


def pointing_score(items: Sequence[Counts]) -> dict[str, float]:
    """Share of the sentences with a target that are pointed at, in percent.

    Args:
        items (sequence[Counts]): One for each sentence.

    Returns:
        dict[str, float]: 'pointing'; empty where it was not asked for, or no
        sentence has a target.
    """
    hits = [
        x.pointed for x in items if x.pointed is not None and not x.no_target
    ]
    return dict(pointing=100 * sum(hits) / len(hits)) if hits else {}
