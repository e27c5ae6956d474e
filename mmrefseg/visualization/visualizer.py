# Licensed under the Apache License, Version 2.0.
"""The visualizer of referring segmentation."""

import logging

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from mmrefseg.registry import VISUALIZERS
from .attention_panels import draw_sentence_attention, draw_word_attention
from .files import file_safe, save_picture, sentence_tag
from .overlay import draw_referring_overlay, drawing_size, resize_image, to_rgb
from .panels import draw_color_bar, draw_heat_map, hstack, vstack


@VISUALIZERS.register_module()
class RefSegVisualizer(Visualizer):
    """Draws a sentence and its referent: the sentence in a banner, the mask
    predicted tinted and outlined, the true mask as a dashed outline; where
    the sample has them, the mask prior and the attention of each word, or of
    the whole sentence.

    Pictures go to the ``vis_backends`` (``LocalVisBackend``,
    ``TensorboardVisBackend``, ...) under names that hold the image and the
    sentence, so that the sentences of an image do not overwrite each other.

    Args:
        name (str): Name of the instance. Defaults to 'visualizer'.
        vis_backends (list[dict], optional): As in MMEngine.
        save_dir (str, optional): Where the backends write.
        alpha (float): Share of the tint, 0 to 1. Defaults to 0.3.
        dim (float): How much darker the surroundings of the prediction are,
            0 to 1. Defaults to 0.25.
        min_side (int): Smaller images are enlarged before drawing. Defaults
            to 448.
        max_side (int, optional): Larger images are reduced; None keeps their
            size. Defaults to 1600.
        draw_prior (bool): Whether ``mask_prior`` of a sample is drawn beside
            the picture; the model gives it with
            ``test_cfg=dict(return_prior=True)``. Defaults to False.
        draw_attention (bool): Whether ``word_attention`` of a sample is
            drawn, one panel per word, or ``sentence_attention`` and
            ``channel_attention``; the model gives them with
            ``test_cfg=dict(return_attention=True)``. Defaults to False.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from mmengine.structures import BaseDataElement, PixelData
        >>> from mmrefseg.visualization import RefSegVisualizer
        >>> mask = torch.zeros(1, 60, 90, dtype=torch.int64)
        >>> mask[:, 10:30, 20:50] = 1
        >>> sample = BaseDataElement(metainfo=dict(text='the left man'))
        >>> sample.set_data(dict(pred_sem_seg=PixelData(data=mask)))
        >>> image = np.full((60, 90, 3), 128, np.uint8)
        >>> picture = RefSegVisualizer().draw_sample(image, sample)
        >>> picture.shape[1:], picture.dtype
        ((672, 3), dtype('uint8'))
    """

    def __init__(self,
                 name: str = 'visualizer',
                 *,
                 vis_backends: list[dict] | None = None,
                 save_dir: str | None = None,
                 alpha: float = 0.3,
                 dim: float = 0.25,
                 min_side: int = 448,
                 max_side: int | None = 1600,
                 draw_prior: bool = False,
                 draw_attention: bool = False) -> None:
        super().__init__(
            name=name, vis_backends=vis_backends, save_dir=save_dir)
        self.alpha = alpha
        self.dim = dim
        self.min_side = min_side
        self.max_side = max_side
        self.draw_prior = draw_prior
        self.draw_attention = draw_attention
        self._absent: dict[str, object] = {}  # keys that were reported

    def draw_sample(self,
                    image: np.ndarray,
                    data_sample: BaseDataElement | None = None,
                    draw_gt: bool = True,
                    draw_pred: bool = True,
                    draw_prior: bool | None = None,
                    draw_attention: bool | None = None) -> np.ndarray:
        """Draw a sample and return the picture.

        Args:
            image (np.ndarray): HxWx3 RGB (or HxW grey), uint8.
            data_sample (BaseDataElement, optional): ``pred_sem_seg``,
                ``gt_sem_seg``, ``mask_prior``, ``word_attention`` and
                ``sentence_attention`` are drawn if present, whatever their
                sizes; ``text`` and ``channel_attention`` are read from the
                metainfo.
            draw_gt (bool): Whether to draw the true mask.
            draw_pred (bool): Whether to draw the prediction.
            draw_prior (bool, optional): Overrides the constructor's.
            draw_attention (bool, optional): Overrides the constructor's.

        Returns:
            np.ndarray: RGB, uint8.
        """
        if data_sample is None:
            data_sample = BaseDataElement()
        prior = self.draw_prior if draw_prior is None else draw_prior
        words = (
            self.draw_attention if draw_attention is None else draw_attention)
        main = draw_referring_overlay(
            image,
            _plane(data_sample, 'pred_sem_seg') if draw_pred else None,
            data_sample.metainfo.get('text'),
            _plane(data_sample, 'gt_sem_seg') if draw_gt else None,
            alpha=self.alpha,
            dim=self.dim,
            min_side=self.min_side,
            max_side=self.max_side)
        if prior and self._has(data_sample, 'mask_prior', 'return_prior'):
            main = hstack(main,
                          self._prior_panel(image, data_sample, main.shape[0]))
        if words:
            main = self._with_attention(main, image, data_sample)
        return main

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: BaseDataElement | None = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       draw_prior: bool | None = None,
                       draw_attention: bool | None = None,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: str | None = None,
                       step: int = 0) -> None:
        """Draw a sample and show or store the picture.

        Args:
            name (str): Name of the picture; the sentence's ids are appended
                unless they are in it.
            image, data_sample, draw_gt, draw_pred, draw_prior,
                draw_attention: See :meth:`draw_sample`.
            show (bool): Whether to open a window. Defaults to False.
            wait_time (float): Seconds that the window stays; 0 means until a
                key is pressed. Defaults to 0.
            out_file (str, optional): A file for the picture, instead of the
                backends.
            step (int): The step that the backends note. Defaults to 0.

        Raises:
            OSError: ``out_file`` cannot be written.
        """
        picture = self.draw_sample(image, data_sample, draw_gt, draw_pred,
                                   draw_prior, draw_attention)
        tag = '' if data_sample is None else sentence_tag(data_sample)
        if tag and tag not in name:
            name = f'{name}_{tag}'
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            save_picture(picture, out_file)
        else:
            self.add_image(file_safe(name), picture, step)

    def _has(self, data_sample: BaseDataElement, key: str,
             option: str) -> bool:
        if key in data_sample:
            return True
        call = object()
        # dict.setdefault is atomic: of several threads one reports
        if self._absent.setdefault(key, call) is call:
            print_log(
                f'Asked to draw "{key}", but the samples carry none. Set '
                f'`model.test_cfg.{option}=True` with a model that has it.',
                logger='current',
                level=logging.WARNING)
        return False

    def _prior_panel(self, image: np.ndarray, data_sample: BaseDataElement,
                     height: int) -> np.ndarray:
        """The prior, as high as the picture beside it."""
        heat = _numpy(data_sample.mask_prior.data).squeeze()
        image = to_rgb(image)
        image = resize_image(
            image,
            drawing_size(image.shape[0], image.shape[1], self.min_side,
                         self.max_side))
        bar = draw_color_bar(
            image.shape[1],
            'mask prior',
            height=height - image.shape[0],
            size=max(13, round(image.shape[1] / 45)))
        panel = np.concatenate([bar, draw_heat_map(image, heat)])
        return panel[-height:]

    def _with_attention(self, main: np.ndarray, image: np.ndarray,
                        data_sample: BaseDataElement) -> np.ndarray:
        """The attention below the picture: of each word, or of the whole
        sentence where the fusion hears no single words."""
        image, width = to_rgb(image), main.shape[1]
        channels = data_sample.metainfo.get('channel_attention')
        if 'sentence_attention' in data_sample or channels is not None:
            places = None
            if 'sentence_attention' in data_sample:
                places = _numpy(data_sample.sentence_attention.data)
            panels = draw_sentence_attention(image, places, channels, width)
        elif self._has(data_sample, 'word_attention', 'return_attention'):
            attention = data_sample.word_attention
            tokens = attention.metainfo.get('tokens')
            if tokens is None:
                tokens = data_sample.metainfo.get('tokens')
            panels = draw_word_attention(image, _numpy(attention.data), tokens,
                                         width)
        else:
            return main
        return vstack([main, panels])


def _numpy(data: np.ndarray | torch.Tensor) -> np.ndarray:
    if isinstance(data, torch.Tensor):
        data = data.detach().cpu()
        data = (data.float() if data.is_floating_point() else data).numpy()
    return data


def _plane(data_sample: BaseDataElement, key: str) -> np.ndarray | None:
    """HxW bool of a 1xHxW label map, true where the label is 1."""
    if key not in data_sample:
        return None
    labels = _numpy(data_sample.get(key).data)
    return labels.reshape(labels.shape[-2:]) == 1
