# Licensed under the Apache License, Version 2.0.
import hashlib
from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import ModuleList
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import ImageFeatures
from ..layers.feature_cache import FeatureCache
from ..layers.position import coordinates
from .language_backbone import LanguageBackbone, image_size


@MODELS.register_module()
class LateFusionBackbone(LanguageBackbone):
    """Any stock backbone, with language fused into the maps it gives out.

    The backbone runs once for an image whatever the sentence says; each of
    its maps is then fused with the words, so a decoder sees the same kind of
    features as from ``LanguageSwinTransformer``.

    Args:
        backbone (dict): Config of a backbone of mmseg or mmpretrain
            (``mmpretrain.X``) that gives a tuple of maps.
        in_channels (Sequence[int]): Channels of those maps.
        language_channels (int): Width of the word features. The segmentor
            sets it from its language encoder.
        fusion (dict | Sequence[dict | None]): Fusion of map and words, for
            all maps or for each; None leaves a map as it is. A fusion may
            change the width of its map.
        query_channels (int): Width of the language queries. Defaults to 256.
        query_stages (Sequence[int], optional): Maps, from 0, that give a
            query. None means all that are fused.
        frozen (bool): The backbone stays as it is: in evaluation mode and
            without gradients. Defaults to False.
        cache (bool | str): Keep the maps of every image of a training, of a
            frozen backbone, in float16: in memory (True) or in this folder.
            For sets of images that no random transform changes. Defaults to
            False.
        norm_cfg (dict, optional): Norm of each map before it is fused, such
            as ``dict(type='BN')``: maps of a frozen backbone differ a
            hundredfold in scale. Defaults to None.
        with_coords (bool): Whether x and y in -1..1 stand beside the channels
            of each map before it is fused; ``in_channels``
            does not count them, the neck's does. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``cache`` without ``frozen``; (in forward) the backbone
            gives another number of maps.

    Example:
        >>> from mmrefseg.models import LateFusionBackbone
        >>> backbone = LateFusionBackbone(
        ...     backbone=dict(type='mmseg.ResNet', depth=18),
        ...     in_channels=[64, 128, 256, 512], language_channels=16,
        ...     fusion=dict(type='BSAM'))
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 in_channels: Sequence[int],
                 language_channels: int,
                 fusion: dict | Sequence[dict | None],
                 query_channels: int = 256,
                 query_stages: Sequence[int] | None = None,
                 frozen: bool = False,
                 cache: bool | str = False,
                 norm_cfg: dict | None = None,
                 with_coords: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if cache and not frozen:
            raise ValueError('cache of LateFusionBackbone needs frozen=True: '
                             'the maps of a backbone in training change.')
        self.backbone = MODELS.build(backbone)
        self.frozen = frozen
        self.with_coords = with_coords
        self._cache = None
        if cache:
            self._cache = FeatureCache(cache if cache is not True else None)
            self.register_load_state_dict_post_hook(_forget_maps)
        self._digest: str | None = None
        if frozen:
            self.backbone.requires_grad_(False)
            self.train(self.training)
        self.norms = None
        if norm_cfg is not None:
            self.norms = ModuleList(
                build_norm_layer(norm_cfg, c)[1] for c in in_channels)
        self._build_language(
            channels=[c + 2 * with_coords for c in in_channels],
            language_channels=language_channels,
            fusion=fusion,
            gate=None,
            query_channels=query_channels,
            query_stages=query_stages)

    @property
    def keeps_maps(self) -> bool:
        """bool: Whether it has a cache of the images that it sees."""
        return self._cache is not None

    def train(self, mode: bool = True) -> 'LateFusionBackbone':
        """Switch the mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def init_weights(self) -> None:
        """Initialise, and forget the maps of other weights."""
        super().init_weights()
        _forget_maps(self)

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        raise NotImplementedError('All maps come from encode_images.')

    def encode_images(self, images: Tensor) -> ImageFeatures:
        """Compute all maps of images (``N x 3 x H x W``, normalised); none
        of them depends on a sentence."""
        with torch.set_grad_enabled(
                torch.is_grad_enabled() and not self.frozen):
            if self._cache is not None and self.training:
                maps = self._cache.get(
                    images, self._run_backbone, key=self._weights_digest())
            else:
                maps = self._run_backbone(images)
        if len(maps) != len(self.fusions):
            raise ValueError(
                f'The backbone gave {len(maps)} maps where in_channels names '
                f'{len(self.fusions)}: set its out_indices or in_channels.')
        if self.norms is not None:
            maps = tuple(norm(x) for norm, x in zip(self.norms, maps))
        if self.with_coords:
            maps = tuple(map(_add_coordinates, maps))
        return ImageFeatures(maps, image_size(images))

    def _run_backbone(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(images))

    def _weights_digest(self) -> str:
        """What tells the maps of these weights from those of others."""
        if self._digest is None:
            digest = hashlib.sha1(repr(self.backbone).encode())
            for name, tensor in self.backbone.state_dict().items():
                digest.update(name.encode())
                digest.update(tensor.float().cpu().numpy().tobytes())
            self._digest = digest.hexdigest()
        return self._digest


def _add_coordinates(x: Tensor) -> Tensor:
    xy = coordinates(*x.shape[2:], x.dtype, x.device)
    return torch.cat([x, xy.expand(len(x), -1, -1, -1)], dim=1)


def _forget_maps(backbone: LateFusionBackbone, _=None) -> None:
    backbone._digest = None
    if backbone._cache is not None:
        backbone._cache.clear()
