# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from typing import Any

from mmengine.model import ModuleList
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import OptSampleList, SampleList, add_prefix
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import (ImageFeatures, LanguageFeatures,
                                 MultimodalFeatures, Pairs, Prediction,
                                 PredictOptions)
from ..data_preprocessor import group_by_shape, share_images
from ..language_channels import with_language_channels
from ..necks.run_neck import run_neck
from ..packaged_parts import complete_from_packages
from .finite_loss import FiniteLossGuard
from .masked_training import MaskedTraining
from .results import write_attention, write_results


@MODELS.register_module()
class ReferringEncoderDecoder(EncoderDecoder):
    """Referring segmentor: image and sentence in, mask of the referent out.

    It wires a language encoder, a backbone, a neck and a head; each of the
    last three may use language or ignore it, so stock parts of mmseg fit.
    Sentences come as ``text`` in the metainfo of the data samples.

    Args:
        backbone (dict): Backbone. One with ``uses_language`` is called with
            the images and the language features, any other with the images.
        decode_head (dict): Head, with ``out_channels`` of 2 (softmax) or 1
            (sigmoid). Its ``predict`` returns a
            :class:`~mmrefseg.structures.Prediction`, or the logits alone, as
            the heads of mmseg do.
        language_encoder (dict, optional): Language encoder. None only when
            features are given to the parts by hand, as FLOP counting does.
        neck (dict, optional): Neck. Defaults to None.
        auxiliary_head (dict | list[dict], optional): As in mmseg.
        auxiliary_losses (Sequence[dict]): Registered modules, with parameters
            of their own if need be, that are called with the features that
            the head takes and the data samples, and return a dict of losses
            (those whose name has 'loss' are summed). One with the attribute
            ``needs_visual = True`` finds the maps before fusion in
            ``features.visual``. They play no part in prediction. Defaults to
            none.
        train_cfg (dict, optional): ``share_images=True`` runs samples of one
            ``img_path`` as one image up to the first fusion; right only
            where the pipeline gives an image the same way each time.
            ``masked=dict(type='MaskedTraining', ...)`` adds a second pass on
            a masked image and sentence to each step.
        test_cfg (dict): ``mode='whole'``, and what
            :class:`~mmrefseg.structures.PredictOptions` knows:
            ``output_size``, ``return_prior``, ``return_attention``, ...
        data_preprocessor (dict, optional): Data preprocessor.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``test_cfg`` asks for sliding windows (in a crop, left is
            no longer left) or for an unknown ``output_size``; the head gives
            neither one channel nor two; a backbone that uses language cannot
            say what of an image is independent of it.

    Example:
        >>> import torch
        >>> from mmengine.structures import BaseDataElement
        >>> from mmrefseg.apis import init_model
        >>> model = init_model('mpg-lqgnet_nano', device='cpu')
        >>> sample = BaseDataElement(
        ...     metainfo=dict(text='the red star', ori_shape=(90, 60)))
        >>> with torch.no_grad():
        ...     found, = model.predict(torch.rand(1, 3, 128, 128), [sample])
        >>> found.pred_sem_seg.data.shape
        torch.Size([1, 90, 60])
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 decode_head: dict,
                 language_encoder: dict | None = None,
                 neck: dict | None = None,
                 auxiliary_head: dict | list | None = None,
                 auxiliary_losses: Sequence[dict] = (),
                 train_cfg: dict | None = None,
                 test_cfg: dict = dict(mode='whole', output_size='original'),
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        if test_cfg.get('mode', 'whole') != 'whole':
            raise ValueError(
                f"test_cfg.mode={test_cfg['mode']!r} is refused: in a crop "
                "left is no longer left. Use mode='whole'.")
        PredictOptions.from_cfg(test_cfg)
        parts = dict(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            auxiliary_head=auxiliary_head,
            auxiliary_losses=list(auxiliary_losses))
        encoder = None
        if language_encoder is not None:
            encoder = MODELS.build(language_encoder)
            parts = with_language_channels(parts, encoder.out_channels)
        auxiliary = parts.pop('auxiliary_losses')
        super().__init__(
            **parts,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg)
        if self.out_channels not in (1, 2):
            raise ValueError(
                f'decode_head gives out_channels={self.out_channels}, but a '
                'mask needs two, background and referent, or one, the '
                'referent: set its num_classes=2 and out_channels=2 (or 1).')
        self._fuses = getattr(self.backbone, 'uses_language', False)
        if self._fuses and not hasattr(self.backbone, 'encode_images'):
            raise ValueError(
                f'{type(self.backbone).__name__} uses language, but has no '
                'encode_images(images) and fuse(image, language, pairs): '
                'derive it from LanguageBackbone (docs/own_parts.md).')
        if encoder is not None:
            self.language_encoder = encoder
        if auxiliary:
            self.auxiliary_losses = ModuleList(map(MODELS.build, auxiliary))
        self._finite_loss = FiniteLossGuard()
        # No module: nothing of it is in the state dict.
        self._masked: MaskedTraining | None = None
        masked = (train_cfg or {}).get('masked')
        if masked is not None:
            self._masked = MODELS.build(masked)
            self._masked.check(self)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor],
                              prefix: str, *args: Any) -> None:
        """Published files leave out what installed packages bring."""
        complete_from_packages(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def encode_images(self, inputs: Tensor) -> ImageFeatures:
        """Compute what does not depend on a sentence.

        Args:
            inputs (Tensor): ``N x 3 x H x W``, normalised.

        Returns:
            ImageFeatures: To be given to :meth:`segment`, as often as wanted.
        """
        if self._fuses:
            return self.backbone.encode_images(inputs)
        size = (inputs.shape[2], inputs.shape[3])
        return ImageFeatures(tuple(self.backbone(inputs)), size)

    def _fuse(self, image: ImageFeatures, language: LanguageFeatures,
              pairs: Pairs | None, **keep: bool) -> MultimodalFeatures:
        """What the head takes of images and sentences that belong together;
        ``keep`` as in the backbone's ``fuse``."""
        if self._fuses:
            features = self.backbone.fuse(image, language, pairs, **keep)
        else:
            features = _unfused(image, language, pairs, **keep)
        return self._decode_features(features)

    def _decode_features(self,
                         features: MultimodalFeatures) -> MultimodalFeatures:
        if not self.with_neck:
            return features
        return run_neck(self.neck, features)

    def extract_feat(self,
                     inputs: Tensor,
                     texts: Sequence[str],
                     pairs: Pairs | None = None,
                     **keep: bool) -> MultimodalFeatures:
        """Extract features of images and sentences.

        Args:
            inputs (Tensor): ``N x 3 x H x W``, normalised.
            texts (Sequence[str]): Sentences.
            pairs (Pairs, optional): ``B`` pairs of them. None means one to
                one.
            keep_visual (bool): Keep the maps before fusion.
            keep_attention (bool): Keep the attention of the fusions.

        Returns:
            MultimodalFeatures: ``B`` rows, as the head takes them.
        """
        language = self.language_encoder(list(texts))
        return self.fuse_images(inputs, language, pairs, **keep)

    def fuse_images(self,
                    inputs: Tensor,
                    language: LanguageFeatures,
                    pairs: Pairs | None = None,
                    **keep: bool) -> MultimodalFeatures:
        """As :meth:`extract_feat`, of sentences that are encoded already."""
        if not self._fuses:
            return self._fuse(
                self.encode_images(inputs), language, pairs, **keep)
        return self._decode_features(
            self.backbone(inputs, language, pairs, **keep))

    @staticmethod
    def _texts(data_samples: OptSampleList) -> list[str]:
        texts = []
        for sample in data_samples or [None]:
            if sample is None or 'text' not in sample.metainfo:
                raise ValueError(
                    'A data sample has no sentence: give the model data '
                    "samples whose metainfo holds 'text' (add it to meta_keys "
                    'of PackSegInputs).')
            texts.append(sample.metainfo['text'])
        return texts

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Compute the losses of a batch.

        Args:
            inputs (Tensor): ``B x 3 x H x W``, normalised.
            data_samples (list[SegDataSample]): With ``text`` and
                ``gt_sem_seg``.

        Returns:
            dict[str, Tensor]: Losses; those named 'loss' are summed. Those of
            ``auxiliary_losses`` begin with 'auxiliary_0.', ..., those of the
            second pass of ``train_cfg.masked`` with 'masked.'.

        Raises:
            FloatingPointError: A loss is NaN or infinite.
            ValueError: A sample has no mask.
        """
        if not all('gt_sem_seg' in sample for sample in data_samples):
            raise ValueError('A training sample has no mask: put LoadRefMask '
                             'after LoadRefImage in the training pipeline.')
        texts, pairs = self._texts(data_samples), None
        if (self.train_cfg or {}).get('share_images', False):
            inputs, pairs = share_images(inputs, data_samples)
        batch = (inputs, texts, pairs, data_samples)
        if self._masked is None:
            losses = self.plain_losses(*batch)
        else:
            losses = self._masked.losses(self, *batch)
        self._finite_loss.check(losses, data_samples)
        return losses

    def plain_losses(self, inputs: Tensor, texts: Sequence[str],
                     pairs: Pairs | None, data_samples: SampleList) -> dict:
        """Losses of one pass, see :meth:`loss`."""
        auxiliary = getattr(self, 'auxiliary_losses', ())
        features = self.extract_feat(
            inputs,
            texts,
            pairs,
            keep_visual=any(
                getattr(part, 'needs_visual', False) for part in auxiliary))
        losses = self._decode_head_forward_train(features, data_samples)
        if self.with_auxiliary_head:
            losses.update(
                self._auxiliary_head_forward_train(features, data_samples))
        for i, part in enumerate(auxiliary):
            losses.update(
                add_prefix(part(features, data_samples), f'auxiliary_{i}'))
        return losses

    def _forward(self,
                 inputs: Tensor,
                 data_samples: OptSampleList = None) -> Tensor:
        """Mask logits of a batch, ``B x C x H/4 x W/4``, not resized."""
        features = self.extract_feat(inputs, self._texts(data_samples))
        return self.decode_head.forward(features)

    def encode_decode(self, inputs: Tensor,
                      batch_img_metas: list[dict]) -> Tensor:
        """Mask logits at the input's size, ``B x C x H x W``.

        Args:
            inputs (Tensor): ``B x 3 x H x W``, normalised.
            batch_img_metas (list[dict]): Metainfo of ``B`` sentences.
        """
        texts = [meta['text'] for meta in batch_img_metas]
        features = self.extract_feat(inputs, texts)
        return self._predict(features, inputs.shape[2:]).logits

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """As ``encode_decode``: the whole image is always seen at once."""
        return self.encode_decode(inputs, batch_img_metas)

    def _predict(self, features: MultimodalFeatures,
                 size: Sequence[int]) -> Prediction:
        meta = dict(img_shape=tuple(size))
        predicted = self.decode_head.predict(features, [meta], self.test_cfg)
        if isinstance(predicted, Prediction):
            return predicted
        return Prediction(predicted, threshold=self.decode_head.threshold)

    def predict(self,
                inputs: Tensor | list[Tensor],
                data_samples: OptSampleList = None,
                options: PredictOptions | None = None) -> SampleList:
        """Segment what each sentence means.

        Args:
            inputs (Tensor | list[Tensor]): Normalised images,
                ``N x 3 x H x W``, or a list of ``3 x H x W`` of any sizes.
            data_samples (list[SegDataSample]): ``B`` samples with ``text`` and
                ``ori_shape``. Where several sentences speak of one image,
                ``image_index`` names its row in ``inputs``.
            options (PredictOptions, optional): What is wanted of this call.
                None takes what ``test_cfg`` says.

        Returns:
            list[SegDataSample]: The samples, see :meth:`segment`.
        """
        texts = self._texts(data_samples)
        rows = [
            sample.metainfo.get('image_index', i)
            for i, sample in enumerate(data_samples)
        ]
        options = options or PredictOptions.from_cfg(self.test_cfg)
        for indices, images, pairs in group_by_shape(inputs, rows):
            features = self.extract_feat(
                images, [texts[i] for i in indices],
                pairs,
                keep_attention=options.return_attention)
            self._write(features, images.shape[2:],
                        [data_samples[i] for i in indices], options)
        return data_samples

    def segment(self,
                image: ImageFeatures,
                data_samples: SampleList,
                pairs: Pairs | None = None,
                options: PredictOptions | None = None) -> SampleList:
        """Segment what sentences mean in images that are encoded already.

        Args:
            image (ImageFeatures): As :meth:`encode_images` gives it, of ``N``
                images.
            data_samples (list[SegDataSample]): ``B`` samples with ``text`` and
                ``ori_shape``.
            pairs (Pairs, optional): The image of each sample; its ``sentence``
                is left out, since each sample brings its own. None means one
                to one.
            options (PredictOptions, optional): What is wanted of this call.
                None takes what ``test_cfg`` says.

        Returns:
            list[SegDataSample]: The samples, with ``pred_sem_seg``
            (``1 x H x W``, int64, 1 = referent) and ``seg_logits``
            (``2 x H x W``, or ``1 x H x W`` of a head with one channel), on
            request ``mask_prior`` (``1 x H x W``, in 0..1) and
            ``word_attention`` (``T x H x W``, in 0..1; the words stand in the
            metainfo as ``tokens``) or, of a fusion that hears the whole
            sentence, ``sentence_attention`` (``1 x H x W``, in 0..1) and the
            metainfo ``channel_attention``. A head that predicts existence adds
            to the metainfo ``existence_score`` (float, 0..1) and
            ``pred_no_target`` (bool); where that is true the mask is empty,
            while ``seg_logits`` stay as they are. A head that predicts boxes
            adds ``pred_box``, x0, y0, x1, y1 in pixels.
        """
        options = options or PredictOptions.from_cfg(self.test_cfg)
        language = self.language_encoder(self._texts(data_samples))
        features = self._fuse(
            image, language, pairs, keep_attention=options.return_attention)
        return self._write(features, image.size, data_samples, options)

    def _write(self, features: MultimodalFeatures, size: Sequence[int],
               data_samples: SampleList,
               options: PredictOptions) -> SampleList:
        write_results(
            self._predict(features, size),
            data_samples,
            options,
            align_corners=self.align_corners)
        if options.return_attention:
            write_attention(features, data_samples, options, size,
                            self.language_encoder.tokens)
        return data_samples


def _unfused(image: ImageFeatures,
             language: LanguageFeatures,
             pairs: Pairs | None,
             keep_visual: bool = False,
             keep_attention: bool = False) -> MultimodalFeatures:
    """Maps of a backbone that ignores language, with the sentences beside."""
    if pairs is not None:
        image = image.select(pairs.image)
        language = language.select(pairs.sentence)
    return MultimodalFeatures(
        maps=image.maps,
        language=language,
        visual=image.maps if keep_visual else None,
        # No fusion has any yet, but a neck that uses words hears the wish.
        attention=(None, ) * len(image.maps) if keep_attention else None)
