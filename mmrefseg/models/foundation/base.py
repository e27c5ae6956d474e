# Licensed under the Apache License, Version 2.0.
"""What all wrapped models have in common."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import (ImageFeatures, Pairs, Prediction,
                                 PredictOptions)
from ..data_preprocessor import group_by_shape
from ..segmentors.results import write_results
from .prompts import Sentences

# Logit of a pixel where no instance was found: a probability of 2e-9, below
# any threshold, and finite, so that it can be resized.
NOTHING = -20.


class FoundationSegmentor(BaseModel):
    """Base of the segmentors that wrap a pretrained model for inference.

    It has the interface of :class:`~mmrefseg.models.ReferringEncoderDecoder`
    that testing and the inferencer use: ``predict``, ``encode_images`` and
    ``segment``. Weights come with the constructor (:attr:`brings_weights`):
    there is no checkpoint.

    A subclass gives :meth:`encode_images` and :meth:`predict_pairs`.

    Args:
        sentences (Sentences): The tokenizer that the model reads with.
        existence_threshold (float): Score, in 0..1, below which nothing is
            there and the mask is empty; 0 always answers.
        test_cfg (dict, optional): What
            :class:`~mmrefseg.structures.PredictOptions` knows.
        data_preprocessor (dict, optional): Without mean and std: the model's
            own processor resizes and normalises. Defaults to
            ``dict(type='RefSegDataPreProcessor')``.

    Raises:
        ValueError: ``existence_threshold`` does not lie in 0..1.
    """

    #: Whether the constructor loads weights, so that no checkpoint is needed.
    brings_weights = True

    def __init__(self,
                 sentences: Sentences,
                 *,
                 existence_threshold: float,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None) -> None:
        if not 0 <= existence_threshold <= 1:
            raise ValueError(
                f'existence_threshold={existence_threshold} of '
                f'{type(self).__name__} must lie between 0 and 1.')
        test_cfg = dict(test_cfg or {})
        PredictOptions.from_cfg(test_cfg)
        settings = data_preprocessor or dict(type='RefSegDataPreProcessor')
        super().__init__(data_preprocessor=MODELS.build(settings))
        self.test_cfg = test_cfg
        self.existence_threshold = existence_threshold
        self.language_encoder = sentences

    @abstractmethod
    def encode_images(self, inputs: Tensor) -> ImageFeatures:
        """Compute what does not depend on a sentence.

        Args:
            inputs (Tensor): ``N x 3 x H x W``, RGB, 0..255.

        Returns:
            ImageFeatures: Of ``N`` images, of the size of the photos. Its
            maps hold what this model needs of each, ``N`` rows.
        """

    @abstractmethod
    def predict_pairs(self, image: ImageFeatures, rows: Sequence[int],
                      texts: Sequence[str]) -> Prediction:
        """Predict what sentences mean.

        Args:
            image (ImageFeatures): Of ``N`` images of ``H x W``.
            rows (Sequence[int]): ``B``, the image of each sentence.
            texts (Sequence[str]): ``B`` sentences.

        Returns:
            Prediction: Logits ``B x 1 x H x W`` at the photo's size, and
            existence, ``B``.
        """

    @torch.no_grad()
    def predict(self,
                inputs: Tensor | Sequence[Tensor],
                data_samples: OptSampleList = None,
                options: PredictOptions | None = None) -> SampleList:
        """Segment what each sentence means.

        Samples of one ``img_path`` and equal pixels are encoded once.

        Args:
            inputs (Tensor | Sequence[Tensor]): Photos, ``N x 3 x H x W``, or
                several ``3 x H x W`` of any sizes, RGB, 0..255.
            data_samples (list[SegDataSample]): ``B`` samples with ``text``
                and ``ori_shape``. Where several sentences speak of one
                image, ``image_index`` may name its row in ``inputs``.
            options (PredictOptions, optional): What is wanted of this call.
                None takes what ``test_cfg`` says.

        Returns:
            list[SegDataSample]: The samples, see :meth:`segment`.
        """
        samples = data_samples or []
        rows = _image_rows(inputs, samples)
        for indices, images, pairs in group_by_shape(inputs, rows):
            self.segment(
                self.encode_images(images), [samples[i] for i in indices],
                pairs, options)
        return samples

    @torch.no_grad()
    def segment(self,
                image: ImageFeatures,
                data_samples: SampleList,
                pairs: Pairs | None = None,
                options: PredictOptions | None = None) -> SampleList:
        """Segment what sentences mean in images that are encoded already.

        Args:
            image (ImageFeatures): As :meth:`encode_images` gives it.
            data_samples (list[SegDataSample]): ``B`` samples with ``text``
                and ``ori_shape``.
            pairs (Pairs, optional): The image of each sample. None means one
                to one.
            options (PredictOptions, optional): What is wanted of this call.
                None takes what ``test_cfg`` says.

        Returns:
            list[SegDataSample]: The samples, with ``pred_sem_seg``
            (``1 x H x W``, int64, 1 = referent) and ``seg_logits``
            (``1 x H x W``), and in the metainfo ``existence_score`` (float,
            0..1) and ``pred_no_target`` (bool); where that is true the mask
            is empty. A model with boxes adds ``pred_box``, x0, y0, x1, y1 in
            pixels.
        """
        texts = [_text_of(sample) for sample in data_samples]
        rows: Sequence[int] = range(len(texts))
        if pairs is not None and pairs.image is not None:
            rows = pairs.image.tolist()
        options = options or PredictOptions.from_cfg(self.test_cfg)
        write_results(
            self.predict_pairs(image, rows, texts), data_samples, options)
        return data_samples

    def loss(self, inputs: Tensor | Sequence[Tensor],
             data_samples: OptSampleList) -> dict:
        """Refuse to train.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f'{type(self).__name__} is for inference and has no loss: to '
            'train, take a ReferringEncoderDecoder (configs/mpg_lqgnet, '
            'configs/lavt), or fine-tune the weights with transformers and '
            'name their folder here.')

    def forward(self,
                inputs: Tensor | Sequence[Tensor],
                data_samples: OptSampleList = None,
                mode: str = 'predict') -> SampleList | dict:
        """:meth:`predict`, or with ``mode='loss'`` :meth:`loss`."""
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return self.loss(inputs, data_samples)

    def init_weights(self) -> None:
        """Do nothing: the weights are loaded. (MMEngine would call the
        method of the same name of the wrapped model.)"""


def _text_of(sample) -> str:
    if 'text' not in sample.metainfo:
        raise ValueError('A data sample has no sentence: give the model data '
                         "samples whose metainfo holds 'text'.")
    return sample.metainfo['text']


def _image_rows(inputs: Tensor | Sequence[Tensor],
                samples: SampleList) -> list[int]:
    """For each sample the row of its image, the first of equal ones."""
    rows: list[int] = []
    first: dict = {}
    for i, sample in enumerate(samples):
        meta = sample.metainfo
        row = meta.get('image_index')
        if row is None:
            row = first.setdefault(meta.get('img_path') or i, i)
            if row != i and not torch.equal(inputs[row], inputs[i]):
                row = i
        rows.append(row)
    return rows
