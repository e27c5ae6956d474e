# Licensed under the Apache License, Version 2.0.
"""Many small Python objects in one block of memory."""

import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


class AnnotationStore:
    """A read-only list of plain Python objects, kept pickled in one tensor.

    Masks are the bulk of an annotation file. Kept as Python lists they would
    be copied into every worker of a data loader, page by page, because
    reading a Python object writes its reference count. One block of bytes is
    shared by forked workers as it is, and torch hands a tensor to spawned
    workers through shared memory.

    Args:
        pickled (Iterable[bytes]): The objects, each through
            :meth:`AnnotationStore.dumps`.
    """

    def __init__(self, pickled: Iterable[bytes]) -> None:
        pickled = list(pickled)
        ends = np.cumsum([len(x) for x in pickled], dtype=np.int64)
        # bytearray: torch warns of memory that it may not write.
        self._bytes = torch.frombuffer(
            bytearray(b''.join(pickled)) or bytearray(1), dtype=torch.uint8)
        self._ends = torch.from_numpy(ends)

    @staticmethod
    def dumps(item: Any) -> bytes:
        """Pickle one object for the store."""
        return pickle.dumps(item, protocol=4)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f'{index} is outside of 0..{len(self) - 1}')
        start = int(self._ends[index - 1]) if index else 0
        return pickle.loads(
            self._bytes.numpy()[start:int(self._ends[index])].data)

    @property
    def nbytes(self) -> int:
        """Size of the stored objects in bytes."""
        return int(self._ends[-1]) if len(self) else 0

    def __deepcopy__(self, memo: dict) -> 'AnnotationStore':
        # It never changes, so subsets of a dataset share it.
        return self
