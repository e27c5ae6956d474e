# Licensed under the Apache License, Version 2.0.
"""Pictures of the samples that a dataset gives."""

import os.path as osp

import numpy as np
import torch
from mmengine.dataset import BaseDataset

from mmrefseg.visualization import draw_panels, draw_referring_overlay
from mmrefseg.visualization.files import sample_name, save_picture


def spread(length: int, num: int, seed: int | None = None) -> list[int]:
    """Choose ``num`` of ``length`` indices, ascending: evenly spread, or at
    random with a seed. -1, or more than there are, means all."""
    if num < 0 or num >= length:
        return list(range(length))
    if seed is None:
        return ((np.arange(num) + 0.5) * length / num).astype(int).tolist()
    chosen = np.random.default_rng(seed).choice(length, num, replace=False)
    return sorted(chosen.tolist())


def draw_dataset_item(item: dict, bgr: bool = True) -> np.ndarray:
    """Draw a packed item as the model will get it; ``bgr`` says whether its
    ``inputs`` (3xHxW, uint8) are BGR, as MMCV reads images."""
    image = item['inputs'].permute(1, 2, 0).to(torch.uint8).numpy()
    data_sample = item['data_samples']
    mask = data_sample.gt_sem_seg.data.squeeze(0).numpy() == 1
    return draw_referring_overlay(
        image[..., ::-1] if bgr else image,
        mask,
        data_sample.metainfo.get('text', ''),
        alpha=0.15,  # sentences speak of colours: keep them visible
        legend=False)


def browse_dataset(dataset: BaseDataset,
                   out_dir: str,
                   num: int = 20,
                   seed: int | None = None,
                   bgr: bool = True) -> list[str]:
    """Draw samples of a dataset, after its pipeline, with sentence and mask.

    Writes one picture per sample, and ``overview.png`` with up to 24 of them.

    Args:
        dataset (BaseDataset): Gives packed items.
        out_dir (str): Folder for the pictures.
        num (int): How many, evenly spread; -1 draws all. Defaults to 20.
        seed (int, optional): Choose them at random instead. Defaults to
            None.
        bgr (bool): Whether the pipeline gives BGR. Defaults to True.

    Returns:
        list[str]: The files written, the overview first.
    """
    indices = spread(len(dataset), num, seed)
    if not indices:
        raise ValueError('There is nothing to draw: the dataset is empty, or '
                         f'num={num}.')
    files: list[str] = []
    thumbs: list[tuple[str, np.ndarray]] = []
    for index in indices:
        item = dataset[index]
        picture = draw_dataset_item(item, bgr)
        name = f"{index:06d}_{sample_name(item['data_samples'])}"
        files.append(osp.join(out_dir, f'{name}.png'))
        save_picture(picture, files[-1])
        if len(thumbs) < 24:
            thumbs.append((f'{index}', picture))
    overview = osp.join(out_dir, 'overview.png')
    save_picture(draw_panels(thumbs, columns=min(4, len(thumbs))), overview)
    return [overview] + files
