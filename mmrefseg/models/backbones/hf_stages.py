# Licensed under the Apache License, Version 2.0.
"""How the image models of ``transformers`` are run: stage by stage, from map
to map, where they have stages, and as a whole where they have none.

``SwinModel`` and its kin give maps only of a whole run; here the same modules
are called one stage after the other, so that language can be fused in
between. Hiera is run here as ``HieraModel`` runs it, which sorts tokens by the
windows that they belong to; ``HieraBackbone`` (transformers 4.46 to 5.24)
leaves that out, and its maps are not those of the weights.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from ..hf import model_class

# Calls a module, or recomputes it in the backward pass.
Call = Callable[..., Any]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad a map at its right and lower edge with zeros."""
    height, width = x.shape[2:]
    pad = (0, -width % multiple, 0, -height % multiple)
    return F.pad(x, pad) if any(pad) else x


class Family:
    """One way of running a model; subclasses have no state.

    Attributes:
        staged (bool): Whether it can be run stage by stage.
        pyramid (bool): Whether it gives one map, from which others are made.
    """
    staged = True
    pyramid = False

    def kind(self, config: Any) -> type:
        """Class of the model of a config."""
        return model_class(config)

    def settings(self, config: Any, indices: Sequence[int]) -> dict:
        """What the config needs to say for some maps to be given."""
        return {}

    def channels(self, config: Any) -> list[int]:
        """Channels of each map."""
        raise NotImplementedError

    def keep(self, model: Any, count: int) -> None:
        """Take out what the first ``count`` stages do not use, in place."""

    def run(self, model: Any, stage: int, x: Tensor, call: Call) -> Tensor:
        """Run a stage: ``B x C x H x W`` (images for the first) to its map.
        """
        raise NotImplementedError


