# Licensed under the Apache License, Version 2.0.
"""Names and layout of the tensors in LAVT's official checkpoints."""

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mmrefseg.fileio import CheckpointAdapter
from mmrefseg.models.backbones.swin_weights import (MICROSOFT_NAMES,
                                                    merging_order)

BERT = 'text_encoder.'

# Parts of our names and of LAVT's; its Swin is Microsoft's.
_FUSION = {
    'fusions.visual_branch': 'fusion.vis_project.0',
    'fusions.word_key': 'fusion.image_lang_att.f_key.0',
    'fusions.visual_query': 'fusion.image_lang_att.f_query.0',
    'fusions.word_value': 'fusion.image_lang_att.f_value.0',
    'fusions.heard_out': 'fusion.image_lang_att.W.0',
    'fusions.out': 'fusion.project_mm.0',
    'gates.hidden': 'res_gate.0',
    'gates.out': 'res_gate.2',
}
_LISTS = re.compile(r'backbone\.(fusions|gates)\.(\d+)\.(\w+)\.(\w+)')
_DECODER = re.compile(r'neck\.blocks\.(\d+)\.(\d+)\.(conv|bn)\.(\w+)')
_PREFIXES = {
    'decode_head.conv_seg.': 'classifier.conv1_1.',
    'language_encoder.bert.': BERT,
}


def official_name(name: str) -> str:
    """LAVT's name of one of our tensors; BERT stands under ``BERT``.

    Args:
        name (str): Name in our state dict.

    Returns:
        str: Name in an official one.

    Raises:
        ValueError: LAVT has no such tensor.
    """
    part = _LISTS.fullmatch(name)
    if part and f'{part[1]}.{part[3]}' in _FUSION:
        theirs = _FUSION[f'{part[1]}.{part[3]}']
        return f'backbone.layers.{part[2]}.{theirs}.{part[4]}'
    part = _DECODER.fullmatch(name)
    if part:
        # conv1_4 is the first of two convolutions at the coarsest step.
        step, place = int(part[1]) + 2, int(part[2]) + 1
        return f'classifier.{part[3]}{place}_{step}.{part[4]}'
    for ours, theirs in _PREFIXES.items():
        if name.startswith(ours):
            return theirs + name[len(ours):]
    if not re.match(r'backbone\.(patch_embed|stages|norm\d)\.', name):
        raise ValueError(f"the config is none of LAVT: its '{name}' has no "
                         'place in an official checkpoint.')
    for theirs, ours in reversed(MICROSOFT_NAMES):
        name = name.replace(ours, theirs)
    return name


class LavtNames(CheckpointAdapter):
    """The names of LAVT's official checkpoints, and how tensors lie there.

    Args:
        target (Mapping[str, Tensor]): State dict of the model that is to take
            them, for its names and shapes.

    Attributes:
        ours (dict[str, str]): Official names to those of the model.

    Raises:
        ValueError: The model is none of LAVT.
    """

    def __init__(self, target: Mapping[str, Tensor]) -> None:
        self.target = target
        self.ours = {official_name(name): name for name in target}

    def matches(self, names: Collection[str]) -> bool:
        return any(name.startswith('backbone.layers.') for name in names)

    def rename(self, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        if name not in self.ours:
            return None
        if '.fusion.' in name and tensor.dim() == 3:
            tensor = tensor[..., 0]
        if '.downsample.' in name:
            tensor = tensor[..., merging_order(tensor.shape[-1])]
        # Not a view into a larger tensor, which would be written whole.
        return self.ours[name], tensor.detach().clone(
            memory_format=torch.contiguous_format)

    def official_shape(self, name: str) -> tuple[int, ...]:
        """Shape that a tensor has in an official checkpoint: projections of
        the fusion are convolutions over a sequence there, so their weights
        have one side more."""
        ours = self.target[self.ours[name]]
        sequence = '.fusion.' in name and ours.dim() == 2
        return (*ours.shape, 1) if sequence else tuple(ours.shape)


def position_index(tokens: int) -> Tensor:
    """Rows of a relative position table for the pixels of a window.

    Args:
        tokens (int): Pixels of a window of side ``M``, ``M^2``.

    Returns:
        Tensor: ``M^2 x M^2``, int64: for each pixel and each that it looks
        at the row of ``(2 M - 1)^2``.
    """
    window = round(tokens**0.5)
    pixels = torch.arange(tokens)
    row, column = (
        place[:, None] - place[None, :] + window - 1
        for place in (pixels // window, pixels % window))
    return row * (2 * window - 1) + column
