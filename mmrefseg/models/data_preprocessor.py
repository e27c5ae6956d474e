# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from mmrefseg.registry import MODELS
from mmrefseg.structures import Pairs


@MODELS.register_module()
class RefSegDataPreProcessor(SegDataPreProcessor):
    """Normalises images; never pads images of different sizes together.

    Padding would change instance norms, the softmax over pixels and the
    coordinates, hence the mask. Images of one size are stacked; at test a
    batch of several sizes becomes a list, which the segmentor runs size by
    size.

    Args:
        mean (Sequence[float], optional): Pixel mean of R, G, B, in 0..255.
        std (Sequence[float], optional): Pixel deviation of R, G, B.
        bgr_to_rgb (bool): Whether images come as BGR. Defaults to True.

    Example:
        >>> import torch
        >>> from mmrefseg.models import RefSegDataPreProcessor
        >>> preprocessor = RefSegDataPreProcessor(mean=[128] * 3, std=[64] * 3)
        >>> image = torch.zeros(3, 8, 8, dtype=torch.uint8)
        >>> preprocessor(dict(inputs=[image], data_samples=[]))['inputs'][0, 0]
        tensor([[-2., ...
    """

    def __init__(self,
                 *,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 bgr_to_rgb: bool = True) -> None:
        super().__init__(
            mean=mean, std=std, size_divisor=1, bgr_to_rgb=bgr_to_rgb)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Move to the device, normalise, stack.

        Args:
            data (dict): ``inputs``, a list of uint8 images ``3 x H x W``, and
                ``data_samples``.
            training (bool): Whether the batch is trained on.

        Returns:
            dict: ``inputs``, float ``B x 3 x H x W``, or at test a list of
            ``3 x H x W`` when sizes differ; ``data_samples``.

        Raises:
            ValueError: An input is no single image, or a training batch holds
                images of different sizes.
        """
        images = data['inputs']
        for image in images:
            if image.dim() != 3:
                raise ValueError(
                    f'An input has shape {tuple(image.shape)}: give one image '
                    'of 3 x H x W (frames of a clip one by one).')
        shapes = {tuple(image.shape[-2:]) for image in images}
        if len(shapes) == 1:
            return super().forward(data, training)
        if training:
            raise ValueError(
                'A training batch holds images of different sizes, '
                f'{sorted(shapes)}: give the pipeline a Resize with '
                'keep_ratio=False.')
        singles: list[Tensor] = [
            super(RefSegDataPreProcessor, self).forward(
                dict(inputs=[image]), training=False)['inputs'][0]
            for image in images
        ]
        samples = self.cast_data(data.get('data_samples'))
        return dict(inputs=singles, data_samples=samples)


def group_by_shape(images: Tensor | Sequence[Tensor],
                   rows: Sequence[int]) -> list[tuple]:
    """Sort sentences into batches of images of one size.

    Args:
        images (Tensor | Sequence[Tensor]): ``N x 3 x H x W``, or N images
            ``3 x H x W`` of any sizes.
        rows (Sequence[int]): For each sentence the row of its image.

    Returns:
        list[tuple]: For each size: the sentences' indices, a tensor of the
        images they speak of, and the pairs of the two, or None where they are
        one to one.
    """
    groups: dict = {}
    for sentence, row in enumerate(rows):
        groups.setdefault(tuple(images[row].shape), []).append(sentence)
    batches = []
    for sentences in groups.values():
        unique, pairs = _pair([rows[s] for s in sentences], images[0].device)
        batches.append(
            (sentences, torch.stack([images[row] for row in unique]), pairs))
    return batches


def share_images(images: Tensor, data_samples: Sequence) -> tuple:
    """Keep one of the images that several samples of a batch have in common.

    Args:
        images (Tensor): ``B x 3 x H x W``.
        data_samples (Sequence[SegDataSample]): ``B`` samples; those with the
            same ``img_path`` are taken to have the same image.

    Returns:
        tuple[Tensor, Pairs | None]: ``N x 3 x H x W``, and the image of each
        sample, or None where all images differ.
    """
    paths = [sample.metainfo['img_path'] for sample in data_samples]
    unique, pairs = _pair(paths, images.device)
    if pairs is None:
        return images, None
    return images[[paths.index(path) for path in unique]], pairs


def _pair(images: Sequence, device: torch.device) -> tuple:
    """The images of several sentences, each once, and the pairs of the two,
    or None where each sentence has an image of its own."""
    unique = list(dict.fromkeys(images))
    if len(unique) == len(images):
        return unique, None
    position = {image: i for i, image in enumerate(unique)}
    index = torch.tensor([position[image] for image in images], device=device)
    return unique, Pairs(image=index)
