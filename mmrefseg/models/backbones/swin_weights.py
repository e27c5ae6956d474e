# Licensed under the Apache License, Version 2.0.
"""Swin weights from the files that people have, in mmseg's names.

Four publishers, three layouts. mmseg and mmpretrain name a tensor
``stages.0.blocks.0.attn.w_msa.qkv.weight``; Microsoft names it
``layers.0.blocks.0.attn.qkv.weight`` and merges patches in another order of
pixels, so the weights of patch merging are reordered as well. transformers
has names of its own (:mod:`swin_hub`) and Microsoft's order.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F

from mmrefseg.fileio import CheckpointAdapter, name_some, read_weights
from mmrefseg.fileio.weights import StateDict, find_state_dict
from .swin_hub import find_swin, from_transformers, is_transformers

# Parts of Microsoft's names and of mmseg's; to be replaced in this order, and
# in the other one on the way back.
MICROSOFT_NAMES = (
    ('layers.', 'stages.'),
    ('patch_embed.proj.', 'patch_embed.projection.'),
    ('.attn.', '.attn.w_msa.'),
    ('.mlp.fc1.', '.ffn.layers.0.0.'),
    ('.mlp.fc2.', '.ffn.layers.1.'),
)
# Computed from the sizes, not learned.
_COMPUTED = ('relative_position_index', 'attn_mask')
_BACKBONE = 'backbone.'
_TABLE = 'relative_position_bias_table'
# Norms of the maps given out: a classifier's file does not have them.
_OUTPUT_NORM = re.compile(r'^norm\d+\.')


@dataclass
class SwinReport:
    """What became of the tensors of a file.

    Attributes:
        layout (str): 'OpenMMLab' (mmseg, mmpretrain), 'Microsoft' or
            'transformers'.
        loaded (list[str]): Names in the backbone that get a tensor.
        resized (list[str]): Those of them that were resized, which are
            relative position tables of another window.
        skipped (list[str]): Names in the file that the backbone has no place
            for: output norms, the classifier, other parts of a segmentor.
        missing (list[str]): Learned tensors of the backbone that the file
            does not have.
    """
    layout: str
    loaded: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def merging_order(channels: int) -> Tensor:
    """Where mmseg's patch merging finds its inputs in Microsoft's.

    Of the 2 x 2 pixels merged, Microsoft concatenates the channels of whole
    pixels, going down the left column and then down the right one. mmseg
    unfolds: channel by channel, and in each the pixels row by row.

    Args:
        channels (int): Input channels after merging, ``4 C``.

    Returns:
        Tensor: ``4 C``, int64. Element ``i`` of mmseg's order is element
        ``merging_order[i]`` of Microsoft's.
    """
    by_pixel = torch.arange(channels).view(2, 2, -1)  # column, row, channel
    return by_pixel.permute(2, 1, 0).reshape(-1)


def resize_position_table(table: Tensor, length: int) -> Tensor:
    """Resize a relative position table to another window, bicubically.

    Args:
        table (Tensor): ``(2 M - 1)^2 x heads`` for windows of side ``M``.
        length (int): ``(2 N - 1)^2`` for windows of side ``N``.

    Returns:
        Tensor: ``length x heads``, of the same dtype.
    """
    heads = table.shape[1]
    old, new = (round(size**0.5) for size in (len(table), length))
    grid = table.float().t().reshape(1, heads, old, old)
    grid = F.interpolate(
        grid, size=(new, new), mode='bicubic', align_corners=False)
    return grid.reshape(heads, length).t().contiguous().to(table.dtype)


class OpenMMLabSwin(CheckpointAdapter):
    """The names of mmseg and mmpretrain, which are ours."""

    def matches(self, names: Collection[str]) -> bool:
        return any(
            name.startswith(('stages.', 'patch_embed.projection.'))
            for name in names)

    def rename(self, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        return None if name.endswith(_COMPUTED) else (name, tensor)


class MicrosoftSwin(CheckpointAdapter):
    """The names of Microsoft, and its order of pixels in patch merging."""

    def matches(self, names: Collection[str]) -> bool:
        return any(name.startswith('layers.') for name in names)

    def rename(self, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        if name.endswith(_COMPUTED):
            return None
        if '.downsample.' in name and tensor.shape[-1] % 4 == 0:
            tensor = tensor[..., merging_order(tensor.shape[-1])]
        for theirs, ours in MICROSOFT_NAMES:
            name = name.replace(theirs, ours)
        return name, tensor


_LAYOUTS: dict[str, CheckpointAdapter] = {
    'Microsoft': MicrosoftSwin(),
    'OpenMMLab': OpenMMLabSwin(),
}


def convert_swin_state_dict(
        checkpoint: Mapping, *,
        target: Mapping[str, Tensor]) -> tuple[StateDict, SwinReport]:
    """Convert the weights of a Swin to those that a backbone takes.

    Args:
        checkpoint (Mapping): A state dict, or a checkpoint that holds one as
            'state_dict' or 'model'; names may carry 'module.' and
            'backbone.'.
        target (Mapping[str, Tensor]): State dict of the backbone, for its
            names and shapes.

    Returns:
        tuple[dict, SwinReport]: Tensors in the backbone's names and shapes,
        and what became of each tensor.

    Raises:
        ValueError: Nothing matches, a shape differs, or the file has blocks
            that the backbone does not have.
    """
    given, skipped = find_state_dict(checkpoint), []
    if any(name.startswith(_BACKBONE) for name in given):
        skipped = [x for x in given if not x.startswith(_BACKBONE)]
        given = {
            name[len(_BACKBONE):]: tensor
            for name, tensor in given.items() if name.startswith(_BACKBONE)
        }
    if theirs := is_transformers(given):
        given = from_transformers(given)
    layout = next((x for x, adapter in _LAYOUTS.items()
                   if adapter.matches(given)), 'OpenMMLab')
    report = SwinReport(
        'transformers' if theirs else layout, skipped=skipped)
    converted, unplaced = {}, []
    for old_name, tensor in given.items():
        renamed = _LAYOUTS[layout].rename(old_name, tensor)
        if renamed is None:
            continue
        name, tensor = renamed
        if name not in target:
            if name.startswith(('stages.', 'patch_embed.')):
                unplaced.append(old_name)
            else:
                report.skipped.append(old_name)
            continue
        wanted = target[name].shape
        if (name.endswith(_TABLE) and tensor.shape != wanted
                and tensor.shape[1:] == wanted[1:]):
            tensor = resize_position_table(tensor, wanted[0])
            report.resized.append(name)
        if tensor.shape != wanted:
            raise ValueError(
                f"'{old_name}' has shape {tuple(given[old_name].shape)}, "
                f"where the backbone's '{name}' has {tuple(wanted)}: make "
                'embed_dims, depths and num_heads fit the file.')
        converted[name] = tensor
        report.loaded.append(name)
    if not converted:
        names = name_some(list(given) or skipped) or 'none at all'
        raise ValueError(
            'nothing in it matches a Swin backbone; its tensors are named '
            f'like {names}. Known are the names of mmseg, mmpretrain, '
            'Microsoft and transformers.')
    if unplaced:
        raise ValueError(
            f'the backbone has no place for {len(unplaced)} of its tensors '
            f'({name_some(unplaced)}): make depths fit the file.')
    report.missing = [
        name for name in target
        if name not in converted and not name.endswith(_COMPUTED)
    ]
    return converted, report


def load_swin_weights(
    module: nn.Module,
    path: str,
    *,
    language_prefixes: Sequence[str] = ('fusions.', 'gates.')
) -> SwinReport:
    """Load a Swin file into a backbone and log what was done.

    Args:
        module (nn.Module): A backbone with mmseg's names for its Swin part.
        path (str): The file, see :func:`~mmrefseg.fileio.read_weights`; or a
            folder or a name on the Hugging Face hub, see
            :func:`~mmrefseg.models.backbones.swin_hub.find_swin`.
        language_prefixes (Sequence[str]): Prefixes of parts that a Swin file
            does not have. They, and norms of the maps given out, may be
            missing.

    Returns:
        SwinReport: What became of each tensor.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file does not fit; the message says where.
    """
    checkpoint = read_weights(
        find_swin(path),
        hint='set model.backbone.init_cfg.checkpoint to a Swin file, or '
        'model.backbone.init_cfg to None to start from scratch',
        if_trusted='load it and save its state dict once with torch')
    try:
        converted, report = convert_swin_state_dict(
            checkpoint, target=module.state_dict())
    except ValueError as error:
        raise ValueError(
            f"The weights '{path}' do not fit the backbone: {error}"
        ) from error
    lacking = [
        name for name in report.missing
        if not name.startswith(tuple(language_prefixes))
        and not _OUTPUT_NORM.match(name)
    ]
    if lacking:
        raise ValueError(
            f"The weights '{path}' do not fit the backbone: they lack "
            f'{len(lacking)} of its tensors ({name_some(lacking)}): make '
            'depths fit the file.')
    module.load_state_dict(converted, strict=False)
    message = (f"Swin weights '{path}' ({report.layout} layout): "
               f'{len(report.loaded)} tensors loaded')
    if report.resized:
        message += (f', {len(report.resized)} of them position tables resized '
                    "to the backbone's window")
    if report.skipped:
        message += (f'; {len(report.skipped)} skipped, the backbone has no '
                    f'place for them ({name_some(report.skipped)})')
    if report.missing:
        message += (f'; {len(report.missing)} of the backbone start fresh '
                    f'({name_some(report.missing)})')
    print_log(message + '.', 'current')
    return report
