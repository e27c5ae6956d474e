# Licensed under the Apache License, Version 2.0.
"""Pictures of validation and test sentences during a run."""

import os.path as osp
from collections.abc import Sequence

import mmcv
import numpy as np
from mmengine.dist import get_world_size, is_main_process
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from mmrefseg.registry import HOOKS
from mmrefseg.visualization import sample_name


@HOOKS.register_module()
class RefVisualizationHook(Hook):
    """Draw some sentences of each validation and test, through the run's
    visualizer: to local files, TensorBoard, or wherever its backends write.

    The sentences are spread evenly over the split and are the same ones each
    time, so that one can watch a sentence from epoch to epoch (TensorBoard
    shows a slider). In a distributed run they are spread over the share of
    the main process.

    Args:
        draw (bool): False switches the hook off. Defaults to True.
        num_val_samples (int): Sentences to draw in a validation; -1 draws
            all. Defaults to 8.
        num_test_samples (int): Sentences to draw in a test; -1 draws all.
            Defaults to 8.
        draw_gt (bool): Whether to draw the true masks. Defaults to True.
        out_dir (str, optional): Folder for the pictures, instead of the
            backends. Defaults to None.
        show (bool): Whether to open a window for each. Defaults to False.
        wait_time (float): Seconds that the window stays; 0 means until a key
            is pressed. Defaults to 0.
        backend_args (dict, optional): File backend to read images with.

    Example:
        >>> from mmrefseg.registry import HOOKS
        >>> hook = HOOKS.build(
        ...     dict(type='RefVisualizationHook', num_val_samples=16))
        >>> hook.num_samples
        {'val': 16, 'test': 8}
    """

    def __init__(self,
                 *,
                 draw: bool = True,
                 num_val_samples: int = 8,
                 num_test_samples: int = 8,
                 draw_gt: bool = True,
                 out_dir: str | None = None,
                 show: bool = False,
                 wait_time: float = 0.,
                 backend_args: dict | None = None) -> None:
        self.draw = draw
        self.num_samples = dict(val=num_val_samples, test=num_test_samples)
        self.draw_gt = draw_gt
        self.out_dir = out_dir
        self.show = show
        self.wait_time = wait_time
        self.backend_args = backend_args
        self._count = 0
        self._chosen: set = set()

    def before_val_epoch(self, runner) -> None:
        """Choose the sentences."""
        self._choose(runner.val_dataloader, 'val')

    def before_test_epoch(self, runner) -> None:
        """Choose the sentences."""
        self._choose(runner.test_dataloader, 'test')

    def after_val_iter(self,
                       runner,
                       batch_idx: int,
                       data_batch: dict | None = None,
                       outputs: Sequence[BaseDataElement] | None = None
                       ) -> None:
        """Draw the chosen ones of a batch; the step is the iteration."""
        self._draw_batch(runner, outputs, 'val', runner.iter)

    def after_test_iter(self,
                        runner,
                        batch_idx: int,
                        data_batch: dict | None = None,
                        outputs: Sequence[BaseDataElement] | None = None
                        ) -> None:
        """Draw the chosen ones of a batch."""
        self._draw_batch(runner, outputs, 'test', 0)

    def _choose(self, dataloader, mode: str) -> None:
        """Fix which samples, counted from 0 on this rank, will be drawn."""
        self._count = 0
        self._chosen = set()
        if not self.draw or not is_main_process():
            return
        length = -(-len(dataloader.dataset) // get_world_size())
        wanted = self.num_samples[mode]
        if wanted < 0 or wanted >= length:
            self._chosen = set(range(length))
        elif wanted > 0:
            # the middles of `wanted` equal parts
            middles = (np.arange(wanted) + 0.5) * length / wanted
            self._chosen = set(middles.astype(int).tolist())

    def _draw_batch(self, runner, outputs: Sequence[BaseDataElement] | None,
                    mode: str, step: int) -> None:
        for position, data_sample in enumerate(outputs or (), self._count):
            self._count = position + 1
            if position in self._chosen:
                self._draw_one(runner.visualizer, data_sample, mode, step)

    def _draw_one(self, visualizer: Visualizer, data_sample: BaseDataElement,
                  mode: str, step: int) -> None:
        image = mmcv.imfrombytes(
            get(data_sample.img_path, backend_args=self.backend_args),
            channel_order='rgb')
        name = sample_name(data_sample, mode)
        where = {}
        if self.out_dir is not None:
            where['out_file'] = osp.join(self.out_dir, f'{name}.png')
        visualizer.add_datasample(
            name,
            image,
            data_sample=data_sample,
            draw_gt=self.draw_gt,
            show=self.show,
            wait_time=self.wait_time,
            step=step,
            **where)
