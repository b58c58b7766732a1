"""One budget for history and examples, with plain numbers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget.share import CountBoth, fit_both
from promptlib.errors import BudgetError

sizes = st.lists(st.integers(1, 30), max_size=8)


def counter(fixed: int, turns: list[int], examples: list[int]) -> CountBoth:
    def count(ranks: Sequence[int], kept: int) -> int:
        return fixed + sum(examples[i] for i in ranks) + sum(turns[len(turns) - kept :])

    return count


@given(
    sizes, sizes, st.integers(0, 20), st.integers(0, 200), st.integers(0, 8),
    st.sampled_from(["history", "examples"]), st.floats(0.05, 1),
)  # fmt: skip
def test_never_over_the_limit_and_never_wasteful(
    turns: list[int], examples: list[int], fixed: int, limit: int, k: int, priority: str,
    share: float,
) -> None:  # fmt: skip
    count = counter(fixed, turns, examples)
    scores = [1 - n / 100 for n in range(len(examples))]
    if fixed > limit:
        with pytest.raises(BudgetError):
            fit_both(scores, len(turns), count, k=k, limit=limit, priority=priority, claim=share)
        return
    found = fit_both(scores, len(turns), count, k=k, limit=limit, priority=priority, claim=share)
    assert count(found.fit.chosen, found.turns) == found.fit.tokens <= limit
    assert len(found.fit.chosen) <= k and 0 <= found.turns <= len(turns)
    if found.turns < len(turns):  # no further turn fits beside what is shown
        assert count(found.fit.chosen, found.turns + 1) > limit
    everything = count(range(min(k, len(examples))), len(turns))
    if everything <= limit:
        assert found.fit.tokens == everything


def test_priority_and_share_decide_who_gives_way() -> None:
    turns, examples = [10] * 10, [10] * 10
    count = counter(0, turns, examples)
    scores = [0.9] * 10

    def both(priority: str, share: float) -> tuple[int, int]:
        found = fit_both(scores, 10, count, k=10, limit=100, priority=priority, claim=share)
        return found.turns, len(found.fit.chosen)

    assert both("history", 1.0) == (10, 0)
    assert both("examples", 1.0) == (0, 10)
    assert both("history", 0.6) == (6, 4)
    assert both("examples", 0.6) == (4, 6)


def test_what_one_part_does_not_need_the_other_gets() -> None:
    count = counter(0, [10] * 10, [10] * 2)
    found = fit_both([0.9, 0.9], 10, count, k=8, limit=100, priority="history", claim=0.3)
    assert (found.turns, len(found.fit.chosen)) == (8, 2)
    count = counter(0, [10], [10] * 20)
    found = fit_both([0.9] * 20, 1, count, k=20, limit=100, priority="examples", claim=0.3)
    assert (found.turns, len(found.fit.chosen)) == (1, 9)


def test_ten_thousand_turns_take_few_counts() -> None:
    counted = 0

    def count(ranks: Sequence[int], kept: int) -> int:
        nonlocal counted
        counted += 1
        return 10 + 5 * kept + 7 * len(ranks)

    found = fit_both([0.9] * 5, 10_000, count, k=5, limit=1000, claim=0.5)
    assert found.turns == 191 and len(found.fit.chosen) == 5 and counted < 60


def test_a_template_that_says_more_without_examples() -> None:
    def count(ranks: Sequence[int], kept: int) -> int:
        return (40 if not ranks else 10 * len(ranks)) + 10 * kept

    found = fit_both([0.9] * 3, 5, count, k=3, limit=45, priority="examples")
    assert count(found.fit.chosen, found.turns) == found.fit.tokens <= 45
