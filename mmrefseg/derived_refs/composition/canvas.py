# Licensed under the Apache License, Version 2.0.
"""A photo to paste on, which knows what is seen of each of its objects."""

from dataclasses import dataclass

import cv2
import numpy as np

# Of an object's area: seen less, it is no target; seen hardly, it is gone.
TARGET_SEEN, GONE = 0.4, 0.1
_MIN_PIXELS = 12


@dataclass
class CanvasObject:
    """An object on a canvas.

    Attributes:
        category_id (int or str): Of the file.
        mask (np.ndarray): ``H x W``, bool: what is seen of it.
        whole (float): Pixels that it would have if nothing hid it.
        crowd (bool): A region of several.
        source (int or str): Id of its annotation.
    """
    category_id: int | str
    mask: np.ndarray
    whole: float
    crowd: bool
    source: int | str

    @property
    def seen(self) -> float:
        """Share of it that is seen."""
        return float(self.mask.sum()) / max(self.whole, 1.)


class Canvas:
    """A photo and its objects, on which others are pasted.

    Args:
        image (np.ndarray): ``H x W x 3``, uint8, BGR.
        objects (list[CanvasObject]): On it.
    """

    def __init__(self, image: np.ndarray, objects: list[CanvasObject]) -> None:
        self.image = image
        self.objects = objects

    def would_hide(self, mask: np.ndarray) -> float:
        """The largest share of what is seen of an object that a mask would
        cover."""
        hidden = 0.
        for each in self.objects:
            area = each.mask.sum()
            if area and not each.crowd:
                hidden = max(hidden, float((each.mask & mask).sum() / area))
        return hidden

    def paste(self, pixels: np.ndarray, alpha: np.ndarray,
              new: CanvasObject) -> None:
        """Put an object on top.

        Args:
            pixels (np.ndarray): ``H x W x 3``, uint8, BGR.
            alpha (np.ndarray): ``H x W``, float32, 0 to 1: soft at the
                edges, above a half on the object's mask.
            new (CanvasObject): The object.
        """
        ys, xs = np.nonzero(alpha > 0.004)
        if not len(ys):
            return
        at = np.s_[ys.min():ys.max() + 1, xs.min():xs.max() + 1]
        share = alpha[at][..., None]
        mixed = self.image[at] * (1 - share) + pixels[at] * share
        self.image[at] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        for each in self.objects:
            each.mask = each.mask & ~new.mask
        self.objects.append(new)

    def settled(self) -> list[CanvasObject]:
        """The objects that are seen; those seen in part as crowds, which are
        no targets and still make sentences ambiguous."""
        kept = []
        for each in self.objects:
            if each.mask.sum() < _MIN_PIXELS or each.seen < GONE:
                continue
            each.crowd = each.crowd or each.seen < TARGET_SEEN
            kept.append(each)
        return kept


def soften(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Alpha of a mask with blurred edges, ``H x W``, float32."""
    if sigma <= 0:
        return mask.astype(np.float32)
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
