# Licensed under the Apache License, Version 2.0.
"""One composition: a photo, changed, with objects of other photos on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..coco_file import Instances
from ..layout import draw
from .canvas import Canvas, CanvasObject, soften
from .photo_changes import change_colours, fill_around, warp_mask, zoom_matrix

# Of its own photo; smaller cut-outs are unsharp, larger ones hide all else.
_SOURCE_AREA = (0.006, 0.5)
# Of the canvas.
_PASTED_AREA = (0.01, 0.35)
_MAX_ENLARGEMENT = 2.0
_HIDES_AT_MOST = 0.55
_PLACES = 8
# So often a pasted object is of a category that the photo has already.
_AGAIN = 0.5


@dataclass(frozen=True)
class ComposeOptions:
    """What a composition varies.

    Attributes:
        size (int): Longer side of the compositions, pixels.
        max_pasted (int): Objects pasted on a photo, at most.
        zoom (tuple[float, float]): Range of the zoom.
        paste, flip, colour, scale (bool): Whether objects are pasted; whether
            photos and objects are mirrored; whether colours are changed;
            whether photos and objects are scaled and cropped.

    Raises:
        ValueError: A number out of range.
    """
    size: int = 480
    max_pasted: int = 4
    zoom: tuple[float, float] = (0.9, 1.7)
    paste: bool = True
    flip: bool = True
    colour: bool = True
    scale: bool = True

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 4096 or not 0 <= self.max_pasted <= 20 or (
                not 0.1 <= self.zoom[0] <= self.zoom[1] <= 10):
            raise ValueError(
                'Compositions need a size of 32 to 4096, 0 to 20 pasted '
                'objects and a zoom within 0.1 to 10; got '
                f'size={self.size}, max_pasted={self.max_pasted}, '
                f'zoom={self.zoom}.')


class Composer:
    """Makes compositions (copy-paste, Ghiasi et al., CVPR 2021,
    arXiv:2012.07177; with soft edges, Dwibedi et al., ICCV 2017,
    arXiv:1708.01642).

    Args:
        instances (Instances): The photos.
        folder (str | Path): That their file names start from.
        options (ComposeOptions): What to vary.

    Raises:
        ValueError: There is no photo.
    """

    def __init__(self, instances: Instances, folder: str | Path,
                 options: ComposeOptions) -> None:
        if not instances.images:
            raise ValueError('There is no photo to compose from.')
        self.instances = instances
        self.folder = Path(folder)
        self.options = options
        self.images = {image['id']: image for image in instances.images}
        self.sources = self._find_sources()
        self._categories = list(self.sources)
        # Twice as many objects to choose from, 1.4 times as often chosen.
        counts = np.array([len(x) for x in self.sources.values()], float)
        self._weights = counts**0.5 / (counts**0.5).sum()

    def _find_sources(self) -> dict[Any, list[tuple[Any, int]]]:
        """Of each category, the objects worth cutting out."""
        whole: dict[Any, list[tuple[Any, int]]] = {}
        cut: dict[Any, list[tuple[Any, int]]] = {}
        for image in self.instances.images:
            width, height = image['width'], image['height']
            for number, each in enumerate(
                    self.instances.annotations[image['id']]):
                share = each.get('area', 0) / (width * height)
                if each.get('iscrowd', 0) or 'bbox' not in each or not (
                        _SOURCE_AREA[0] <= share <= _SOURCE_AREA[1]):
                    continue
                x, y, w, h = each['bbox']
                inside = (x > 2 and y > 2 and x + w < width - 2
                          and y + h < height - 2)
                (whole if inside else cut).setdefault(
                    each['category_id'], []).append((image['id'], number))
        # What the photo's border cuts is used only where nothing else is.
        order = [x['id'] for x in self.instances.categories]
        return {
            x: whole.get(x) or cut[x]
            for x in order if x in whole or x in cut
        }

    def read(self, image: Mapping[str, Any]) -> np.ndarray:
        """The pixels of a photo, as it was annotated.

        Raises:
            FileNotFoundError: It is not there, or no image.
            ValueError: It is of another size.
        """
        path = self.folder / image['file_name']
        pixels = cv2.imread(
            str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise FileNotFoundError(
                f'{path} is not there, or no image: give the folder that the '
                'file names of the instances file start from.')
        if pixels.shape[:2] != (image['height'], image['width']):
            raise ValueError(
                f'{path} is {pixels.shape[0]} x {pixels.shape[1]} (height x '
                f'width), but annotated as {image["height"]} x '
                f'{image["width"]}.')
        return pixels

    def _draw(self, image: Mapping[str, Any],
              annotation: Mapping[str, Any]) -> np.ndarray:
        return draw(annotation, image['height'], image['width'])

    def compose(
        self, index: int, seed: int
    ) -> tuple[np.ndarray, list[CanvasObject], dict[str, Any]]:
        """A composition, which depends on (seed, index) alone.

        Args:
            index (int): Number of the composition.
            seed (int): Of the set.

        Returns:
            tuple: Image (``H x W x 3``, uint8, BGR); its objects; the record
            of the photo that it was made from, with ``quality``, that of the
            JPEG to write.
        """
        rng = np.random.default_rng([seed, index])
        options = self.options
        images = self.instances.images
        background = images[int(rng.integers(len(images)))]
        canvas = self._background(background, rng)
        number = int(rng.integers(options.max_pasted + 1))
        for _ in range(number if options.paste and self.sources else 0):
            self._paste(canvas, rng)
        image = canvas.image
        if options.colour:
            image = change_colours(image, rng)
        quality = int(rng.integers(45, 96)) if options.colour else 95
        return image, canvas.settled(), dict(background, quality=quality)

    def _background(self, image: Mapping[str, Any],
                    rng: np.random.Generator) -> Canvas:
        options = self.options
        pixels = self.read(image)
        width, height = image['width'], image['height']
        factor = options.size / max(width, height)
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        zoom = 1.
        if options.scale and rng.random() < 0.8:
            zoom = float(np.exp(rng.uniform(*np.log(options.zoom))))
        flip = options.flip and bool(rng.random() < 0.5)
        matrix = zoom_matrix(width, height, size, zoom, flip, rng)
        around = fill_around(pixels, size, rng)
        area = abs(matrix[0, 0] * matrix[1, 1])
        if area < 0.5:  # warping alone would alias
            pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 / area**0.5)
        canvas = cv2.warpAffine(
            pixels,
            matrix,
            size,
            dst=around,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT)
        objects = []
        for each in self.instances.annotations[image['id']]:
            mask = self._draw(image, each)
            objects.append(
                CanvasObject(each['category_id'],
                             warp_mask(mask, matrix, size),
                             float(mask.sum()) * area,
                             bool(each.get('iscrowd', 0)), each['id']))
        return Canvas(canvas, objects)

    def _choose(self, canvas: Canvas,
                rng: np.random.Generator) -> tuple[Any, int]:
        """An object to paste: rare categories more often than they are there,
        and often one that the photo has already."""
        present = [
            x for x in dict.fromkeys(
                each.category_id for each in canvas.objects
                if not each.crowd and each.mask.mean() > 0.004)
            if x in self.sources
        ]
        if present and rng.random() < _AGAIN:
            category = present[int(rng.integers(len(present)))]
        else:
            category = self._categories[int(
                rng.choice(len(self._categories), p=self._weights))]
        choices = self.sources[category]
        return choices[int(rng.integers(len(choices)))]

    def _paste(self, canvas: Canvas, rng: np.random.Generator) -> None:
        options = self.options
        image_id, number = self._choose(canvas, rng)
        image = self.images[image_id]
        annotation = self.instances.annotations[image_id][number]
        mask = self._draw(image, annotation)
        ys, xs = np.nonzero(mask)
        if not len(ys):
            return
        height, width = canvas.image.shape[:2]
        own_share = len(ys) / mask.size
        share = own_share * (rng.uniform(0.5, 1.6) if options.scale else 1.)
        share = float(np.clip(share, *_PASTED_AREA))
        scale = (share * width * height / len(ys))**0.5
        scale = min(scale, _MAX_ENLARGEMENT)
        flip = -1 if options.flip and rng.random() < 0.5 else 1
        x0, x1, y0, y1 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        half = np.array([x1 - x0, y1 - y0]) * scale / 2
        angle = np.deg2rad(rng.normal(0, 5)) if options.scale else 0.
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)],
                                 [np.sin(angle), np.cos(angle)]])
        turn[:, 0] *= flip
        sigma = rng.uniform(0.4, 1.8)
        light = rng.uniform(0.85, 1.15) if options.colour else 1.
        pad = 2 + int(3 / scale)
        crop = np.s_[max(y0 - pad, 0):y1 + pad, max(x0 - pad, 0):x1 + pad]
        offset = np.array([max(x0 - pad, 0), max(y0 - pad, 0)])
        pixels = self.read(image)[crop]
        for _ in range(_PLACES):
            place = np.array([
                rng.uniform(min(half[0], width / 2),
                            max(width - half[0], width / 2)),
                height * (middle[1] / mask.shape[0] + rng.normal(0, 0.15))
            ])
            place[0] += rng.normal(0, 0.15) * half[0]
            low = min(0.8 * half[1], height / 2)
            place[1] = np.clip(place[1], low, height - low)
            matrix = np.hstack(
                [turn, (place - turn @ (middle - offset))[:, None]])
            matrix[:, 2] += turn @ (0.5, 0.5) - 0.5
            pasted = warp_mask(mask[crop], matrix, (width, height))
            whole = len(ys) * scale**2
            if pasted.sum() < 0.6 * whole or (
                    canvas.would_hide(pasted) > _HIDES_AT_MOST):
                continue
            warped = cv2.warpAffine(
                pixels,
                matrix, (width, height),
                flags=cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE)
            if light != 1:
                warped = np.clip(warped * light, 0, 255).astype(np.uint8)
            canvas.paste(
                warped, soften(pasted, sigma),
                CanvasObject(annotation['category_id'], pasted, whole, False,
                             annotation['id']))
            return
