# Licensed under the Apache License, Version 2.0.
"""Predictions of a head, what is wanted of them, and masks from logits."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from torch import Tensor

_OUTPUT_SIZES = ('original', 'input')


@dataclass(frozen=True)
class Prediction:
    """What a decode head predicts for ``B`` pairs of image and sentence.

    Attributes:
        logits (Tensor): Mask logits at the size that the network saw,
            ``B x 2 x H x W`` (background, referent: softmax) or
            ``B x 1 x H x W`` (referent: sigmoid).
        prior (Tensor, optional): Logits of the mask prior, of as many
            channels as ``logits``, ``B x C x h x w``, at any size.
        existence (Tensor, optional): How sure the head is that the referent
            is in the image at all, ``B``, float, in 0..1.
        boxes (Tensor, optional): Box of the referent, ``B x 4``: x0, y0, x1,
            y1 as fractions of the image's width and height, in 0..1.
        threshold (float, optional): Probability above which a pixel belongs
            to the mask. None takes the likelier of background and referent.
        existence_threshold (float): Existence below which nothing is there
            and the mask is empty. Defaults to 0.5.
    """
    logits: Tensor
    prior: Tensor | None = None
    existence: Tensor | None = None
    boxes: Tensor | None = None
    threshold: float | None = None
    existence_threshold: float = 0.5


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What is wanted of one prediction; it travels with the call.

    Attributes:
        output_size (str): 'original' gives masks at the size of the image,
            'input' at the size that the network saw.
        return_prior (bool): Whether mask priors are given.
        return_attention (bool): Whether word attention is given.
        attention_stage (int): Whose fusion's word attention. Defaults to -2,
            the last stage but one, whose maps are both fine enough to look at
            and late enough to mean something (the only one of a single map).
        threshold (float, optional): Probability above which a pixel belongs
            to the mask. None takes that of the head.

    Raises:
        ValueError: ``output_size`` is unknown.
    """
    output_size: str = 'original'
    return_prior: bool = False
    return_attention: bool = False
    attention_stage: int = -2
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.output_size not in _OUTPUT_SIZES:
            raise ValueError("test_cfg.output_size is 'original' or 'input', "
                             f'not {self.output_size!r}.')

    @classmethod
    def from_cfg(cls, test_cfg: Mapping | None) -> 'PredictOptions':
        """Those of a model's ``test_cfg``; its other keys are left alone."""
        known = {field.name for field in fields(cls)}
        return cls(
            **{k: v
               for k, v in (test_cfg or {}).items() if k in known})


def referent_probability(logits: Tensor, dim: int = -3) -> Tensor:
    """Probability that a pixel belongs to the referent.

    Args:
        logits (Tensor): ``... x 2 x H x W`` or ``... x 1 x H x W``, see
            :class:`Prediction`.
        dim (int): Dimension of the channels. Defaults to the last but two.

    Returns:
        Tensor: ``... x H x W``, float32 or wider, in 0..1.
    """
    if logits.dtype.itemsize < 4:
        logits = logits.float()
    if logits.shape[dim] == 1:
        return logits.select(dim, 0).sigmoid()
    return logits.softmax(dim=dim).select(dim, 1)


def binarize(logits: Tensor, threshold: float | None = None) -> Tensor:
    """The mask that logits mean.

    Args:
        logits (Tensor): ``... x 2 x H x W`` or ``... x 1 x H x W``.
        threshold (float, optional): Probability above which a pixel belongs
            to the mask. None takes the likelier of background and referent,
            the background where both are equal.

    Returns:
        Tensor: ``... x H x W``, bool.
    """
    if threshold is not None:
        return referent_probability(logits) > threshold
    if logits.shape[-3] == 1:
        return logits.select(-3, 0) > 0
    return logits.argmax(dim=-3) == 1
