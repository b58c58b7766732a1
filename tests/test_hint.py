import pytest

from promptlib.hint import Volume, volume_hint


def classes(per_class: int, count: int = 5) -> Volume:
    rows = per_class * count
    return Volume(rows, rows, {f"c{n}": per_class for n in range(count)})


@pytest.mark.parametrize(
    ("per_class", "grade", "source"),
    [
        (7, "too few to ask", None),
        (8, "early to ask", "SetFit"),
        (20, "early to ask", "Loukas"),
        (49, "early to ask", "Loukas"),
        (50, "worth asking", "OpenAI"),
    ],
)
def test_classes_are_graded_by_their_median(per_class: int, grade: str, source: str | None) -> None:
    hint = volume_hint(classes(per_class), shown=8)
    assert hint is not None and hint.grade == grade and hint.per_class == (per_class,) * 3
    assert (source is None) == (not hint.passed)
    if source is not None:
        assert source in hint.passed[-1].source and source in str(hint)


@pytest.mark.parametrize(
    ("rows", "grade"),
    [(9, "too few to ask"), (10, "early to ask"), (50, "early to ask"), (1000, "worth asking")],
)
def test_without_classes_distinct_rows_count(rows: int, grade: str) -> None:
    hint = volume_hint(Volume(5 * rows, rows, {}), shown=8)
    assert hint is not None and hint.grade == grade and hint.per_class is None


def test_it_says_what_prompts_can_show_and_never_fine_tune() -> None:
    hint = volume_hint(classes(200), shown=8)
    assert hint is not None and hint.share == 8 / 1000
    text = str(hint)
    assert "a prompt shows at most 8 of them (0.8 %)" in text and "worth asking whether" in text
    assert hint.to_dict()["text"] == text


def test_an_empty_store_has_no_hint() -> None:
    assert volume_hint(Volume(0, 0, {}), shown=0) is None
