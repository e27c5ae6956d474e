# Licensed under the Apache License, Version 2.0.
"""Loading of images and masks."""

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine import fileio

from mmrefseg.fileio.images import (decode_heic, find_excess, find_truncation,
                                    is_heic, read_size)
from mmrefseg.fileio.mask_images import choose_pixels, read_mask
from mmrefseg.fileio.masks import rasterize
from mmrefseg.registry import TRANSFORMS

# How much the shapes of an image and of its mask may differ for the one to be
# scaled to the other: more is another image, or one that was turned.
_MAX_DISTORTION = 0.02


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

    Required keys: ``img_path`` (with ``img_bytes``, the file's content, if it
    was read before) or ``img``. Added keys: ``img`` (``H x W x
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

    Example:
        >>> import numpy as np
        >>> from mmrefseg.datasets import LoadRefImage
        >>> item = dict(img=np.zeros((40, 60, 3), np.uint8))
        >>> LoadRefImage()(item)['ori_shape']
        (40, 60)
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
        content = results.get('img_bytes')
        if content is None:
            content = _read_file(
                path, name, 'set data_root and data_prefix.img_path to where '
                'the images are, see docs/data.md', self.backend_args)
        fault = find_truncation(content) or find_excess(content)
        image = None
        if fault is None and is_heic(content):
            try:
                return decode_heic(content)
            except ImportError as error:
                raise ValueError(f'{name} {error}.') from None
            except Exception as error:  # decoders raise almost anything
                fault = f'is not an image that can be read ({error})'
        elif fault is None:
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
    """Draw the mask of what a sentence refers to.

    Of a no-target sentence (``no_target``) the mask is empty; any other empty
    mask is an error.

    It has the size of the image file (``ori_shape``), so it stands before
    ``Resize`` in training, where it is resized with the image, and after it
    in testing, where masks are compared at the original size.

    Required keys: ``segmentation`` (polygons, a COCO RLE or a list of them,
    the path of a mask file, or an ``H x W`` array), ``ori_shape``. Optional
    keys, which a dataset adds: ``height`` and ``width``, the image's size by
    the annotations, compared with ``ori_shape``; ``size_mismatch`` ('resize':
    a mask of another size is scaled to the image); ``mask_value`` and
    ``mask_threshold``, which pixels of a mask file or an array are the object
    (see :func:`~mmrefseg.fileio.mask_images.read_mask`); ``no_target``
    (bool). Modified keys: ``gt_seg_map`` (``H x W``, uint8, 1 on the object
    and 0 elsewhere), ``seg_fields`` (``gt_seg_map`` is appended, by which
    ``Resize`` knows it).

    Args:
        backend_args (dict, optional): File backend of mask files, see
            :func:`mmengine.fileio.get`.

    Raises:
        FileNotFoundError: The mask file does not exist.
        ValueError: The mask is damaged, of another size than the image, has
            several values of which none is said to be the object, or nothing
            of it lies in the image though the sentence has a target.

    Example:
        >>> from mmrefseg.datasets import LoadRefMask
        >>> square = [[1, 1, 3, 1, 3, 3, 1, 3]]
        >>> item = dict(ori_shape=(4, 5), segmentation=square)
        >>> int(LoadRefMask()(item)['gt_seg_map'].sum())
        4
    """

    def __init__(self, *, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add the mask to ``results``."""
        if 'ori_shape' not in results:
            raise ValueError('LoadRefMask needs the size of the image: put '
                             'LoadRefImage before it in the pipeline.')
        size: tuple[int, int] = tuple(results['ori_shape'][:2])
        annotated = results.get('height', size[0]), results.get(
            'width', size[1])
        name = (f'The mask in {results.get("img_path", "the given image")}'
                f'{_origin(results)}')
        _check_size(
            f'{name} does not fit: the annotations say that the image is',
            annotated, size, results, 'the file',
            'use the images that were annotated (an EXIF orientation is not '
            'applied, see LoadRefImage)')
        if results.get('no_target', False):
            mask = np.zeros(size, dtype=np.uint8)
        else:
            mask = self._draw(results, name, annotated, size)
            if not mask.any():
                raise ValueError(
                    f'{name} is empty: nothing of its segmentation lies in '
                    f'the image of {size[0]} x {size[1]} (height x width)' +
                    (f' as {results["mask_value"]} (mask_value)'
                     if 'mask_value' in results else '') +
                    '; correct the annotation or remove it.')
        results['gt_seg_map'] = mask
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def _draw(self, results: dict, name: str, annotated: tuple[int, int],
              size: tuple[int, int]) -> np.ndarray:
        """The mask, scaled to ``size`` where that is wanted."""
        segmentation = results['segmentation']
        image = results.get('img_path', 'the given image')
        choice = dict(
            value=results.get('mask_value'),
            threshold=results.get('mask_threshold'))
        if isinstance(segmentation, str):
            name = f'Mask file {segmentation}{_origin(results)}'
            content = _read_file(segmentation, name,
                                 'correct its path or data_prefix.mask_path',
                                 self.backend_args)
            # Before anything is decoded: a small file can say that it is
            # large.
            _check_size(f'{name} is',
                        read_size(content) or size, size, results,
                        f'image {image}', 'the two must have the same size')
        try:
            if isinstance(segmentation, str):
                mask = read_mask(content, **choice)
            elif isinstance(segmentation, np.ndarray):
                mask = choose_pixels(segmentation, **choice)
            else:
                mask = rasterize(segmentation, *annotated)
        except ValueError as error:
            if isinstance(segmentation, (str, np.ndarray)):
                raise ValueError(f'{name} {error}.') from None
            raise ValueError(f'{name} cannot be drawn: {error}; correct the '
                             'annotation.') from None
        _check_size(f'{name} is', mask.shape, size, results, 'the image',
                    'the two must have the same size')
        if mask.shape != size:
            mask = mmcv.imresize(mask, size[::-1], interpolation='nearest')
        return mask

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


def _check_size(what: str, found: tuple[int, ...], size: tuple[int, int],
                results: dict, other: str, remedy: str) -> None:
    """Refuse a mask that neither has the size of its image nor may be scaled
    to it."""
    if found == size:
        return
    sides = found[0] * size[1], found[1] * size[0]
    alike = abs(sides[0] - sides[1]) <= _MAX_DISTORTION * max(sides)
    if results.get('size_mismatch') == 'resize':
        if alike:
            return
        remedy += (', and the shapes differ by more than '
                   f'{_MAX_DISTORTION:.0%}, which size_mismatch="resize" does '
                   'not mend')
    elif alike:
        remedy += (', or let the dataset scale the mask to the image with '
                   'size_mismatch="resize"')
    raise ValueError(
        f'{what} {found[0]} x {found[1]} (height x width), but {other} is '
        f'{size[0]} x {size[1]}: {remedy}.')
