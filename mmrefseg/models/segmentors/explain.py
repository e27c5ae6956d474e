# Licensed under the Apache License, Version 2.0.
"""Reading, on request, what a fusion attends to while the model runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def record_word_attention(model: nn.Module,
                          *,
                          enabled: bool,
                          stage: int = -2) -> Iterator[list[Tensor]]:
    """Collect the word attention of one stage's fusion.

    Args:
        model (nn.Module): A segmentor whose backbone has ``fusions``.
        enabled (bool): Whether anything is recorded.
        stage (int): Which fusion. Defaults to the last but one, whose maps
            are both fine enough to look at and late enough to mean something
            (the only one where there is one).

    Yields:
        list[Tensor]: After the model ran, for each sentence
        ``T x H_i x W_i``; empty where the fusion has no word attention.
    """
    heard: list[Tensor] = []
    fusions = getattr(model.backbone, 'fusions', None)
    if not enabled or not fusions:
        yield heard
        return
    fusion = fusions[max(stage, -len(fusions))]
    if not hasattr(fusion, 'word_attention'):
        yield heard
        return

    def listen(fusion: nn.Module, args: tuple) -> None:
        heard.extend(fusion.word_attention(*args))

    handle = fusion.register_forward_pre_hook(listen)
    try:
        yield heard
    finally:
        handle.remove()
