# Licensed under the Apache License, Version 2.0.
"""Random numbers as a function of seed, iteration and rank."""

import logging
import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmrefseg.registry import HOOKS

_STEP, _DATA = 0, 1


def seed_generators(seed: int, iteration: int, rank: int, phase: int) -> None:
    """Seed Python's, numpy's and torch's default generators (all devices).

    The four numbers are mixed by ``numpy.random.SeedSequence``, so that
    neighbouring iterations, ranks and seeds give unrelated streams. (Adding
    them up would give iteration 1 of seed 0 the numbers of iteration 0 of
    seed 1.)

    Args:
        seed (int): The seed of the run, 0 or more.
        iteration (int): Training iterations finished so far, 0 or more.
        rank (int): Rank of this process.
        phase (int): Which part of the iteration, 0 or more.
    """
    words = np.random.SeedSequence(
        [seed, iteration, rank, phase]).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    # seeds the CUDA generators too, lazily when CUDA is not yet initialised
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Make the random numbers of a training iteration depend on nothing but
    the run's seed, the iteration's number and the rank.

    MMEngine saves no generator states, so a run that is resumed draws other
    dropout masks than the run that was never interrupted. With this hook the
    generators are seeded afresh

    - before a training epoch and after each iteration and validation, for
      what the data loader draws: the base seed of its workers, and whatever
      an in-process (``num_workers=0``) pipeline draws for the next batch;
    - before each iteration, for what the model draws (dropout, drop path).

    A run resumed from a checkpoint then repeats the uninterrupted one. The
    order of the data is not drawn here: samplers have generators of their
    own, seeded with the run's seed and the epoch.

    Two things lie outside. MMEngine seeds each data-loader worker itself when
    it starts; workers kept alive by ``persistent_workers`` go on from there,
    so random transforms in such workers would not repeat after resuming (the
    pipelines of mmrefseg have none). And a seed that the config leaves open
    is drawn anew in the resumed process before the checkpoint tells the old
    one, so that the samplers differ: the hook warns when
    ``randomness=dict(seed=...)`` is absent.

    Example:
        >>> import torch
        >>> from mmrefseg.engine.hooks import seed_generators
        >>> seed_generators(seed=0, iteration=3, rank=0, phase=0)
        >>> first = torch.rand(2)
        >>> seed_generators(seed=0, iteration=3, rank=0, phase=0)
        >>> torch.equal(first, torch.rand(2))
        True
    """

    # After all others: a hook that draws a number must not shift the model's.
    priority = 'LOWEST'

    def before_train(self, runner) -> None:
        """Warn when the config fixes no seed."""
        if runner._randomness_cfg.get('seed') is None:
            print_log(
                'The config sets no seed: a resumed run will not repeat an '
                'uninterrupted one. Set `randomness=dict(seed=...)`.',
                logger='current',
                level=logging.WARNING)

    def before_train_epoch(self, runner) -> None:
        """Seed for the loader's base seed and the first batch."""
        self._seed(runner, runner.iter, _DATA)

    def before_train_iter(self,
                          runner,
                          batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """Seed for the forward pass."""
        self._seed(runner, runner.iter, _STEP)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Seed for the next batch (the loop counts up after this call)."""
        self._seed(runner, runner.iter + 1, _DATA)

    def after_val(self, runner) -> None:
        """Undo what validation drew; a resumed run may not have run it."""
        self._seed(runner, runner.iter, _DATA)

    @staticmethod
    def _seed(runner, iteration: int, phase: int) -> None:
        # `runner.seed` is read each time: resuming may change it
        seed_generators(runner.seed, iteration, get_rank(), phase)
