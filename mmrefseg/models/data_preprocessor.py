# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from mmrefseg.registry import MODELS


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
            ValueError: A training batch holds images of different sizes.
        """
        images = data['inputs']
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
        list[tuple]: For each size: the sentences' numbers, a tensor of the
        images they speak of, and the row of each sentence's image in it, or
        None where sentences and images are one to one.
    """
    groups: dict = {}
    for sentence, row in enumerate(rows):
        groups.setdefault(tuple(images[row].shape), []).append(sentence)
    batches = []
    for sentences in groups.values():
        wanted = list(dict.fromkeys(rows[s] for s in sentences))
        place = {row: i for i, row in enumerate(wanted)}
        batch = torch.stack([images[row] for row in wanted])
        index = None
        if len(wanted) < len(sentences):
            index = torch.tensor([place[rows[s]] for s in sentences],
                                 device=batch.device)
        batches.append((sentences, batch, index))
    return batches


def share_images(images: Tensor, data_samples: Sequence) -> tuple:
    """Keep one of the images that several samples of a batch have in common.

    Args:
        images (Tensor): ``B x 3 x H x W``.
        data_samples (Sequence[SegDataSample]): ``B`` samples; those with the
            same ``img_path`` are taken to have the same image.

    Returns:
        tuple[Tensor, Tensor | None]: ``N x 3 x H x W``, and for each sample
        the row of its image, or None where all images differ.
    """
    rows: dict = {}
    paths = [sample.metainfo['img_path'] for sample in data_samples]
    for i, path in enumerate(paths):
        rows.setdefault(path, i)
    if len(rows) == len(paths):
        return images, None
    place = {path: n for n, path in enumerate(rows)}
    index = torch.tensor([place[path] for path in paths], device=images.device)
    return images[list(rows.values())], index
