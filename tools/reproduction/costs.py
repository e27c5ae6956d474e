# Licensed under the Apache License, Version 2.0.
"""How long a table takes, as far as multiply-adds tell it."""

import os.path as osp
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from analysis_tools.complexity import count_complexity
from dataset_converters.refer_checks.refer_counts import (SplitCount,
                                                          count_splits,
                                                          known_counts)
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmrefseg.datasets.refer_files import find_refs_file, load_refs
from .tables import Row

# The backward pass costs about twice the forward pass.
_PASSES_OF_A_STEP = 3


@dataclass(frozen=True)
class Cost:
    """What a row costs.

    Attributes:
        forward (float): Multiply-adds of one image and one sentence, without
            the language encoder.
        trained (int): Sentences that training visits.
        predicted (int): Sentences of all validations and of the test.
        passes (int): Passes of a training step, forward passes all told.
    """
    forward: float
    trained: int
    predicted: int
    passes: int = _PASSES_OF_A_STEP

    def hours(self, tflops: float, utilisation: float) -> float:
        """Hours of one GPU.

        Args:
            tflops (float): Its peak, 1e12 operations a second; a
                multiply-add is two.
            utilisation (float): What share of it is reached.
        """
        operations = 2 * self.forward * (
            self.passes * self.trained + self.predicted)
        return operations / (tflops * 1e12 * utilisation) / 3600


def count_row(row: Row, data: str) -> dict[str, SplitCount]:
    """Refs and sentences of a row's set: as they are in the data, or else as
    published.

    Args:
        row (Row): The row.
        data (str): Folder of the data.

    Returns:
        dict[str, SplitCount]: By split; empty where nothing is known.
    """
    folder = osp.join(data, row.folder)
    try:
        return count_splits(load_refs(find_refs_file(folder, row.split_by)))
    except (OSError, ValueError):
        return known_counts(folder, row.split_by)


def estimate(cfg: Config, counts: dict[str, SplitCount],
             splits: list[str]) -> Cost | None:
    """Count what a config asks for.

    Args:
        cfg (Config): The config.
        counts (dict[str, SplitCount]): Of its set.
        splits (list[str]): The splits that it is tested on.

    Returns:
        Cost: None where the size of the set is not known.
    """
    if not {'train', 'val', *splits} <= set(counts):
        return None
    loop = cfg.train_cfg
    if 'max_epochs' in loop:
        # An epoch visits each ref once.
        trained = loop.max_epochs * counts['train'].refs
        validations = loop.max_epochs // loop.get('val_interval', 1)
    else:
        trained = loop.max_iters * cfg.auto_scale_lr.base_batch_size
        validations = loop.max_iters // loop.get('val_interval', 1000)
    predicted = sum(_sentences(counts[x]) for x in splits)
    predicted += validations * _sentences(counts['val'])
    masked = (cfg.model.get('train_cfg') or {}).get('masked') is not None
    return Cost(
        _forward(_Model(cfg)), trained, predicted,
        _PASSES_OF_A_STEP * (1 + masked))


def _sentences(count: SplitCount) -> int:
    return count.sentences if count.sentences is not None else count.refs


class _Model:
    """A model, its input and its words, which is equal to one of the same
    text: rows that differ in their data are counted once."""

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self._text = repr((cfg.model.to_dict(), self.shape))

    @property
    def shape(self) -> tuple[int, int]:
        """tuple[int, int]: Height and width of the input."""
        resizes: list[Any] = [
            x.scale for x in cfg_pipeline(self.cfg) if x['type'] == 'Resize'
        ]
        width, height = resizes[-1]
        return height, width

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Model) and self._text == other._text


def cfg_pipeline(cfg: Config) -> list:
    """The pipeline of training."""
    dataset = cfg.train_dataloader.dataset
    return dataset.get('datasets', [dataset])[-1].pipeline


@lru_cache(maxsize=None)
def _forward(model: _Model) -> int:
    init_default_scope('mmrefseg')
    encoder = model.cfg.model.language_encoder
    return count_complexity(
        model.cfg.model,
        shape=model.shape,
        tokens=encoder.get('max_tokens', 30)).flops
