# Licensed under the Apache License, Version 2.0.
"""Random numbers of an iteration follow from seed, iteration and rank.

That a resumed run repeats an uninterrupted one is shown by
``test_resume_after_kill.py``.
"""

import random
from types import SimpleNamespace

import numpy as np
import torch

from mmrefseg.engine import IterationSeedHook
from mmrefseg.engine.hooks import seed_generators


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_seeds_depend_on_iteration_rank_and_phase():
    seen = set()
    for numbers in ((0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)):
        seed_generators(*numbers)
        seen.update(draws())
    assert len(seen) == 12
    seed_generators(0, 1, 0, 0)
    first = draws()
    draws()
    seed_generators(0, 1, 0, 0)
    assert draws() == first


def test_seed_hook_reads_the_seed_of_the_run():
    hook = IterationSeedHook()
    runner = SimpleNamespace(seed=3, iter=10)
    hook.before_train_iter(runner, 0)
    first = draws()
    hook.after_train_iter(runner, 0)
    between = draws()
    assert first != between
    # the loop has counted up: the next epoch begins as the last iteration
    # ended, whether or not a validation stood between
    runner.iter = 11
    draws()
    hook.before_train_epoch(runner)
    assert draws() == between
    hook.after_val(runner)
    assert draws() == between
    runner.seed, runner.iter = 4, 10
    hook.before_train_iter(runner, 0)
    assert draws() != first
