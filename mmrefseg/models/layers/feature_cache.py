# Licensed under the Apache License, Version 2.0.
"""Maps of frozen backbones, computed once for each image."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from mmrefseg.fileio.atomic import write_atomically

Maps = tuple[Tensor, ...]


class FeatureCache:
    """Keeps maps of images in float16, in memory or in a folder.

    An image is known by its pixels, so a set whose images do not change from
    epoch to epoch is computed once; several runs can share a folder. Whatever
    else the maps depend on, weights above all, goes into ``key``.

    Args:
        folder (str, optional): Where files are kept. None keeps maps in
            memory: 0.6 MB for each image of 320 x 320 in EfficientNet-Lite2
            from stride 8 on.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._kept: dict[str, Maps] = {}

    def __len__(self) -> int:
        if self.folder is None:
            return len(self._kept)
        return sum(
            name.endswith('.safetensors') for name in os.listdir(self.folder))

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        self._kept.clear()

    def _read(self, name: str) -> Maps | None:
        if self.folder is None:
            return self._kept.get(name)
        path = self.folder / f'{name}.safetensors'
        try:
            maps = load_file(path)
        except FileNotFoundError:
            return None
        return tuple(maps[str(i)] for i in range(len(maps)))

    def _write(self, name: str, maps: Maps) -> None:
        if self.folder is None:
            self._kept[name] = maps
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            self.folder / f'{name}.safetensors',
            save({str(i): x.contiguous() for i, x in enumerate(maps)}))

    def get(self, images: Tensor, compute: Callable[[Tensor], Maps], *,
            key: str) -> Maps:
        """Maps of images, computed for those that are not known yet.

        Args:
            images (Tensor): ``N x 3 x H x W``.
            compute (Callable): Gives the maps of a batch of images.
            key (str): What else they depend on.

        Returns:
            tuple[Tensor]: Each ``N x C_i x H_i x W_i``, rounded to float16,
            of the type and on the device of the images.
        """
        rows: list[Maps] = []
        for image in images:
            digest = hashlib.sha1(key.encode())
            digest.update(str(tuple(image.shape)).encode())
            digest.update(image.float().cpu().numpy().tobytes())
            name = digest.hexdigest()
            maps = self._read(name)
            if maps is None:
                maps = tuple(x[0].half().cpu() for x in compute(image[None]))
                self._write(name, maps)
            rows.append(maps)
        return tuple(
            torch.stack(same).to(images.device, images.dtype)
            for same in zip(*rows))
