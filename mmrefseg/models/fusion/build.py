# Licensed under the Apache License, Version 2.0.
"""Fusions and gates of a backbone's stages, and running them.

A stage without a fusion, or without a gate, holds a module without
parameters, so that the others keep their numbers.
"""

from collections.abc import Collection, Mapping, Sequence

from mmengine.model import ModuleList
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures

StageConfigs = dict | Sequence[dict | None] | None


def _for_each(name: str, config: StageConfigs,
              number: int) -> Sequence[dict | None]:
    if config is None or isinstance(config, Mapping):
        return [config] * number
    if len(config) != number:
        raise ValueError(
            f'{name} lists {len(config)} entries for {number} stages: give '
            'one dict for all of them, or a list with a dict or None for '
            'each.')
    return config


def build_fusions(fusion: dict | Sequence[dict | None], *,
                  channels: Sequence[int], language_channels: int,
                  query_channels: int | None,
                  query_stages: Collection[int] | None) -> ModuleList:
    """Build a fusion for each stage.

    Args:
        fusion (dict | Sequence[dict | None]): Config of a fusion, for all
            stages or for each: a module with ``forward(visual, language) ->
            (fused, query or None)`` whose constructor takes ``channels``,
            ``language_channels`` and ``query_channels``. A stage with None
            has no fusion: its map stays as it is.
        channels (Sequence[int]): Channels of each stage's map.
        language_channels (int): Width of the word features.
        query_channels (int, optional): Width of a language query.
        query_stages (Collection[int], optional): Stages, from 0, that make a
            language query; at the others ``query_channels`` is None. None
            means all that fuse.

    Returns:
        ModuleList: One fusion a stage; ``nn.Identity`` where there is none.

    Raises:
        ValueError: The list has another length, no stage fuses, or a query
            is wanted of a stage that does not.
    """
    configs = _for_each('fusion', fusion, len(channels))
    fusing = [i for i, config in enumerate(configs) if config is not None]
    if not fusing:
        raise ValueError('fusion is None for every stage: give a dict to one '
                         'of them, or take a backbone without language.')
    queries = fusing if query_stages is None else query_stages
    for i in queries:
        if i not in fusing:
            raise ValueError(
                f'query_stages names stage {i} (from 0), which has no fusion: '
                f'the stages that fuse are {fusing}.')
    return ModuleList(
        nn.Identity() if config is None else MODELS.build(
            dict(
                config,
                channels=width,
                language_channels=language_channels,
                query_channels=query_channels if i in queries else None))
        for i, (config, width) in enumerate(zip(configs, channels)))


def build_gates(gate: StageConfigs, *, channels: Sequence[int],
                fusions: ModuleList) -> ModuleList | None:
    """Build a gate for each of the first ``len(channels)`` stages.

    Args:
        gate (dict | Sequence[dict | None], optional): Config of a gate, for
            all stages or for each: a module with ``forward(fused, visual) ->
            increment`` whose constructor takes ``channels``. None adds the
            fused map as it is. A list may name the stages after the last
            gated one too, with None.
        channels (Sequence[int]): Channels of each gated stage.
        fusions (ModuleList): Fusions of all stages; where there is none, no
            gate is built.

    Returns:
        ModuleList | None: One gate a stage, ``nn.Identity`` where there is
        none; None without any.

    Raises:
        ValueError: The list has another length.
    """
    number = len(channels)
    if isinstance(gate, Sequence) and len(gate) == len(fusions) and not any(
            gate[number:]):
        gate = gate[:number]
    configs = _for_each('gate', gate, number)
    if not any(configs):
        return None
    return ModuleList(
        nn.Identity() if config is None or isinstance(fusion, nn.Identity) else
        MODELS.build(dict(config, channels=width))
        for config, width, fusion in zip(configs, channels, fusions))


def run_fusion(fusion: nn.Module, visual: Tensor, language: LanguageFeatures,
               *, keep_attention: bool) -> FusionOutput:
    """Run the fusion of a stage, or what stands in its place.

    Args:
        fusion (nn.Module): One of :func:`build_fusions`.
        visual (Tensor): ``B x C x H x W``.
        language (LanguageFeatures): ``B`` sentences.
        keep_attention (bool): Ask for the word attention, where the class
            says ``gives_attention``.

    Returns:
        FusionOutput: Without a fusion, the map as it is.
    """
    if isinstance(fusion, nn.Identity):
        return FusionOutput(visual)
    if keep_attention and getattr(fusion, 'gives_attention', False):
        return FusionOutput(*fusion(visual, language, return_attention=True))
    return FusionOutput(*fusion(visual, language))


def run_gate(gates: ModuleList | None, stage: int, fused: Tensor,
             visual: Tensor) -> Tensor:
    """The increment of ``visual``, ``B x C x H x W``: the fused map, gated
    where there is a gate.

    Raises:
        ValueError: It has another shape than ``visual``.
    """
    if gates is not None and not isinstance(gates[stage], nn.Identity):
        fused = gates[stage](fused, visual)
    if fused.shape != visual.shape:
        raise ValueError(
            f'A map of shape {tuple(fused.shape)} cannot be added to that of '
            f'its stage, {tuple(visual.shape)}: let the fusion or the gate '
            'keep the channels, wherever another stage follows.')
    return fused
