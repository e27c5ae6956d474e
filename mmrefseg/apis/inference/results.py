# Licensed under the Apache License, Version 2.0.
"""Results of an inferencer, and the files that it writes."""

import json
import os.path as osp
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from mmrefseg.structures import referent_probability
from mmrefseg.visualization.files import sample_name, save_picture, write_file
from .image_inputs import ImageInput


def describe_prediction(sample: BaseDataElement) -> dict[str, Any]:
    """Mask, score and box of a predicted sample.

    Args:
        sample (SegDataSample): With ``pred_sem_seg``, ``seg_logits``
            (``2 x H x W`` or ``1 x H x W``) and ``text``; of a model that
            predicts existence also with ``existence_score`` and
            ``pred_no_target``.

    Returns:
        dict: ``text``, ``mask`` (``H x W``, bool), ``score`` (mean
        probability of the referent over the mask, 0 to 1; 0 if it is empty),
        ``box`` (``[x0, y0, x1, y1]``, pixels, the last two just beyond the
        mask; None if it is empty). Of a model that predicts existence also
        ``existence_score`` (0 to 1) and ``no_target`` (bool): where that is
        true the mask is empty, whatever the threshold.
    """
    meta = sample.metainfo
    probability = referent_probability(sample.seg_logits.data)
    inside = sample.pred_sem_seg.data[0] == 1
    score = float(probability[inside].double().mean()) if inside.any() else 0.
    mask = inside.cpu().numpy()
    result = dict(text=meta['text'], mask=mask, score=score, box=box_of(mask))
    if 'pred_no_target' in meta:
        result.update(
            existence_score=meta['existence_score'],
            no_target=meta['pred_no_target'])
    return result


def box_of(mask: np.ndarray) -> list[int] | None:
    """The box around a mask.

    Args:
        mask (np.ndarray): ``H x W``, bool.

    Returns:
        list[int] | None: ``[x0, y0, x1, y1]`` in pixels, ``x1`` and ``y1``
        just beyond the mask; None if it is empty.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return [
        int(columns[0]),
        int(rows[0]),
        int(columns[-1]) + 1,
        int(rows[-1]) + 1
    ]


class ResultWriter:
    """Writes pictures, and on request masks and a summary, to a folder.

    Args:
        out_dir (str, optional): The folder. None writes nothing.
        save_predictions (bool): Whether masks and ``predictions.json`` are
            written.
    """

    def __init__(self, out_dir: str | None,
                 save_predictions: bool = False) -> None:
        if save_predictions and out_dir is None:
            raise ValueError('save_predictions=True needs an out_dir.')
        self.out_dir = out_dir or ''
        self.save_predictions = save_predictions
        self._lines: list[dict] = []

    def write(self, image: ImageInput, picture: np.ndarray | None,
              result: dict[str, Any]) -> dict[str, str]:
        """Write the files of one sentence.

        Args:
            image (ImageInput): The image it speaks of.
            picture (np.ndarray, optional): RGB, uint8.
            result (dict): As :func:`describe_prediction` gives it.

        Returns:
            dict[str, str]: Paths of ``picture`` and ``mask``, of those that
            were written.

        Raises:
            OSError: A file cannot be written, as on a full disk. The message
                names it; no part of it is left.
        """
        if picture is None or not self.out_dir:
            return {}
        text = result['text']
        name = osp.join(
            self.out_dir,
            sample_name(BaseDataElement(metainfo=dict(text=text)), image.name))
        files = dict(picture=f'{name}.png')
        save_picture(picture, files['picture'])
        if self.save_predictions:
            files['mask'] = f'{name}_mask.png'
            save_picture(result['mask'].astype(np.uint8) * 255, files['mask'])
            self._lines.append(
                dict(
                    image=image.path or image.name,
                    text=text,
                    score=result['score'],
                    box=result['box'],
                    area=int(result['mask'].sum()),
                    height=result['mask'].shape[0],
                    width=result['mask'].shape[1],
                    **{
                        k: result[k]
                        for k in ('existence_score', 'no_target')
                        if k in result
                    },
                    **{k: osp.basename(v)
                       for k, v in files.items()}))
        return files

    def finish(self) -> None:
        """Write the summary."""
        if self.save_predictions:
            summary = json.dumps(self._lines, indent=1, ensure_ascii=False)
            write_file(
                osp.join(self.out_dir, 'predictions.json'), summary.encode())

