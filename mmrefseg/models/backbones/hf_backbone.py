# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from typing import Any

import torch
import torch.utils.checkpoint as cp
from mmengine.model import BaseModule, initialize
from torch import Tensor, nn

from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.registry import MODELS
from ..hf import (add_lora, build_model, copy_config, load_pretrained,
                  make_config, recompute)
from .feature_pyramid import ChannelNorm, SimpleFeaturePyramid
from .hf_stages import family_of


@MODELS.register_module()
class HFBackbone(BaseModule):
    """Any image model of ``transformers``: Swin, Swin V2, ConvNeXt V2, Hiera,
    DINOv2, DINOv3, and what else ``AutoBackbone`` knows.

    It gives a tuple of maps, with strides 4, 8, 16 and 32 for the models
    named here, so it goes into ``LateFusionBackbone``; one that has stages
    (Swin, Swin V2, ConvNeXt, ConvNeXt V2, DINOv3's ConvNeXt, Hiera) goes into
    ``EarlyFusionBackbone`` too. Plain transformers (DINOv2, DINOv3, ViT) have
    one map, from which a
    :class:`~mmrefseg.models.backbones.feature_pyramid.SimpleFeaturePyramid`
    makes four; it trains even where the transformer is frozen.

    The constructor builds the architecture only. Weights of ``pretrained``
    are read by :meth:`init_weights`, from safetensors, which training calls
    and testing does not. Mean and deviation of the images are the data
    preprocessor's: give it those of the model (``preprocessor_config.json``).

    Swin, Swin V2 and ConvNeXt pad a size that is no multiple of their
    strides; Hiera (32) and plain transformers (their patch) refuse it.

    Args:
        pretrained (str, optional): Folder or name on the Hugging Face hub
            with ``config.json`` and ``model.safetensors``. None starts from
            scratch.
        arch (dict, optional): With ``model_type`` the whole architecture,
            such as ``dict(model_type='swin', embed_dim=96)``, so that nothing
            but the weights is asked of a hub. Without, what differs from
            ``pretrained``'s.
        out_indices (Sequence[int]): Which maps are given, 0 for stride 4.
            Later stages are not built. Defaults to (0, 1, 2, 3).
        output_norm (bool): Put a LayerNorm on each map of a model with
            stages, as ``AutoBackbone`` does for most. Defaults to False.
        pyramid_channels (int): Channels of the maps of a plain transformer.
            Defaults to 256.
        frozen (bool): Freeze the model: no gradients, no dropout. Defaults to
            False.
        lora (dict, optional): Of the model, train low-rank adapters and
            nothing else: arguments of ``peft.LoraConfig``, such as
            ``dict(r=8, lora_alpha=16)``. Needs the package peft.
        dtype (str, optional): 'bfloat16', ... of the model's weights; maps
            are given out in the dtype of the images. For frozen models. None
            means PyTorch's default dtype.
        attn_implementation (str, optional): 'eager', 'sdpa', ... None leaves
            it to transformers.
        with_cp (bool): Recompute the layers in the backward pass to save
            memory. Defaults to False.
        local_files_only (bool): Never ask the hub. Defaults to False.
        init_cfg (dict, optional): As in BaseModule; applied after
            ``pretrained``.

    Raises:
        FileNotFoundError: The architecture cannot be found.
        ImportError: ``lora`` needs peft, which is not installed.
        ValueError: Arguments contradict each other or the installed
            transformers; (in forward) the size of the images does not fit.

    Example:
        >>> import torch
        >>> from mmrefseg.models import HFBackbone
        >>> backbone = HFBackbone(arch=dict(
        ...     model_type='convnextv2', depths=[1, 1, 1, 1],
        ...     hidden_sizes=[8, 16, 32, 64]))
        >>> backbone.out_channels
        [8, 16, 32, 64]
        >>> maps = backbone.eval()(torch.rand(1, 3, 64, 96))
        >>> [tuple(x.shape[2:]) for x in maps]
        [(16, 24), (8, 12), (4, 6), (2, 3)]
    """

    def __init__(self,
                 *,
                 pretrained: str | None = None,
                 arch: dict | None = None,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 output_norm: bool = False,
                 pyramid_channels: int = 256,
                 frozen: bool = False,
                 lora: dict | None = None,
                 dtype: str | None = None,
                 attn_implementation: str | None = None,
                 with_cp: bool = False,
                 local_files_only: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if frozen and lora is not None:
            raise ValueError('frozen=True and lora=dict(...) contradict each '
                             'other: a model with adapters trains them.')
        config = make_config(
            pretrained,
            arch,
            local_files_only=local_files_only,
            part='backbone',
            tower='vision_config')
        self.pretrained = pretrained
        self.local_files_only = local_files_only
        self.frozen = frozen
        self.out_indices = tuple(out_indices)
        self.with_cp = with_cp
        self._family = family_of(config.model_type)
        self.model_type: str = config.model_type
        self._kind = self._family.kind(config)
        settings = self._family.settings(config, self.out_indices)
        self.config = copy_config(config, **settings)
        self.model = build_model(
            self._kind,
            self.config,
            dtype=dtype,
            attn_implementation=attn_implementation)
        self._dtype = next(self.model.parameters()).dtype
        self._build_maps(output_norm, pyramid_channels)
        if lora is not None:
            add_lora(self.model, lora)
        if frozen:
            self.model.requires_grad_(False)
        if with_cp and not self._family.staged:
            recompute(self.model)
        self.train(self.training)

    def _build_maps(self, output_norm: bool, pyramid_channels: int) -> None:
        """Norms or a pyramid, and the channels of what is given out."""
        self.pyramid = self.norms = None
        if self._family.pyramid:
            self.pyramid = SimpleFeaturePyramid(
                in_channels=self._family.channels(self.config)[0],
                out_channels=pyramid_channels,
                out_indices=self.out_indices)
            self.out_channels = [pyramid_channels] * len(self.out_indices)
        elif self._family.staged:
            channels = self._family.channels(self.config)
            if not 0 <= max(self.out_indices) < len(channels):
                raise ValueError(
                    f'out_indices={self.out_indices} name a map beyond the '
                    f"{len(channels)} of this '{self.model_type}'.")
            self._family.keep(self.model, max(self.out_indices) + 1)
            self.out_channels = [channels[i] for i in self.out_indices]
            if output_norm:
                self.norms = nn.ModuleList(map(ChannelNorm, self.out_channels))
        else:
            self.out_channels = list(self.model.channels)
        if output_norm and self.norms is None:
            raise ValueError(f"output_norm=True is for models with stages; "
                             f"'{self.model_type}' is run as a whole.")

    @property
    def stage_channels(self) -> list[int]:
        """list[int]: Channels of each stage, for early fusion.

        Raises:
            ValueError: Its stages cannot be run one by one.
        """
        if not self._family.staged:
            raise ValueError(
                f"HFBackbone cannot run '{self.model_type}' stage by stage: "
                'take LateFusionBackbone, which runs it as a whole.')
        if self.norms is not None or self.out_indices != tuple(
                range(len(self.out_indices))):
            raise ValueError(
                'Early fusion runs the stages of HFBackbone one after the '
                'other and takes their maps as they are: leave out '
                'output_norm, and let out_indices count from 0.')
        return list(self.out_channels)

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        """Run one stage of a model that has stages.

        Args:
            stage (int): Which, from 0.
            x (Tensor): Images, ``B x 3 x H x W``, for stage 0; the map of the
                stage before for any other. It is not changed.

        Returns:
            Tensor: Its map, ``B x C_i x H_i x W_i``, in the dtype of ``x``.
        """
        found = self._family.run(self.model, stage, x.to(self._dtype),
                                 self._call)
        return found.to(x.dtype)

    def _call(self, module: nn.Module, *inputs: Any, **options: Any) -> Any:
        if self.with_cp and torch.is_grad_enabled():
            return cp.checkpoint(
                module, *inputs, use_reentrant=False, **options)
        return module(*inputs, **options)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of images.

        Args:
            images (Tensor): ``B x 3 x H x W``, normalised.

        Returns:
            tuple[Tensor]: One for each of ``out_indices``,
            ``B x C_i x H_i x W_i``, in the dtype of the images.

        Raises:
            ValueError: The model takes no images of this size.
        """
        if self.pyramid is not None:
            return self.pyramid(self.run_stage(0, images),
                                (images.shape[2], images.shape[3]))
        if not self._family.staged:
            found = self.model(images.to(self._dtype)).feature_maps
            return tuple(x.to(images.dtype) for x in found)
        maps, x = [], images
        for i in range(max(self.out_indices) + 1):
            x = self.run_stage(i, x)
            maps.append(x)
        chosen = [maps[i] for i in self.out_indices]
        if self.norms is not None:
            chosen = [norm(x) for norm, x in zip(self.norms, chosen)]
        return tuple(chosen)

    def train(self, mode: bool = True) -> 'HFBackbone':
        """Switch the mode; a frozen model stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    def init_weights(self) -> None:
        """Load the weights of ``pretrained``, if any.

        Raises:
            FileNotFoundError: They cannot be found as safetensors.
            ValueError: They do not fit the architecture.
        """
        if self.pretrained is not None:
            load_pretrained(
                self.model,
                self.pretrained,
                kind=self._kind,
                config=self.config,
                local_files_only=self.local_files_only,
                # Norms of maps given out: a classifier's file has none.
                optional=('hidden_states_norms.', ))
        if self.init_cfg is not None:
            with secure_checkpoint_loading():
                initialize(self, self.init_cfg)
        # Not BaseModule's own: it would descend to transformers'
        # init_weights, which may start over from random numbers.
        self._is_init = True
