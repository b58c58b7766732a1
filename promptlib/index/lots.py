"""Draw rows at random, by what they say: the same rows wherever they lie and whenever they came."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_lots(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Scatter numbers over 64 bits, differently for each seed (SplitMix64, Steele et al. 2014)."""
    mixed = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scattered: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return scattered
