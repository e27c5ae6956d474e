# Licensed under the Apache License, Version 2.0.
"""Predictions written into data samples, at the size that is wanted."""

from collections.abc import Callable, Sequence

from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor

from mmrefseg.structures import (MultimodalFeatures, Prediction,
                                 PredictOptions, SentenceAttention, binarize,
                                 referent_probability)


def _resize(maps: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """Resize ``C x h x w`` to ``C x H x W``."""
    return resize(
        maps[None].float(),
        size=tuple(size),
        mode='bilinear',
        align_corners=align_corners,
        warning=False)[0]


def _output_size(sample: SegDataSample, options: PredictOptions,
                 input_size: Sequence[int]) -> tuple[int, int]:
    size = input_size
    if options.output_size == 'original':
        size = sample.metainfo['ori_shape']
    return (int(size[0]), int(size[1]))


def write_results(prediction: Prediction,
                  data_samples: Sequence[SegDataSample],
                  options: PredictOptions,
                  *,
                  align_corners: bool = False) -> None:
    """Write masks, and what else a head predicts, into data samples.

    Args:
        prediction (Prediction): Of ``B`` pairs.
        data_samples (Sequence[SegDataSample]): ``B``, with ``ori_shape``.
        options (PredictOptions): Sizes, threshold, and whether priors are
            wanted.
        align_corners (bool): Of resizing. Defaults to False.
    """
    input_size = prediction.logits.shape[2:]
    threshold = options.threshold
    if threshold is None:
        threshold = prediction.threshold
    existence = None
    if prediction.existence is not None:
        existence = prediction.existence.tolist()
    for i, sample in enumerate(data_samples):
        size = _output_size(sample, options, input_size)
        logits = _resize(prediction.logits[i], size, align_corners)
        mask = binarize(logits, threshold)[None].long()
        if existence is not None:
            score = existence[i]
            no_target = score < prediction.existence_threshold
            sample.set_metainfo(
                dict(existence_score=score, pred_no_target=no_target))
            if no_target:
                mask.zero_()
        sample.set_data(
            dict(
                seg_logits=PixelData(data=logits),
                pred_sem_seg=PixelData(data=mask)))
        if prediction.boxes is not None:
            height, width = size
            scale = prediction.boxes.new_tensor([width, height] * 2)
            box = (prediction.boxes[i] * scale).tolist()
            sample.set_metainfo(dict(pred_box=box))
        if options.return_prior and prediction.prior is not None:
            prior = _resize(prediction.prior[i], input_size, align_corners)
            prior = referent_probability(prior)[None]
            sample.set_data(
                dict(mask_prior=PixelData(data=_resize(prior, size, False))))


def write_attention(features: MultimodalFeatures,
                    data_samples: Sequence[SegDataSample],
                    options: PredictOptions, input_size: Sequence[int],
                    tokenize: Callable[[str], list[str]]) -> None:
    """Write the attention of one stage into data samples, where the fusion of
    that stage gives one: ``word_attention`` with the ``tokens``, or, of a
    fusion that hears the whole sentence, ``sentence_attention`` (``1 x H x
    W``, in 0..1) and, in the metainfo, ``channel_attention`` (list[float] of
    ``C`` values in 0..1), whichever of the two it has.

    Args:
        features (MultimodalFeatures): Of ``B`` pairs, as the head takes them.
        data_samples (Sequence[SegDataSample]): ``B``, with ``text``.
        options (PredictOptions): Which stage, and sizes.
        input_size (Sequence[int]): ``(H, W)`` that the network saw.
        tokenize (Callable): From a sentence to its tokens.
    """
    stages = features.attention or ()
    if not stages:
        return
    attention = stages[max(options.attention_stage, -len(stages))]
    if isinstance(attention, SentenceAttention):
        _write_sentence_attention(attention, data_samples, options, input_size)
        return
    if attention is None:
        return
    for maps, sample in zip(attention, data_samples):
        tokens = tokenize(sample.metainfo['text'])
        maps = _resize(maps[:len(tokens)],
                       _output_size(sample, options, input_size), False)
        sample.set_data(dict(word_attention=PixelData(data=maps)))
        sample.set_metainfo(dict(tokens=tokens))


def _write_sentence_attention(attention: SentenceAttention,
                              data_samples: Sequence[SegDataSample],
                              options: PredictOptions,
                              input_size: Sequence[int]) -> None:
    for i, sample in enumerate(data_samples):
        if attention.pixels is not None:
            maps = _resize(attention.pixels[i, None],
                           _output_size(sample, options, input_size), False)
            sample.set_data(dict(sentence_attention=PixelData(data=maps)))
        if attention.channels is not None:
            weights = attention.channels[i].float().tolist()
            sample.set_metainfo(dict(channel_attention=weights))
