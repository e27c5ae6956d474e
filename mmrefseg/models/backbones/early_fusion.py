# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from .language_backbone import LanguageBackbone


@MODELS.register_module()
class EarlyFusionBackbone(LanguageBackbone):
    """Any backbone made of stages, with language fused in between them.

    The stages of the ResNets of mmseg and mmpretrain (``ResNetV1c``,
    ``ResNeXt``, ... too) and of mmpretrain's ConvNeXt are known, and so are
    those of a backbone that runs them itself (``HFBackbone``); of any other
    ``stem`` and ``stages`` name them. What lies outside of them, such as
    norms of the maps given out or a classifier, is removed; freezing,
    recomputing and pretrained weights are options of the backbone itself, its
    ``out_indices`` has no effect.

    Args:
        backbone (dict): Config of the backbone.
        language_channels (int): Width of the word features. The segmentor
            sets it from its language encoder.
        fusion (dict | Sequence[dict | None]): Fusion of map and words, for
            all stages or for each; None leaves a stage without language.
        gate (dict | Sequence[dict | None], optional): Gate of the fused map,
            for all stages but the last or for each. None adds the fused map
            itself.
        stem (Sequence[str]): Names of the submodules (``'conv1'``,
            ``'body.stem'``) before the first stage, run one after the other.
        stages (Sequence[str | Sequence[str]], optional): Of each stage, the
            name of its submodule or the names of several. Each takes and
            gives a map, ``B x C x H x W``, and does not change its input.
        query_channels (int): Width of the language queries. Defaults to 256.
        query_stages (Sequence[int], optional): Stages, from 0, that give a
            language query. None means all that fuse.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: The stages are not known, not there or do not fit, or the
            backbone has parameters of its own outside of its submodules.

    Example:
        >>> import torch
        >>> from mmrefseg.models import EarlyFusionBackbone
        >>> from mmrefseg.structures import LanguageFeatures
        >>> backbone = EarlyFusionBackbone(
        ...     backbone=dict(type='mmseg.ResNet', depth=18),
        ...     language_channels=8,
        ...     fusion=[None, None, dict(type='BSAM'), dict(type='BSAM')])
        >>> language = LanguageFeatures(
        ...     words=torch.rand(1, 5, 8), mask=torch.ones(1, 5).bool())
        >>> features = backbone.eval()(torch.rand(1, 3, 64, 64), language)
        >>> [tuple(x.shape[1:]) for x in features]
        [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]
        >>> features.queries.shape
        torch.Size([1, 2, 256])
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 language_channels: int,
                 fusion: dict | Sequence[dict | None],
                 gate: dict | Sequence[dict | None] | None = None,
                 stem: Sequence[str] = (),
                 stages: Sequence[str | Sequence[str]] | None = None,
                 query_channels: int = 256,
                 query_stages: Sequence[int] | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        # A backbone may run its stages itself, as HFBackbone does.
        self._runs_itself = hasattr(self.backbone, 'run_stage')
        if self._runs_itself:
            channels = self.backbone.stage_channels
        else:
            if stages is None:
                stem, stages = _known_stages(self.backbone)
            self.steps = [[x] if isinstance(x, str) else list(x)
                          for x in stages]
            self.steps[0] = [*stem, *self.steps[0]]
            _keep_only(self.backbone,
                       [x for names in self.steps for x in names])
            channels = self._channels()
        self._build_language(
            channels=channels,
            language_channels=language_channels,
            fusion=fusion,
            gate=gate,
            query_channels=query_channels,
            query_stages=query_stages)

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        """Run the submodules of a stage, those of the stem before the
        first."""
        if self._runs_itself:
            return self.backbone.run_stage(stage, x)
        for name in self.steps[stage]:
            x = self.backbone.get_submodule(name)(x)
        return x

    @torch.no_grad()
    def _channels(self) -> list[int]:
        """Channels of each stage's map, found by running them once."""
        self.backbone.eval()
        x = next(self.backbone.parameters()).new_zeros(1, 3, 64, 64)
        channels = []
        for i, names in enumerate(self.steps):
            version = x._version
            given, x = x, self.run_stage(i, x)
            if not isinstance(x, Tensor) or x.dim() != 4:
                raise ValueError(
                    f'Stage {i} of the backbone ({", ".join(names)}) gives no '
                    'map of B x C x H x W: name other submodules in stages.')
            if given._version != version:
                raise ValueError(
                    f'Stage {i} of the backbone ({", ".join(names)}) changes '
                    'its input in place: switch that off (inplace=False).')
            channels.append(x.shape[1])
        self.backbone.train()
        return channels


def _known_stages(backbone: Any) -> tuple[list[str], list[list[str]]]:
    """Stem and stages of a backbone whose class is known."""
    kinds = {kind.__name__ for kind in type(backbone).__mro__}
    if 'ResNet' in kinds and hasattr(backbone, 'res_layers'):
        stem = (['stem'] if backbone.deep_stem else
                ['conv1', backbone.norm1_name, 'relu'])
        return [*stem, 'maxpool'], [[name] for name in backbone.res_layers]
    if 'ConvNeXt' in kinds and hasattr(backbone, 'downsample_layers'):
        return [], [[f'downsample_layers.{i}', f'stages.{i}']
                    for i in range(len(backbone.stages))]
    raise ValueError(
        f'The stages of {type(backbone).__name__} are not known: name its '
        'submodules in stem=[...] and stages=[...], or take '
        'LateFusionBackbone. It has '
        f'{", ".join(name for name, _ in backbone.named_children())}.')


def _keep_only(backbone: nn.Module, names: Sequence[str]) -> None:
    """Put ``nn.Identity`` in the place of submodules that are not named."""
    modules = dict(backbone.named_modules())
    missing = [name for name in names if name not in modules]
    if missing:
        raise ValueError(
            f'{type(backbone).__name__} has no {", ".join(missing)}, which '
            'stem and stages name. It has '
            f'{", ".join(name for name, _ in backbone.named_children())}.')
    removed: list[str] = []

    def visit(module: nn.Module, prefix: str) -> None:
        for name, child in module.named_children():
            path = prefix + name
            if path in names:
                continue
            if any(x.startswith(f'{path}.') for x in names):
                visit(child, f'{path}.')
            elif any(True for _ in child.parameters()):
                setattr(module, name, nn.Identity())
                removed.append(path)

    visit(backbone, '')
    if removed:
        print_log(
            f'EarlyFusionBackbone removes {", ".join(removed)} of '
            f'{type(backbone).__name__}: outside of its stages.', 'current')
    used = {p for name in names for p in modules[name].parameters()}
    loose = [name for name, p in backbone.named_parameters() if p not in used]
    if loose:
        raise ValueError(
            f'{type(backbone).__name__} has {", ".join(loose)}, which no '
            'stage uses and which would never train: take '
            'LateFusionBackbone, which runs the backbone as a whole.')
