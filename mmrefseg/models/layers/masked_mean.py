# Licensed under the Apache License, Version 2.0.
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real words of each sentence.

    Args:
        values (Tensor): ``B x T x C``; anything, NaN too, on padding.
        mask (Tensor): ``B x T``, bool; True marks a real word.

    Returns:
        Tensor: ``B x C``.
    """
    total = values.masked_fill(~mask.unsqueeze(-1), 0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True)
