"""Arithmetic on vectors in half precision, as they are stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Vectors
from promptlib.store.vectors import Halves

_SIGN_AND_NUMBER = np.int32(-0x70002000)
"""The bits that a half has, once it lies in 32 of them: three between sign and exponent are not."""
_SCALE = 2.0**112
"""Exponents count from -127 in 32 bits and from -15 in 16."""


def products(rows: Halves, query: Vectors) -> NDArray[np.float64]:
    """Multiply each row (n, dim) with a query (dim,), in float64: exact but for the sum's own bits.

    Equal rows give equal products wherever they lie. The rows are widened bit by bit, in a third
    of the time that NumPy's conversion takes.
    """
    bits = rows.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_NUMBER
    small = bits.view(np.float32).astype(np.float64)
    scaled: NDArray[np.float64] = np.vecdot(small, query.astype(np.float64) * _SCALE)
    return scaled
