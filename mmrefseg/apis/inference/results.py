# Licensed under the Apache License, Version 2.0.
"""Results of an inferencer, and the files that it writes."""

import json
import os.path as osp
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from mmrefseg.structures import referent_probability
from mmrefseg.visualization.files import sample_name, save_picture, write_file
from .doubts import find_doubt
from .image_inputs import ImageInput


def describe_prediction(sample: BaseDataElement) -> dict[str, Any]:
    """Mask, score and box of a predicted sample.

    Args:
        sample (SegDataSample): As the segmentor's ``predict`` returns it.

    Returns:
        dict: See :meth:`RefSegInferencer.__call__`, without ``files``.
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
    result['doubt'] = find_doubt(
        result['text'],
        score,
        found=result['box'] is not None,
        existence=result.get('existence_score'),
        no_target=result.get('no_target', False))
    return result


def box_of(mask: np.ndarray) -> list[int] | None:
    """The box around a mask (``H x W``, bool): ``[x0, y0, x1, y1]`` in
    pixels, the last two just beyond the mask; None if it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    x, y = columns.tolist(), rows.tolist()
    return [x[0], y[0], x[-1] + 1, y[-1] + 1]


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

        Returns:
            dict[str, str]: Paths of ``picture`` (RGB) and ``mask``, of those
            that were written.

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
            line = {k: v for k, v in result.items() if k != 'mask'}
            line.update(
                image=image.path or image.name,
                area=int(result['mask'].sum()),
                height=result['mask'].shape[0],
                width=result['mask'].shape[1])
            line.update((k, osp.basename(v)) for k, v in files.items())
            self._lines.append(line)
        return files

    def finish(self) -> None:
        """Write the summary."""
        if self.save_predictions:
            summary = json.dumps(self._lines, indent=1, ensure_ascii=False)
            write_file(
                osp.join(self.out_dir, 'predictions.json'), summary.encode())

