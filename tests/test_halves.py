"""Arithmetic on vectors in half precision."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from promptlib.index.halves import products

FINITE = {"allow_nan": False, "allow_infinity": False}


def test_every_half_is_read_as_what_it_is() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    found = products(every[:, None], np.ones(1, np.float32))
    assert (found == every.astype(np.float64)).all()


@given(
    arrays.arrays(np.float16, (7, 19), elements=st.floats(-1, 1, width=16, **FINITE)),
    arrays.arrays(np.float32, 19, elements=st.floats(-1, 1, width=32, **FINITE)),
    st.permutations(range(7)),
)
def test_products_are_those_of_wide_numbers_wherever_a_row_lies(
    rows: np.ndarray, query: np.ndarray, order: list[int]
) -> None:
    found = products(rows, query)
    wide = rows.astype(np.float64) @ query.astype(np.float64)
    np.testing.assert_allclose(found, wide, rtol=0, atol=1e-13)
    assert (products(rows[order], query) == found[order]).all()
