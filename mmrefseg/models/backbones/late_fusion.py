# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import ImageFeatures
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
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: (in forward) The backbone gives another number of maps.

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
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self._build_language(
            channels=in_channels,
            language_channels=language_channels,
            fusion=fusion,
            gate=None,
            query_channels=query_channels,
            query_stages=query_stages)

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        raise NotImplementedError('All maps come from encode_images.')

    def encode_images(self, images: Tensor) -> ImageFeatures:
        """Compute all maps of images (``N x 3 x H x W``, normalised); none
        of them depends on a sentence."""
        maps = tuple(self.backbone(images))
        if len(maps) != len(self.fusions):
            raise ValueError(
                f'The backbone gave {len(maps)} maps where in_channels names '
                f'{len(self.fusions)}: set its out_indices or in_channels.')
        return ImageFeatures(maps, image_size(images))
