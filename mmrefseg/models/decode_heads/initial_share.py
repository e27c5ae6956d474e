# Licensed under the Apache License, Version 2.0.
import math

import torch
from torch import nn


def set_initial_share(last: nn.Conv2d, share: float) -> None:
    """Give the last convolution the bias with which this share of the pixels
    belongs to the referent, as far as its weights are small.

    Args:
        last (nn.Conv2d): To 2 channels (softmax) or 1 (sigmoid).
        share (float): Between 0 and 1.
    """
    logit = math.log(share / (1 - share))
    bias = [-logit / 2, logit / 2] if last.out_channels == 2 else [logit]
    with torch.no_grad():
        assert last.bias is not None
        last.bias.copy_(torch.tensor(bias))
