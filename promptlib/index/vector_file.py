"""Vectors of a large index that stay in their file, and are read as they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from promptlib.store.vectors import Halves

MANY = 2_000
"""Rows from which the file is mapped for as long as they are read."""


class VectorFile:
    """An array of half-precision rows in a file, indexed by positions or a slice.

    Not a mapped one: pages that were looked at once would stay in the memory of the process, and
    with some thousand queries that is the whole file.
    """

    def __init__(self, path: Path, rows: int, dim: int) -> None:
        self.shape = (rows, dim)
        self.dtype = np.dtype("<f2")
        self._path = path
        self._file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            os.close(file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, positions: Any) -> Halves:
        if isinstance(positions, slice):
            start, stop, step = positions.indices(len(self))
            if step == 1:
                size = max(0, stop - start) * self._row
                read = os.pread(self._file, size, start * self._row)
                return np.frombuffer(read, self.dtype).reshape(-1, self.shape[1])
            positions = np.arange(start, stop, step)
        positions = np.asarray(positions)
        if positions.dtype == np.bool_:
            positions = np.flatnonzero(positions)
        if len(positions) >= MANY:
            some: Halves = self.mapped()[positions]
            return some
        row, file = self._row, self._file
        read = b"".join([os.pread(file, row, at * row) for at in positions.tolist()])
        return np.frombuffer(read, self.dtype).reshape(-1, self.shape[1])

    def mapped(self) -> Halves:
        """Map the whole file into memory."""
        if not len(self):  # an empty file can't be
            return np.zeros(self.shape, self.dtype)
        return np.asarray(np.memmap(self._path, self.dtype, "r", shape=self.shape))

    @property
    def _row(self) -> int:
        return self.shape[1] * self.dtype.itemsize
