# Licensed under the Apache License, Version 2.0.
"""Building one fusion, or one gate, for each stage of a backbone."""

from collections.abc import Collection, Sequence

from mmengine.model import ModuleList

from mmrefseg.registry import MODELS


def build_fusions(fusion: dict, *, channels: Sequence[int],
                  language_channels: int, query_channels: int | None,
                  query_stages: Collection[int]) -> ModuleList:
    """Build a fusion for each stage.

    Args:
        fusion (dict): Config of a fusion: a module with
            ``forward(visual, language) -> (fused, query or None)`` whose
            constructor takes ``channels``, ``language_channels`` and
            ``query_channels``.
        channels (Sequence[int]): Channels of each stage's map.
        language_channels (int): Width of the word features.
        query_channels (int, optional): Width of a language query.
        query_stages (Collection[int]): Stages, from 0, that make a language
            query; at the others ``query_channels`` is None.

    Returns:
        ModuleList: One fusion a stage.
    """
    return ModuleList(
        MODELS.build(
            dict(
                fusion,
                channels=width,
                language_channels=language_channels,
                query_channels=query_channels if i in query_stages else None))
        for i, width in enumerate(channels))


def build_gates(gate: dict | None, *,
                channels: Sequence[int]) -> ModuleList | None:
    """Build a gate for each of the given widths.

    Args:
        gate (dict, optional): Config of a gate: a module with
            ``forward(fused, visual) -> increment`` whose constructor takes
            ``channels``. None adds the fused map as it is.
        channels (Sequence[int]): Channels of each gated stage.

    Returns:
        ModuleList | None: One gate a stage, or None.
    """
    if gate is None:
        return None
    return ModuleList(
        MODELS.build(dict(gate, channels=width)) for width in channels)
