# Licensed under the Apache License, Version 2.0.
"""Parameters and multiply-adds of a referring segmentor, part by part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.analysis.jit_handles import get_shape
from mmengine.model import revert_sync_batchnorm
from mmseg.models.segmentors import EncoderDecoder
from prettytable import PrettyTable
from torch import Tensor, nn

from mmrefseg.models.language_channels import with_language_channels
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures

# Children that get a row of their own; the rest of the part is one row.
_SPLIT = {
    'backbone': ('fusions', 'gates'),
    'neck': ('projections', ),
    'decode_head': ('prior_generator', ),
}
_NOT_COUNTED = ('language_encoder',
                'softmax, activations and other elementwise operators')
_BERT_BASE_WIDTH = 768


class Part(NamedTuple):
    """A part of a model.

    Attributes:
        name (str): Where it is in the model.
        params (int): Its parameters.
        flops (int): Its multiply-adds.
    """
    name: str
    params: int
    flops: int


@dataclass(frozen=True)
class Complexity:
    """Parameters and multiply-adds of a model.

    Attributes:
        parts (list[Part]): Disjoint parts; their sum is the model without
            its language encoder.
        language_params (int, optional): Parameters of the language encoder,
            which are not in the sum. None when it could not be built.
        shape (tuple[int, int]): Height and width of the image, in pixels.
        tokens (int): Tokens of the sentence.
    """
    parts: list[Part]
    language_params: int | None
    shape: tuple[int, int]
    tokens: int

    @property
    def params(self) -> int:
        """int: Parameters without the language encoder."""
        return sum(part.params for part in self.parts)

    @property
    def flops(self) -> int:
        """int: Multiply-adds without the language encoder."""
        return sum(part.flops for part in self.parts)

    def summary(self) -> dict:
        """The sums, for machines to read: ``params_m`` (millions),
        ``gflops`` (billions of multiply-adds) and what is left out."""
        return dict(
            params_m=round(self.params / 1e6, 4),
            gflops=round(self.flops / 1e9, 4),
            shape=list(self.shape),
            tokens=self.tokens,
            excludes=list(_NOT_COUNTED))

    def table(self) -> str:
        """The parts, for people to read."""
        table = PrettyTable(['part', 'params (M)', 'FLOPs (G)'])
        table.align = 'r'
        table.align['part'] = 'l'
        for part in self.parts:
            table.add_row([
                part.name, f'{part.params / 1e6:.3f}',
                f'{part.flops / 1e9:.3f}'
            ])
        table.add_row([
            'sum', f'{self.params / 1e6:.3f}', f'{self.flops / 1e9:.3f}'
        ])
        aside = '?'
        if self.language_params is not None:
            aside = f'{self.language_params / 1e6:.3f}'
        table.add_row(['language_encoder, not in the sum', aside, '-'])
        return str(table)


def attention_flops(inputs: list, outputs: list) -> int:
    """Multiply-adds of ``scaled_dot_product_attention``, for FlopAnalyzer.

    MMEngine knows no count for this operator and takes it for nothing. The
    two matrix products are counted, as they are where attention is written
    with ``matmul``.

    Args:
        inputs (list): Traced inputs: queries ``... x L x E``, keys
            ``... x S x E``, values ``... x S x E_v``, and others.
        outputs (list): Traced outputs, not needed.

    Returns:
        int: ``... * L * S * (E + E_v)``.
    """
    query, key, value = (get_shape(x) for x in inputs[:3])
    pairs = math.prod(query[:-1]) * key[-2]
    return pairs * (query[-1] + value[-1])


class _GivenWords(nn.Module):
    """A language encoder that gives the same features for any sentence."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.language = LanguageFeatures(
            words=torch.randn(1, tokens, width),
            mask=torch.ones(1, tokens, dtype=torch.bool))

    def forward(self, texts: Sequence[str]) -> LanguageFeatures:
        return self.language


class _ImageToLogits(nn.Module):
    """The way from an image to mask logits, with calls that are counted."""

    def __init__(self, segmentor: EncoderDecoder) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, image: Tensor) -> Tensor:
        features = self.segmentor.extract_feat(image, ['a sentence'])
        return self.segmentor.decode_head(features)


def _measure_language(encoder: dict) -> tuple[int, int | None]:
    """Width and parameters of a language encoder, built without memory."""
    try:
        with torch.device('meta'):
            built = MODELS.build(encoder)
    except FileNotFoundError:  # its files are on a hub out of reach
        arch = encoder.get('arch') or {}
        width = encoder.get('channels') or arch.get('hidden_size')
        return width or _BERT_BASE_WIDTH, None
    return built.out_channels, sum(p.numel() for p in built.parameters())


def _build_without_language(model: dict, tokens: int
                            ) -> tuple[EncoderDecoder, int | None]:
    model = dict(model)
    width, params = _measure_language(model.pop('language_encoder'))
    model = with_language_channels(model, width)
    segmentor = revert_sync_batchnorm(MODELS.build(model))
    segmentor.language_encoder = _GivenWords(tokens, width)
    return segmentor.eval(), params


def _params(module: nn.Module | None) -> int:
    return sum(p.numel() for p in module.parameters()) if module else 0


def _split(segmentor: nn.Module, flops: dict[str, int]) -> list[Part]:
    """Divide a model and its multiply-adds into disjoint parts."""

    def flops_of(name: str) -> int:
        # A list of modules is never called itself, its children are.
        module = segmentor.get_submodule(name)
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            return sum(
                flops_of(f'{name}.{child}')
                for child, _ in module.named_children())
        return flops.get(f'segmentor.{name}', 0)

    parts = []
    for name, module in segmentor.named_children():
        if name in ('data_preprocessor', 'language_encoder'):
            continue
        children = [
            Part(f'{name}.{child}', _params(getattr(module, child)),
                 flops_of(f'{name}.{child}')) for child in _SPLIT.get(name, ())
            if _params(getattr(module, child, None))
        ]
        rest = Part(
            f'{name}, the rest' if children else name,
            _params(module) - sum(part.params for part in children),
            flops_of(name) - sum(part.flops for part in children))
        parts += [rest, *children]
    other = Part('between the parts',
                 _params(segmentor) - sum(part.params for part in parts),
                 flops[''] - sum(part.flops for part in parts))
    if other.params or other.flops:
        parts.append(other)
    return parts


def count_complexity(model: dict,
                     *,
                     shape: Sequence[int] = (480, 480),
                     tokens: int = 20) -> Complexity:
    """Count the parameters and multiply-adds of one image and one sentence.

    Counted with MMEngine's table of operators (convolutions, matrix products,
    norms, bilinear resizing) and ``scaled_dot_product_attention`` as its two
    matrix products. The language encoder is left out: random word features
    of its width take its place, so none of its files is needed.

    Args:
        model (dict): Config of a segmentor.
        shape (Sequence[int]): Height and width of the image, in pixels.
        tokens (int): Tokens of the sentence, all of them real.

    Returns:
        Complexity: The counts.
    """
    segmentor, language_params = _build_without_language(model, tokens)
    analyzer = FlopAnalyzer(
        _ImageToLogits(segmentor), (torch.randn(1, 3, *shape), ))
    analyzer.set_op_handle(
        **{'aten::scaled_dot_product_attention': attention_flops})
    analyzer.unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    analyzer.tracer_warnings('none')
    with torch.no_grad():
        flops = {name: int(n) for name, n in analyzer.by_module().items()}
    return Complexity(
        parts=_split(segmentor, flops),
        language_params=language_params,
        shape=(shape[0], shape[1]),
        tokens=tokens)
