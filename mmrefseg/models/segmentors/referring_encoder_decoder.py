# Licensed under the Apache License, Version 2.0.
import copy
from collections.abc import Sequence
from dataclasses import replace

from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures
from ..data_preprocessor import group_by_shape, share_images
from .explain import record_word_attention
from .finite_loss import FiniteLossGuard


@MODELS.register_module()
class ReferringEncoderDecoder(EncoderDecoder):
    """Image and sentence in, the mask of what the sentence means out.

    It wires a language encoder, a backbone, a neck and a head; each of the
    last three may use language or ignore it, so stock parts of mmseg fit.
    Sentences come as ``text`` in the metainfo of the data samples.

    Args:
        backbone (dict): Backbone. One with ``uses_language`` is called with
            the images and the language features, any other with the images.
        decode_head (dict): Head, with ``out_channels=2``.
        language_encoder (dict, optional): Language encoder. None only when
            features are given to the parts by hand, as FLOP counting does.
        neck (dict, optional): Neck. Defaults to None.
        auxiliary_head (dict | list[dict], optional): As in mmseg.
        train_cfg (dict, optional): ``share_images=True`` runs samples of one
            ``img_path`` as one image up to the first fusion; right only
            where the pipeline gives an image the same way each time.
        test_cfg (dict): ``mode='whole'``; ``output_size`` is 'original'
            (masks at the size of the image) or 'input' (at the size that the
            network saw); ``return_prior`` and ``return_attention`` add
            ``mask_prior`` and ``word_attention`` to the results.
        data_preprocessor (dict, optional): Data preprocessor.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``test_cfg`` asks for sliding windows (in a crop, left is
            no longer left) or for an unknown ``output_size``; the head does
            not give two channels.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 decode_head: dict,
                 language_encoder: dict | None = None,
                 neck: dict | None = None,
                 auxiliary_head: dict | list | None = None,
                 train_cfg: dict | None = None,
                 test_cfg: dict = dict(mode='whole', output_size='original'),
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        if test_cfg.get('mode', 'whole') != 'whole':
            raise ValueError(
                f"test_cfg.mode={test_cfg['mode']!r} is refused: in a crop "
                "left is no longer left. Use mode='whole'.")
        if test_cfg.get('output_size', 'original') not in ('original',
                                                           'input'):
            raise ValueError("test_cfg.output_size is 'original' or 'input', "
                             f"not {test_cfg['output_size']!r}.")
        encoder = None
        backbone = copy.deepcopy(backbone)
        if language_encoder is not None:
            encoder = MODELS.build(language_encoder)
            kind = backbone['type']
            kind = MODELS.get(kind) if isinstance(kind, str) else kind
            if getattr(kind, 'uses_language', False):
                backbone.setdefault('language_channels', encoder.out_channels)
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            auxiliary_head=auxiliary_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg)
        if self.out_channels != 2:
            raise ValueError(
                f'decode_head gives out_channels={self.out_channels}, but a '
                'mask needs two, background and referent: set its '
                'num_classes=2 and out_channels=2.')
        if encoder is not None:
            self.language_encoder = encoder
        self._finite_loss = FiniteLossGuard()

    def extract_feat(self,
                     inputs: Tensor,
                     texts: Sequence[str],
                     image_index: Tensor | None = None
                     ) -> MultimodalFeatures:
        """Extract features of images and sentences.

        Args:
            inputs (Tensor): ``N x 3 x H x W``, normalised.
            texts (Sequence[str]): ``B`` sentences.
            image_index (Tensor, optional): ``B``, int64, the image of each
                sentence. None means one to one.

        Returns:
            MultimodalFeatures: Maps that the head takes.
        """
        language = self.language_encoder(list(texts))
        language = replace(language, image_index=image_index)
        if getattr(self.backbone, 'uses_language', False):
            features = self.backbone(inputs, language)
        else:
            maps = tuple(self.backbone(inputs))
            if image_index is not None:
                maps = tuple(x[image_index] for x in maps)
            features = MultimodalFeatures(maps=maps, language=language)
        if self.with_neck:
            decoded = self.neck(features)
            if not isinstance(decoded, MultimodalFeatures):
                decoded = replace(features, maps=tuple(decoded))
            features = decoded
        return features

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
            dict[str, Tensor]: Losses; those named 'loss' are summed.

        Raises:
            FloatingPointError: A loss is NaN or infinite.
            ValueError: A sample has no mask.
        """
        if not all('gt_sem_seg' in sample for sample in data_samples):
            raise ValueError('A training sample has no mask: put LoadRefMask '
                             'after LoadRefImage in the training pipeline.')
        texts, index = self._texts(data_samples), None
        if (self.train_cfg or {}).get('share_images', False):
            inputs, index = share_images(inputs, data_samples)
        features = self.extract_feat(inputs, texts, index)
        losses = self._decode_head_forward_train(features, data_samples)
        if self.with_auxiliary_head:
            losses.update(
                self._auxiliary_head_forward_train(features, data_samples))
        self._finite_loss.check(losses, data_samples)
        return losses

    def _forward(self,
                 inputs: Tensor,
                 data_samples: OptSampleList = None) -> Tensor:
        """Mask logits of a batch, ``B x 2 x H/4 x W/4``, not resized."""
        features = self.extract_feat(inputs, self._texts(data_samples))
        return self.decode_head.forward(features)

    def encode_decode(self,
                      inputs: Tensor,
                      batch_img_metas: list[dict],
                      image_index: Tensor | None = None) -> Tensor:
        """Mask logits at the input's size, ``B x 2 x H x W``.

        Args:
            inputs (Tensor): ``N x 3 x H x W``, normalised.
            batch_img_metas (list[dict]): Metainfo of ``B`` sentences.
            image_index (Tensor, optional): The image of each sentence.
        """
        texts = [meta['text'] for meta in batch_img_metas]
        features = self.extract_feat(inputs, texts, image_index)
        return self._decode(features, inputs)

    def _decode(self, features: MultimodalFeatures, inputs: Tensor) -> Tensor:
        meta = dict(img_shape=tuple(inputs.shape[2:]))
        return self.decode_head.predict(features, [meta], self.test_cfg)

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """As ``encode_decode``: the whole image is always seen at once."""
        return self.encode_decode(inputs, batch_img_metas)

    def predict(self,
                inputs: Tensor | list[Tensor],
                data_samples: OptSampleList = None) -> SampleList:
        """Segment what each sentence means.

        Args:
            inputs (Tensor | list[Tensor]): Normalised images,
                ``N x 3 x H x W``, or a list of ``3 x H x W`` of any sizes.
            data_samples (list[SegDataSample]): ``B`` samples with ``text`` and
                ``ori_shape``. Where several sentences speak of one image,
                ``image_index`` names its row in ``inputs``.

        Returns:
            list[SegDataSample]: The samples, with ``pred_sem_seg``
            (``1 x H x W``, 1 = referent) and ``seg_logits``
            (``2 x H x W``), on request ``mask_prior`` (``1 x H x W``, in
            0..1) and ``word_attention`` (``T x H x W``, in 0..1; the words
            stand in the metainfo as ``tokens``). A head that predicts
            existence adds to the metainfo ``existence_score`` (float, 0..1)
            and ``pred_no_target`` (bool); where that is true the mask is
            empty, while ``seg_logits`` stay as they are.
        """
        texts = self._texts(data_samples)
        rows = [
            sample.metainfo.get('image_index', i)
            for i, sample in enumerate(data_samples)
        ]
        for numbers, images, index in group_by_shape(inputs, rows):
            samples = [data_samples[i] for i in numbers]
            said = [texts[i] for i in numbers]
            with record_word_attention(
                    self, enabled=self._asked('return_attention')) as heard:
                features = self.extract_feat(images, said, index)
            logits = self._decode(features, images)
            self.postprocess_result(logits, samples)
            self._add_existence(features, samples)
            if self._asked('return_prior'):
                self._add_prior(features, images, samples)
            for sample, attention, text in zip(samples, heard, said):
                self._add_attention(sample, attention, text)
        return data_samples

    def _asked(self, what: str) -> bool:
        return bool(self.test_cfg.get(what, False))

    def _output_size(self, sample, inputs_size: Sequence[int]) -> tuple:
        if self.test_cfg.get('output_size', 'original') == 'input':
            return tuple(inputs_size)
        return tuple(sample.metainfo['ori_shape'][:2])

    def postprocess_result(self,
                           seg_logits: Tensor,
                           data_samples: OptSampleList = None) -> SampleList:
        """Write masks into the data samples.

        Args:
            seg_logits (Tensor): ``B x 2 x H x W``, at the input's size.
            data_samples (list[SegDataSample]): With ``ori_shape``.

        Returns:
            list[SegDataSample]: The same samples.
        """
        for logits, sample in zip(seg_logits, data_samples):
            size = self._output_size(sample, logits.shape[1:])
            logits = resize(
                logits[None].float(),
                size=size,
                mode='bilinear',
                align_corners=self.align_corners,
                warning=False)[0]
            sample.set_data({
                'seg_logits': PixelData(data=logits),
                'pred_sem_seg':
                PixelData(data=logits.argmax(dim=0, keepdim=True)),
            })
        return data_samples

    def _add_existence(self, features: MultimodalFeatures,
                       samples: SampleList) -> None:
        """Say whether anything is there, and empty the masks where not."""
        existence = getattr(self.decode_head, 'existence', None)
        if existence is None:
            return
        for score, sample in zip(
                existence.predict(features).tolist(), samples):
            nothing = score < existence.threshold
            sample.set_metainfo(
                dict(existence_score=score, pred_no_target=nothing))
            if nothing:
                sample.pred_sem_seg.data.zero_()

    def _add_prior(self, features: MultimodalFeatures, images: Tensor,
                   samples: SampleList) -> None:
        if not hasattr(self.decode_head, 'predict_prior'):
            return
        priors = self.decode_head.predict_prior(features, images.shape[2:])
        for prior, sample in zip(priors, samples):
            size = self._output_size(sample, prior.shape)
            prior = resize(prior[None, None], size=size, mode='bilinear')[0]
            sample.set_data({'mask_prior': PixelData(data=prior)})

    def _add_attention(self, sample, attention: Tensor, text: str) -> None:
        tokens = self.language_encoder.tokens(text)
        size = self._output_size(sample, attention.shape[1:])
        attention = resize(
            attention[None, :len(tokens)].float(), size=size,
            mode='bilinear')[0]
        sample.set_data({'word_attention': PixelData(data=attention)})
        sample.set_metainfo(dict(tokens=tokens))