class Swin(Family):
    """Swin and Swin V2. Sizes that do not fit are padded by their modules."""

    def channels(self, config):
        return [config.embed_dim * 2**i for i in range(len(config.depths))]

    def keep(self, model, count):
        model.encoder.layers = model.encoder.layers[:count]
        model.encoder.layers[-1].downsample = None
        model.layernorm = nn.Identity()

    def run(self, model, stage, x, call):
        layers = model.encoder.layers
        if stage == 0:
            resize = {}
            if model.embeddings.position_embeddings is not None:
                resize = dict(interpolate_pos_encoding=True)
            tokens, size = model.embeddings(x, **resize)
        else:
            size = tuple(x.shape[2:])
            tokens = layers[stage - 1].downsample(
                x.flatten(2).transpose(1, 2), size)
            size = tuple((side + 1) // 2 for side in size)
        for block in layers[stage].blocks:
            tokens = self.block(block, tokens, size, call)
        return tokens.transpose(1, 2).unflatten(2, size)

    @staticmethod
    def block(block, tokens, size, call):
        # Else a small image would change the windows of the block for good.
        return call(block, tokens, size, always_partition=True)[0]


class SwinV2(Swin):

    @staticmethod
    def block(block, tokens, size, call):
        return call(block, tokens, size)[0]


class ConvNeXt(Family):
    """ConvNeXt and ConvNeXt V2, and DINOv3's. Convolutions of stride 4 and 2
    would drop what remains of a size that does not fit: it is padded."""

    def channels(self, config):
        return list(config.hidden_sizes)

    @staticmethod
    def _encoder(model):
        return model.encoder

    def keep(self, model, count):
        encoder = self._encoder(model)
        encoder.stages = encoder.stages[:count]
        for name in ('layernorm', 'layer_norm'):
            if hasattr(model, name):
                setattr(model, name, nn.Identity())

    def run(self, model, stage, x, call):
        x = pad_to_multiple(x, 2 if stage else 4)
        if stage == 0 and hasattr(model, 'embeddings'):
            x = model.embeddings(x)
        part = self._encoder(model).stages[stage]
        before = getattr(part, 'downsampling_layer', None)
        if before is None:
            before = part.downsample_layers
        for module in (*_each(before), *_each(part.layers)):
            x = call(module, x)
        return x


class DINOv3ConvNeXt(ConvNeXt):

    @staticmethod
    def _encoder(model):
        return model if hasattr(model, 'stages') else model.model


def _each(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        return list(module)
    return [module]


class Hiera(Family):
    """Hiera. Its tokens stand in the order of the windows (mask units) of
    its attention, each pooling taking the next four together."""

    def channels(self, config):
        return [
            int(config.embed_dim * config.embed_dim_multiplier**i)
            for i in range(len(config.depths))
        ]

    def keep(self, model, count):
        model.encoder.stages = model.encoder.stages[:count]

    def run(self, model, stage, x, call):
        config = model.config
        strides = [tuple(config.query_stride)] * (len(config.depths) - 1)
        pooled = min(stage, config.num_query_pool)
        if stage == 0:
            self.check(config, x)
            tokens = model.embeddings(x, interpolate_pos_encoding=True)[0]
            size = [side // s for side, s in zip(x.shape[2:],
                                                 config.patch_stride)]
            x = tokens.transpose(1, 2).unflatten(2, size)
        size = x.shape[2:]
        tokens = unroll(x, strides[min(max(stage - 1, 0),
                                       config.num_query_pool):])
        for layer in model.encoder.stages[stage].layers:
            tokens = call(layer, tokens)[0]
        if pooled and stage <= config.num_query_pool:
            size = [side // s for side, s in zip(size, config.query_stride)]
        return reroll(tokens, size, strides[pooled:])

    @staticmethod
    def check(config: Any, images: Tensor) -> None:
        step = [
            math.lcm(unit * stride, stride * query**(len(config.depths) - 1))
            for unit, stride, query in zip(config.masked_unit_size,
                                           config.patch_stride,
                                           config.query_stride)
        ]
        refuse_other_sizes(images, step, 'Hiera')


def refuse_other_sizes(images: Tensor, step: Sequence[int],
                       name: str) -> None:
    """Raise a ValueError for images that are no whole number of steps."""
    size = images.shape[2:]
    if any(side % s for side, s in zip(size, step)):
        near = [max(round(side / s), 1) * s for side, s in zip(size, step)]
        raise ValueError(
            'Images of {} x {} pixels (height x width) do not fit {}, which '
            'takes multiples of {} x {}: resize them, to {} x {} say (scale '
            'of Resize in the pipelines, width first).'.format(
                *size, name, *step, *near))


def unroll(x: Tensor, strides: Sequence[Sequence[int]]) -> Tensor:
    """Sort pixels so that those which are pooled together stand apart in the
    first dimension of each pooling.

    Args:
        x (Tensor): ``B x C x H x W``.
        strides (Sequence): (vertical, horizontal) of each pooling to come.

    Returns:
        Tensor: ``B x HW x C``.
    """
    batch, channels = x.shape[:2]
    x = x.movedim(1, -1)
    for down, right in strides:
        x = x.unflatten(1, (-1, down)).unflatten(3, (-1, right))
        x = x.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return x.reshape(batch, -1, channels)


def reroll(tokens: Tensor, size: Sequence[int],
           strides: Sequence[Sequence[int]]) -> Tensor:
    """Undo :func:`unroll`: ``B x HW x C`` to ``B x C x H x W``."""
    batch, _, channels = tokens.shape
    height = size[0] // math.prod(down for down, _ in strides)
    width = size[1] // math.prod(right for _, right in strides)
    x = tokens.reshape(-1, height, width, channels)
    for down, right in reversed(strides):
        x = x.unflatten(0, (-1, down, right)).permute(0, 3, 1, 4, 2, 5)
        x = x.flatten(3, 4).flatten(1, 2)
    return x.reshape(batch, *size, channels).movedim(-1, 1)


class PlainViT(Family):
    """Transformers of one resolution: DINOv2, with registers too, DINOv3,
    ViT."""
    staged = False
    pyramid = True

    def channels(self, config):
        return [config.hidden_size]

    def run(self, model, stage, x, call):
        patch = model.config.patch_size
        steps = [patch, patch] if isinstance(patch, int) else list(patch)
        refuse_other_sizes(x, steps, f"patches of '{model.config.model_type}'")
        options = {}
        if 'interpolate_pos_encoding' in inspect.signature(
                model.forward).parameters:
            options['interpolate_pos_encoding'] = True
        tokens = model(pixel_values=x, **options).last_hidden_state
        size = [side // step for side, step in zip(x.shape[2:], steps)]
        # The class token and the registers stand before the patches.
        tokens = tokens[:, tokens.shape[1] - math.prod(size):]
        return tokens.transpose(1, 2).unflatten(2, size)


class Whole(Family):
    """Whatever else ``AutoBackbone`` knows, run as a whole."""
    staged = False

    def kind(self, config):
        from transformers.models.auto.modeling_auto import \
            MODEL_FOR_BACKBONE_MAPPING
        if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
            raise ValueError(
                f"transformers {transformers.__version__} has no backbone of "
                f"'{config.model_type}': HFBackbone knows "
                f'{", ".join(sorted(FAMILIES))} and what AutoBackbone knows.')
        return MODEL_FOR_BACKBONE_MAPPING[type(config)]

    def settings(self, config, indices):
        # The first name is that of the stem.
        names = [config.stage_names[i + 1] for i in indices]
        return dict(out_features=names, out_indices=None)


FAMILIES: dict[str, Family] = {
    'swin': Swin(),
    'swinv2': SwinV2(),
    'convnext': ConvNeXt(),
    'convnextv2': ConvNeXt(),
    'dinov3_convnext': DINOv3ConvNeXt(),
    'hiera': Hiera(),
    'dinov2': PlainViT(),
    'dinov2_with_registers': PlainViT(),
    'dinov3_vit': PlainViT(),
    'vit': PlainViT(),
}


def family_of(model_type: str) -> Family:
    """How models of a ``model_type`` are run."""
    return FAMILIES.get(model_type, Whole())
