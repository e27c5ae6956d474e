# Licensed under the Apache License, Version 2.0.
"""Checkpoints of runs that may be killed at any moment."""

import logging
import os
import os.path as osp
import re
import zipfile
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import find_latest_checkpoint

from mmrefseg.fileio import TEMPORARY_SUFFIX, write_atomically
from mmrefseg.registry import HOOKS
from .resume_check import find_obstacle, warn_of_old_schedule

_POINTER = 'last_checkpoint'


def is_complete_checkpoint(path: str) -> bool:
    """Whether a local file is a whole checkpoint as ``torch.save`` writes it.

    The format is a zip archive whose table of contents stands at the very
    end, so that a truncated file is recognised without reading it.

    Args:
        path (str): A local path; it need not exist.
    """
    if not path or not osp.isfile(path) or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith('data.pkl') for name in archive.namelist())


class _RemoveLater:
    """A file backend that notes what it shall remove and does it on request.

    Args:
        backend (BaseStorageBackend): The backend that does the work.
    """

    def __init__(self, backend) -> None:
        self._backend = backend
        self._pending: list = []

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._pending.append((self._backend.remove, path))

    def rmtree(self, path: str) -> None:
        self._pending.append((self._backend.rmtree, path))

    def remove_pending(self, keep: set) -> None:
        """Remove what was noted, but for the paths in ``keep``."""
        for remove, path in self._pending:
            if path not in keep:
                remove(path)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` (same arguments) for runs that may be
    killed at any moment.

    - A checkpoint is written to a temporary file and renamed, so that no
      file with a checkpoint's name is ever a part of one. So is
      ``last_checkpoint``, which MMEngine truncates before it writes.
    - An outdated checkpoint (``max_keep_ckpts``, or the best one so far) is
      removed after its successor is on the disk, not before.
    - Before a run with ``resume=True`` takes its checkpoint from
      ``last_checkpoint``, that file is checked. If it is absent or empty, or
      names a file that is absent or incomplete, it is pointed to the newest
      complete checkpoint and a warning says so.
    - A run is resumed only from a checkpoint that holds all of its state: not
      from the best one, which has weights alone, nor from that of another
      model.

    ``backend_args`` and remote output folders work as in MMEngine; atomic
    writing then is up to the storage.

    Example:
        >>> from mmrefseg.registry import HOOKS
        >>> hook = HOOKS.build(
        ...     dict(
        ...         type='AtomicCheckpointHook',
        ...         by_epoch=False,
        ...         interval=500,
        ...         save_best='oIoU',
        ...         rule='greater'))
        >>> hook.filename_tmpl
        'iter_{}.pth'
    """

    # Set by MMEngine's class, which does not say of what type they are.
    file_backend: Any
    backend_args: dict | None

    def before_run(self, runner) -> None:
        """Make sure that what ``resume`` will read is whole.

        Raises:
            ValueError: If the file to resume from, named by the user, is
                incomplete.
        """
        if not runner._resume:
            return
        wanted = runner._load_from
        if wanted is None:
            if is_main_process():
                self._repair_pointer(runner.work_dir)
            barrier()
        elif osp.isfile(wanted) and not is_complete_checkpoint(wanted):
            raise ValueError(
                f'Cannot resume from {wanted}: the file is not a complete '
                'checkpoint. Name an earlier one, or remove the name to '
                'resume from the newest complete one of the work directory.')

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse to resume from what does not hold the state of this run.

        Raises:
            ValueError: If something would start anew, or if it is of another
                model. The message names what to resume from.
        """
        if not runner._resume or not isinstance(runner.optim_wrapper,
                                                OptimWrapper):
            return  # a test, or a start from weights
        obstacle = find_obstacle(runner, checkpoint)
        if obstacle is None:
            warn_of_old_schedule(runner, checkpoint)
            return
        path = runner._load_from or find_latest_checkpoint(runner.work_dir)
        newest = self._newest_complete(osp.dirname(osp.abspath(path)))
        advice = 'Use load_from without resume to start from its weights alone'
        if newest is not None and not osp.samefile(newest, path):
            advice = f'Resume from {newest}. {advice}'
        raise ValueError(
            f'Cannot resume from {path}: it {obstacle}. {advice}.')

    def before_train(self, runner) -> None:
        """Choose the file backend and clear what a kill left behind."""
        out_dir = str(self.out_dir or runner.work_dir)
        if (self.backend_args is None and self.file_client_args is None
                and '://' not in out_dir):
            self.backend_args = dict(backend='atomic_local')
        super().before_train(runner)
        if is_main_process() and osp.isdir(self.out_dir):
            for name in os.listdir(self.out_dir):
                if name.endswith('.pth' + TEMPORARY_SUFFIX):
                    os.remove(osp.join(self.out_dir, name))

    def _save_checkpoint_with_step(self, runner, step, meta) -> None:
        """Save, point to the new file, and only then remove an outdated one.

        Args:
            runner (Runner): The runner of the training process.
            step (int): The epoch or iteration that names the file.
            meta (dict): Epoch and iteration, stored in the checkpoint.
        """
        outdated = self._count_in(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if not is_main_process():
            return
        write_atomically(
            osp.join(runner.work_dir, _POINTER), str(self.last_ckpt).encode())
        if outdated is not None:
            path = self.file_backend.join_path(
                self.out_dir, self.filename_tmpl.format(outdated))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)

    def _count_in(self, runner, step: int) -> int | None:
        """Note ``step`` among the kept ones; return the one to be removed."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return None
        outdated = None
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            outdated = self.keep_ckpt_ids.popleft()
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids',
                                       list(self.keep_ckpt_ids))
        return outdated

    def _save_best_checkpoint(self, runner, metrics) -> None:
        """Save the best checkpoint; its predecessor goes afterwards.

        Args:
            runner (Runner): The runner of the training process.
            metrics (dict): Results of this validation.
        """
        if not self.save_best:
            return
        backend, self.file_backend = self.file_backend, _RemoveLater(
            self.file_backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
            # a repeated validation may have written to the very same name
            keep = set(getattr(self, 'best_ckpt_path_dict', {}).values())
            keep.add(getattr(self, 'best_ckpt_path', None))
            self.file_backend.remove_pending(keep | {self.last_ckpt})
        finally:
            self.file_backend = backend

    def _repair_pointer(self, work_dir: str) -> None:
        """Let ``last_checkpoint`` name a complete file, or be absent."""
        pointer = osp.join(work_dir, _POINTER)
        named = None
        if osp.isfile(pointer):
            with open(pointer) as f:
                named = f.read().strip()
            if '://' in named or osp.isdir(
                    named) or is_complete_checkpoint(named):
                return
        newest = self._newest_complete(work_dir)
        if newest is not None:
            write_atomically(pointer, newest.encode())
        elif named is not None:
            os.remove(pointer)
        else:
            return
        fault = {
            None: 'is absent',
            '': 'is empty'
        }.get(named, f'names "{named}", which is absent or incomplete')
        action = (f'resuming from {newest}'
                  if newest else 'there is no complete checkpoint to resume '
                  'from: training starts from the beginning')
        print_log(
            f'{pointer} {fault} (a killed run can leave it so); {action}.',
            logger='current',
            level=logging.WARNING)

    def _newest_complete(self, work_dir: str) -> str | None:
        """The complete checkpoint with the highest number, or None."""
        folders = [work_dir]
        if self.out_dir is not None:
            base = osp.basename(work_dir.rstrip(osp.sep))
            folders.append(osp.join(str(self.out_dir), base))
        head, tail = self.filename_tmpl.split('{}')
        pattern = re.compile(re.escape(head) + r'(\d+)' + re.escape(tail))
        found = []
        for folder in filter(osp.isdir, folders):
            for name in os.listdir(folder):
                match = pattern.fullmatch(name)
                if match:
                    found.append((int(match[1]), osp.join(folder, name)))
        for _, path in sorted(found, reverse=True):
            if is_complete_checkpoint(path):
                return path
        return None
