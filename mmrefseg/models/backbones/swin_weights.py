# Licensed under the Apache License, Version 2.0.
"""Swin weights from the files that people have, in mmseg's names.

Three publishers, two layouts. mmseg and mmpretrain name a tensor
``stages.0.blocks.0.attn.w_msa.qkv.weight``; Microsoft names it
``layers.0.blocks.0.attn.qkv.weight`` and merges patches in another order of
pixels, so the weights of patch merging are reordered as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F

StateDict = dict[str, Tensor]

_MICROSOFT_NAMES = (
    (re.compile(r'^layers\.'), 'stages.'),
    (re.compile(r'^patch_embed\.proj\.'), 'patch_embed.projection.'),
    (re.compile(r'\.attn\.'), '.attn.w_msa.'),
    (re.compile(r'\.mlp\.fc1\.'), '.ffn.layers.0.0.'),
    (re.compile(r'\.mlp\.fc2\.'), '.ffn.layers.1.'),
)
# Computed from the sizes, not learned.
_COMPUTED = ('relative_position_index', 'attn_mask')
_TABLE = 'relative_position_bias_table'
# Norms of the maps given out: a classifier's file does not have them.
_OUTPUT_NORM = re.compile(r'^norm\d+\.')


@dataclass
class SwinReport:
    """What became of the tensors of a file.

    Attributes:
        layout (str): 'OpenMMLab' (mmseg, mmpretrain) or 'Microsoft'.
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


def _unpack(checkpoint: Mapping) -> tuple[StateDict, list[str]]:
    """Find a Swin in a checkpoint: its tensors without prefixes, and the
    names of tensors of other parts."""
    for container in ('state_dict', 'model'):
        if isinstance(checkpoint.get(container), Mapping):
            checkpoint = checkpoint[container]
    tensors = {
        name[len('module.'):] if name.startswith('module.') else name: value
        for name, value in checkpoint.items() if isinstance(value, Tensor)
    }
    prefix = 'backbone.'
    if not any(name.startswith(prefix) for name in tensors):
        return tensors, []
    others = [name for name in tensors if not name.startswith(prefix)]
    return {
        name[len(prefix):]: value
        for name, value in tensors.items() if name.startswith(prefix)
    }, others


def _rename(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """A tensor of Microsoft's layout in mmseg's."""
    if '.downsample.' in name and tensor.shape[-1] % 4 == 0:
        tensor = tensor[..., merging_order(tensor.shape[-1])]
    for pattern, replacement in _MICROSOFT_NAMES:
        name = pattern.sub(replacement, name)
    return name, tensor


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
    given, skipped = _unpack(checkpoint)
    microsoft = any(name.startswith('layers.') for name in given)
    report = SwinReport('Microsoft' if microsoft else 'OpenMMLab')
    report.skipped = skipped
    converted, unplaced = {}, []
    for old_name, tensor in given.items():
        if old_name.endswith(_COMPUTED):
            continue
        name = old_name
        if microsoft:
            name, tensor = _rename(old_name, tensor)
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
        raise ValueError(
            'nothing in it matches a Swin backbone; its tensors are named '
            f'like {_some(list(given) or skipped)}. Known are the names of '
            'mmseg, mmpretrain and Microsoft.')
    if unplaced:
        raise ValueError(
            f'the backbone has no place for {len(unplaced)} of its tensors '
            f'({_some(unplaced)}): make depths fit the file.')
    report.missing = [
        name for name in target
        if name not in converted and not name.endswith(_COMPUTED)
    ]
    return converted, report


def _some(names: Sequence[str]) -> str:
    shown = ', '.join(f"'{name}'" for name in names[:3])
    return shown + (', ...' if len(names) > 3 else '') or 'none at all'


def _download(url: str) -> Path:
    path = Path(torch.hub.get_dir()) / 'checkpoints' / url.rsplit('/', 1)[-1]
    if get_local_rank() == 0 and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    return path


def read_checkpoint(path: str) -> Mapping:
    """Read a file of weights without running anything that is in it.

    Args:
        path (str): ``.pth``, ``.pt``, ``.bin`` or ``.safetensors``, or an
            ``http(s)`` address, which is downloaded once to torch's cache.

    Returns:
        Mapping: What the file holds.

    Raises:
        FileNotFoundError: There is no such file, or it cannot be downloaded.
        ValueError: It is damaged, or holds more than plain data.
    """
    file = Path(path).expanduser()
    if path.startswith(('http://', 'https://')):
        problem = None
        try:
            file = _download(path)
        except OSError as error:
            problem = error
        barrier()  # the other processes of this machine read its file
        if problem is not None:
            raise FileNotFoundError(
                f"The weights '{path}' cannot be downloaded ({problem}): "
                'fetch them in another way and set '
                'model.backbone.init_cfg.checkpoint to the file, or '
                'model.backbone.init_cfg to None to start from scratch.'
            ) from problem
    if not file.is_file():
        raise FileNotFoundError(
            f"The weights '{path}' do not exist: set "
            'model.backbone.init_cfg.checkpoint to a Swin file, or '
            'model.backbone.init_cfg to None to start from scratch.')
    try:
        if file.suffix == '.safetensors':
            from safetensors.torch import load_file
            return load_file(str(file))
        return torch.load(str(file), map_location='cpu', weights_only=True)
    except Exception as error:  # pickle, zip and safetensors have their own
        raise ValueError(
            f"The weights '{file}' cannot be read as plain tensors "
            f'({str(error).splitlines()[0] if str(error) else error!r}): '
            'fetch them anew, or, if you trust them, load and save their '
            'state dict once with torch.') from error


def load_swin_weights(
    module: nn.Module,
    path: str,
    *,
    language_prefixes: Sequence[str] = ('fusions.', 'gates.')
) -> SwinReport:
    """Load a Swin file into a backbone and log what was done.

    Args:
        module (nn.Module): A backbone with mmseg's names for its Swin part.
        path (str): The file, see :func:`read_checkpoint`.
        language_prefixes (Sequence[str]): Prefixes of parts that a Swin file
            does not have. They, and norms of the maps given out, may be
            missing.

    Returns:
        SwinReport: What became of each tensor.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file does not fit; the message says where.
    """
    checkpoint = read_checkpoint(path)
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
            f'{len(lacking)} of its tensors ({_some(lacking)}): make depths '
            'fit the file.')
    module.load_state_dict(converted, strict=False)
    message = (f"Swin weights '{path}' ({report.layout} layout): "
               f'{len(report.loaded)} tensors loaded')
    if report.resized:
        message += (f', {len(report.resized)} of them position tables resized '
                    "to the backbone's window")
    if report.skipped:
        message += (f'; {len(report.skipped)} skipped, the backbone has no '
                    f'place for them ({_some(report.skipped)})')
    if report.missing:
        message += (f'; {len(report.missing)} of the backbone start fresh '
                    f'({_some(report.missing)})')
    print_log(message + '.', 'current')
    return report
