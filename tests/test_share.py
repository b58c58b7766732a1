"""One budget for history and examples, with plain numbers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget.share import CountAll, Priorities, Shared, fit_all
from promptlib.errors import BudgetError

sizes = st.lists(st.integers(1, 30), max_size=8)
FIRST = {"history": Priorities(1, 0), "examples": Priorities(1, 2)}


def counter(
    fixed: int, turns: list[int], examples: list[int], sections: Sequence[int] = ()
) -> CountAll:
    def count(ranks: Sequence[int], kept: int, shown: int) -> int:
        parts = (examples[i] for i in ranks), turns[len(turns) - kept :], sections[:shown]
        return fixed + sum(sum(part) for part in parts)

    return count


@given(
    sizes, sizes, st.lists(st.tuples(st.integers(1, 30), st.sampled_from([-1, 0, 0.5, 1, 2, 3]))),
    st.integers(0, 20), st.integers(0, 200), st.integers(0, 8), st.sampled_from([*FIRST]),
    st.floats(0.05, 1),
)  # fmt: skip
def test_never_over_the_limit_and_never_wasteful(
    turns: list[int], examples: list[int], parts: list[tuple[int, float]], fixed: int, limit: int,
    k: int, first: str, share: float,
) -> None:  # fmt: skip
    parts = sorted(parts, key=lambda part: -part[1])
    sections = [size for size, _ in parts]
    count = counter(fixed, turns, examples, sections)
    scores = [1 - n / 100 for n in range(len(examples))]
    priorities = FIRST[first]._replace(sections=tuple(at for _, at in parts))

    def fit() -> Shared:
        return fit_all(
            scores, len(turns), count, k=k, limit=limit, priorities=priorities, claim=share
        )

    if fixed > limit:
        with pytest.raises(BudgetError):
            fit()
        return
    found = fit()
    chosen = found.fit.chosen
    assert count(chosen, found.turns, found.sections) == found.fit.tokens <= limit
    assert len(chosen) <= k and 0 <= found.turns <= len(turns)
    if found.turns < len(turns):  # no further turn fits beside what is shown
        assert count(chosen, found.turns + 1, found.sections) > limit
    next_section = priorities.sections[found.sections :]
    all_turns, all_examples = found.turns == len(turns), len(chosen) == min(k, len(examples))
    if next_section and all_turns and all_examples:  # nor a further section
        assert count(chosen, found.turns, found.sections + 1) > limit
    for at in priorities.sections[: found.sections]:  # what is more important is all there
        assert all_turns or at >= priorities.history
        assert all_examples or at >= priorities.examples
    if count(range(min(k, len(examples))), len(turns), len(sections)) <= limit:
        assert len(chosen) == min(k, len(examples)) and found.turns == len(turns)
        assert found.sections == len(sections)


def test_what_has_a_lower_priority_leaves_first() -> None:
    count = counter(10, [10] * 2, [10] * 2, [20, 20, 5])

    def kept(limit: int) -> tuple[int, int, int]:
        priorities = Priorities(history=1, examples=0, sections=(5, 0.5, -1))
        found = fit_all([0.9] * 2, 2, count, k=2, limit=limit, priorities=priorities)
        return found.sections, found.turns, len(found.fit.chosen)

    assert kept(95) == (3, 2, 2)  # all of it
    assert kept(94) == (2, 2, 2)  # the section of priority -1 leaves before any example
    assert kept(89) == (2, 2, 1)  # examples before the one of 0.5
    assert kept(70) == (2, 2, 0)
    assert kept(69) == (1, 2, 1)  # it leaves whole, and what it took is free again
    assert kept(49) == (1, 1, 0)  # history before the section of priority 5
    assert kept(30) == (1, 0, 0)
    # Its room is taken by what comes after it, but by no section of lower priority.
    assert kept(29) == (0, 1, 0)
    assert kept(16) == (0, 0, 0)


def test_the_least_number_of_examples_comes_before_any_section() -> None:
    count = counter(10, [10], [10] * 3, [50])
    priorities = Priorities(sections=(9,))
    found = fit_all([0.9] * 3, 1, count, k=3, limit=70, min_k=2, priorities=priorities)
    assert (found.sections, found.turns, len(found.fit.chosen)) == (0, 1, 3)


def test_examples_get_what_is_left_when_there_had_to_be_some() -> None:
    count = counter(0, [60, 60], [10] * 10)
    found = fit_all([0.9] * 10, 2, count, k=10, limit=100, min_k=5)
    assert (found.turns, len(found.fit.chosen)) == (0, 10)


def test_priority_and_share_decide_who_gives_way() -> None:
    turns, examples = [10] * 10, [10] * 10
    count = counter(0, turns, examples)
    scores = [0.9] * 10

    def both(priority: str, share: float) -> tuple[int, int]:
        found = fit_all(scores, 10, count, k=10, limit=100, priorities=FIRST[priority], claim=share)
        return found.turns, len(found.fit.chosen)

    assert both("history", 1.0) == (10, 0)
    assert both("examples", 1.0) == (0, 10)
    assert both("history", 0.6) == (6, 4)
    assert both("examples", 0.6) == (4, 6)


def test_what_one_part_does_not_need_the_other_gets() -> None:
    count = counter(0, [10] * 10, [10] * 2)
    found = fit_all([0.9, 0.9], 10, count, k=8, limit=100, priorities=FIRST["history"], claim=0.3)
    assert (found.turns, len(found.fit.chosen)) == (8, 2)
    count = counter(0, [10], [10] * 20)
    found = fit_all([0.9] * 20, 1, count, k=20, limit=100, priorities=FIRST["examples"], claim=0.3)
    assert (found.turns, len(found.fit.chosen)) == (1, 9)


def test_ten_thousand_turns_take_few_counts() -> None:
    counted = 0

    def count(ranks: Sequence[int], kept: int, sections: int) -> int:
        nonlocal counted
        counted += 1
        return 10 + 5 * kept + 7 * len(ranks)

    found = fit_all([0.9] * 5, 10_000, count, k=5, limit=1000, claim=0.5)
    assert found.turns == 191 and len(found.fit.chosen) == 5 and counted < 60


def test_a_template_that_says_more_without_examples() -> None:
    def count(ranks: Sequence[int], kept: int, sections: int) -> int:
        return (40 if not ranks else 10 * len(ranks)) + 10 * kept

    found = fit_all([0.9] * 3, 5, count, k=3, limit=45, priorities=FIRST["examples"])
    assert count(found.fit.chosen, found.turns, 0) == found.fit.tokens <= 45


def test_asking_for_one_example_never_gives_fewer() -> None:
    count = counter(0, [10], [40] * 3, [20])
    priorities = Priorities(0, 3, (-1,))
    for least in (0, 1):
        found = fit_all(
            [0.9, 0.8, 0.7], 1, count, limit=100, priorities=priorities, claim=0.3, k=3, min_k=least
        )
        assert (found.fit.chosen, found.turns, found.sections) == ((0, 1), 1, 0)


def test_what_examples_leave_when_they_are_chosen_anew_is_offered() -> None:
    count = counter(16, [12, 18, 4, 22, 22][::-1], [3, 28, 20, 11, 8, 26], [3])
    found = fit_all(
        [1 - n / 100 for n in range(6)], 5, count, limit=89, priorities=Priorities(2, 1, (3,)), k=5,
        min_k=2, max_example_tokens=20,
    )  # fmt: skip
    assert count(found.fit.chosen, found.turns + 1, found.sections) > 89
