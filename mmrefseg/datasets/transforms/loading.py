# Licensed under the Apache License, Version 2.0.
"""Loading of images and masks; what cannot be read says so."""


import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine import fileio

from mmrefseg.registry import TRANSFORMS
from .masks import rasterize, read_mask
from .truncation import find_excess, find_truncation, read_size


def _origin(results: dict) -> str:
    """'ref 3, sentence 7' as far as it is known, for error messages."""
    parts = [
        f'{name} {results[key]}'
        for name, key in (('ref', 'ref_id'), ('sentence', 'sent_id'))
        if results.get(key) is not None
    ]
    return f' ({", ".join(parts)})' if parts else ''


def _read_file(path: str, name: str, remedy: str,
               backend_args: dict | None) -> bytes:
    """The bytes of a file, or an error that says which and what to do."""
    try:
        return fileio.get(path, backend_args=backend_args)
    except FileNotFoundError:
        raise FileNotFoundError(f'{name} does not exist: {remedy}.') from None
    except Exception as error:  # a folder, a forbidden file, a backend's own
        raise ValueError(f'{name} cannot be read ({type(error).__name__}: '
                         f'{error}): {remedy}.') from error


@TRANSFORMS.register_module()
class LoadRefImage(LoadImageFromFile):
    """Load an image, and notice when only a part of it is there.

    Some versions of OpenCV return a half grey image for a file that was cut
    off. Here it is an error, as is everything else that is not a whole
    image.

    Pixels come as they are stored: an EXIF orientation is not applied,
    because annotations of COCO's format are in the frame of the stored
    pixels. Pass ``color_type='color'`` if yours were drawn on the upright
    picture.

    An image that is there already (``results['img']``, ``H x W x 3``, uint8,
    BGR) is taken as it is.

    Required keys: ``img_path`` or ``img``. Added keys: ``img`` (``H x W x
    3``, uint8, BGR), ``img_shape`` and ``ori_shape`` (``(H, W)``).

    Args:
        color_type (str): See :func:`mmcv.imfrombytes`. Defaults to
            'color_ignore_orientation'.
        imdecode_backend (str): 'cv2' or 'pillow'. Defaults to 'cv2'.
        backend_args (dict, optional): File backend, see
            :func:`mmengine.fileio.get`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is empty, cut off, no image, or says that it
            has more pixels than Pillow takes for an attack.
    """

    def __init__(self,
                 *,
                 color_type: str = 'color_ignore_orientation',
                 imdecode_backend: str = 'cv2',
                 backend_args: dict | None = None) -> None:
        super().__init__(
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load the image of ``results``."""
        image = results.get('img')
        if image is None:
            image = self._read(results)
            results['img'] = image
        results['img_shape'] = image.shape[:2]
        results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, results: dict) -> np.ndarray:
        path = results['img_path']
        name = f'Image {path}{_origin(results)}'
        content = _read_file(
            path, name, 'set data_root and data_prefix.img_path to where the '
            'images are, see docs/data.md', self.backend_args)
        fault = find_truncation(content) or find_excess(content)
        image = None
        if fault is None:
            fault = 'is not an image that can be read'
            try:
                image = mmcv.imfrombytes(
                    content,
                    flag=self.color_type,
                    backend=self.imdecode_backend)
            except Exception as error:  # decoders raise almost anything
                fault += f' ({error})'
        if image is None:
            raise ValueError(f'{name} {fault}: get the file again.')
        return image


@TRANSFORMS.register_module()
class LoadRefMask(BaseTransform):
    """Draw the mask of the object that the sentence means.

    Of a sentence that is marked as meaning nothing (``no_target``) the mask
    is empty; any other empty mask is an error.

    It has the size of the image file (``ori_shape``), so it stands before
    ``Resize`` in training, where it is resized with the image, and after it
    in testing, where masks are compared at the original size.

    Required keys: ``segmentation`` (polygons, a COCO RLE or a list of them,
    or the path of a mask file), ``ori_shape``. Optional keys: ``height`` and
    ``width``, the image's size by the annotations, compared with
    ``ori_shape``; ``no_target`` (bool). Modified keys: ``gt_seg_map`` (``H x
    W``, uint8, 1 on the object and 0 elsewhere), ``seg_fields``
    (``gt_seg_map`` is appended, by which ``Resize`` knows it).

    Args:
        backend_args (dict, optional): File backend of mask files, see
            :func:`mmengine.fileio.get`.

    Raises:
        FileNotFoundError: The mask file does not exist.
        ValueError: The mask is damaged, of another size than the image, or
            nothing of it lies in the image though the sentence means
            something.
    """

    def __init__(self, *, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add the mask to ``results``."""
        height, width = results['ori_shape'][:2]
        image = results.get('img_path', 'the given image')
        name = f'The mask in {image}{_origin(results)}'
        said = results.get('height', height), results.get('width', width)
        if said != (height, width):
            raise ValueError(
                f'{name} does not fit: the annotations say that the image is '
                f'{said[0]} x {said[1]} (height x width), but the file is '
                f'{height} x {width}; use the images that were annotated (an '
                'EXIF orientation is not applied, see LoadRefImage).')
        segmentation = results['segmentation']
        nothing = results.get('no_target', False)
        if nothing:
            mask = np.zeros((height, width), dtype=np.uint8)
        elif isinstance(segmentation, str):
            mask = self._read(segmentation, results, (height, width))
        else:
            try:
                mask = rasterize(segmentation, height, width)
            except ValueError as error:
                raise ValueError(f'{name} cannot be drawn: {error}; correct '
                                 'the annotation.') from None
        if not nothing and not mask.any():
            raise ValueError(
                f'{name} is empty: nothing of its segmentation lies in the '
                f'image of {height} x {width} (height x width); correct the '
                'annotation or remove it.')
        results['gt_seg_map'] = mask
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def _read(self, path: str, results: dict,
              size: tuple[int, int]) -> np.ndarray:
        name = f'Mask file {path}{_origin(results)}'
        content = _read_file(path, name,
                             'correct its path or data_prefix.mask_path',
                             self.backend_args)
        found = read_size(content)
        # Before anything is decoded: a small file can say that it is large.
        if found not in (None, size):
            image = results.get('img_path', 'the given image')
            raise ValueError(
                f'{name} is {found[0]} x {found[1]} (height x width), but '
                f'image {image} is {size[0]} x {size[1]}: the two must have '
                'the same size.')
        try:
            return read_mask(content)
        except ValueError as error:
            raise ValueError(
                f'{name} is no usable mask: {error}.') from None

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
