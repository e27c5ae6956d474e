# Licensed under the Apache License, Version 2.0.
"""Stopping at the first loss that is not a number."""

from collections.abc import Sequence

import torch
from torch import Tensor

# A GradScaler needs a handful of skipped steps to find its scale.
_PATIENCE = 25


class FiniteLossGuard:
    """Raises when a loss is NaN or infinite, before the optimizer steps.

    Under float16 autocast a loss that overflows now and then is the business
    of the GradScaler, which skips the step; it is let through unless it
    happens 25 times in a row.
    """

    def __init__(self) -> None:
        self.in_a_row = 0

    def check(self, losses: dict[str, Tensor],
              data_samples: Sequence) -> None:
        """Check the losses of a batch.

        Args:
            losses (dict[str, Tensor]): As a segmentor gives them.
            data_samples (Sequence[SegDataSample]): The batch, to be named.

        Raises:
            FloatingPointError: A loss is not finite.
        """
        total = sum(v.detach().float().mean() for k, v in losses.items()
                    if 'loss' in k)
        if bool(torch.isfinite(torch.as_tensor(total))):
            self.in_a_row = 0
            return
        self.in_a_row += 1
        half = (
            torch.is_autocast_enabled()
            and torch.get_autocast_gpu_dtype() == torch.float16)
        if half and self.in_a_row < _PATIENCE:
            return
        bad = [k for k, v in losses.items() if not torch.isfinite(v).all()]
        where = '; '.join(
            f"{s.metainfo.get('img_path', '?')} (ref "
            f"{s.metainfo.get('ref_id', '?')}: "
            f"{s.metainfo.get('text', '?')!r})" for s in data_samples[:8])
        raise FloatingPointError(
            f'The loss is not finite ({", ".join(bad)}) on this batch: '
            f'{where}. Lower the learning rate, clip gradients '
            '(optim_wrapper.clip_grad), or look at these images and masks '
            'with tools/analysis_tools/browse_dataset.py.')
