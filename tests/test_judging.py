"""Whether answers are right: what is found in them, and every metric."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import ConfigError
from promptlib.judging.metrics import METRICS, Wanted, find_metric, judge, usual_metric
from promptlib.judging.reading import normal_label, read_json, read_number
from promptlib.models.answer import Answer
from promptlib.text import canonical_json


def answer(text: str, finish: Any = "stop") -> Answer:
    return Answer(text, finish, 1, 1, 0.1, 0.0)


def score(metric: str, text: str, output: Any, label: str | None = None) -> float:
    return judge(answer(text), Wanted(output, label), find_metric(metric)).score


@pytest.mark.parametrize(
    "said",
    [
        "card_lost", " Card_Lost\nbecause ...", "**card_lost**", '"card_lost".', "`card_lost`",
        "\n\ncard_lost.",
    ],
)  # fmt: skip
def test_a_label_is_a_label_however_it_is_dressed(said: str) -> None:
    assert score("label", said, "card_lost", "card_lost") == 1


@pytest.mark.parametrize("said", ["card_lost_2", "the label is card_lost", "card", "pin"])
def test_another_label_is_another(said: str) -> None:
    assert score("label", said, "card_lost", "card_lost") == 0


@given(st.text(min_size=1).filter(lambda text: normal_label(text)))
def test_a_label_is_its_own(label: str) -> None:
    assert score("label", label, label, label) == 1
    assert normal_label(normal_label(label)) == normal_label(label) or len(label) > 1


def test_a_label_that_ends_in_a_question_mark_keeps_it() -> None:
    assert score("label", "reverted_card_payment?", "x", "reverted_card_payment?") == 1
    assert score("label", "reverted_card_payment", "x", "reverted_card_payment?") == 0


def test_what_is_no_label_is_wrong_in_form() -> None:
    wanted = Wanted("a", "a", ["a", "b"])
    assert judge(answer("b"), wanted, find_metric("label")).kind == "wrong"
    assert judge(answer("zebra"), wanted, find_metric("label")).kind == "format"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3 + 4 = 7\n#### 7", "7"), ("The answer is 1,234.50.", "1234.50"),
        ("\\boxed{-3}", "-3"),
        ("I have 5 apples and 6 pears", "6"), ("answer: 12 of 40", "12"), ("none", None),
        ("#### $1,000", "1000"), ("The answer is 4. I checked 9 times. #### 4", "4"),
    ],
)  # fmt: skip
def test_the_number_that_an_answer_comes_to(text: str, number: str | None) -> None:
    assert read_number(text) == (None if number is None else Decimal(number))


@given(st.integers(-(10**12), 10**12), st.booleans())
def test_any_number_is_found_with_and_without_commas(number: int, commas: bool) -> None:
    text = f"{number:,}" if commas else str(number)
    assert read_number(f"first 12, then\n#### {text}") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("To answer this, take 5 and add 7. The total is 12.", "12"), ("answer: .5", "0.5"),
        ("Let me answer step by step: 2+2=4, 4*3=12.", "12"),
        ("My answer has 3 steps. 5+7=12", "12"),
        ("The answer is $12 because 3*4=12; question 2.", "12"), ("**Answer:** 7 of 9", "7"),
    ],
)  # fmt: skip
def test_a_number_beside_the_word_answer_is_not_the_answer(text: str, number: str) -> None:
    assert read_number(text) == Decimal(number)


def test_json_numbers_are_numbers_and_deep_json_is_no_end() -> None:
    assert score("json", '{"a": 1}', {"a": 1.0}) == 1
    assert score("json", '{"a": "1"}', {"a": 1}) == 0
    assert score("json", '{"a": true}', {"a": 1}) == 0
    deep = "[" * 600 + "]" * 600
    assert 0 <= score("json", deep, {"a": 1}) <= 1
    assert score("json", "[1," * 20_000, {"a": 1}) == 0


def test_a_function_that_exits_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out.py").write_text("import sys\ndef f(*a): sys.exit(0)\n")
    (tmp_path / "gone.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ConfigError, match="SystemExit"):
        score(f"python:{tmp_path}/out.py:f", "a", "a")
    with pytest.raises(ConfigError, match="SystemExit"):
        find_metric(f"python:{tmp_path}/gone.py:f")


def test_numbers_are_compared_by_value() -> None:
    assert score("number", "#### 7.0", "steps\n#### 7") == 1
    assert score("number", "#### 8", "steps\n#### 7") == 0
    wanted = Wanted("#### 7", None)
    assert judge(answer("no idea"), wanted, find_metric("number")).kind == "format"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.integers(0, 2))
def test_json_is_found_in_talk_and_fences(value: Any, dress: int) -> None:
    text = json.dumps(value)
    dressed = [text, f"Sure!\n```json\n{text}\n```\nAnything else?", f"{text}\nThere."][dress]
    assert canonical_json(read_json(dressed)) == canonical_json(value)


@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=1, max_size=3), min_size=1))
def test_fields_that_are_all_right_score_one(output: dict[str, str]) -> None:
    assert score("json", json.dumps(output), output) == 1
    assert score("json", json.dumps(output), json.dumps(output)) == 1


def test_fields_that_are_partly_right_score_by_f1() -> None:
    output = {"intent": "Play", "slots": {"artist": ["Dylan"], "year": ["1963"]}}
    said = {"intent": "play", "slots": {"artist": ["Dylan"]}}
    assert score("json", json.dumps(said), output) == pytest.approx(2 * 2 / (2 + 3))
    assert score("json", "no JSON", output) == 0
    assert score("json", "{}", output) == 0


def test_simple_metrics() -> None:
    assert score("exact", " yes \n", "yes") == 1 and score("exact", "Yes", "yes") == 0
    assert score("contains", "it is yes indeed", "yes") == 1 and score("contains", "no", "yes") == 0
    assert score(r"regex:^\d{3}$", "a\n123\nb", "") == 1 and score(r"regex:^\d+$", "a1", "") == 0


def test_similar_is_a_cosine_between_nothing_and_all() -> None:
    metric = find_metric("similar", lambda one, other: -0.2 if one == "bad" else 0.75)
    assert judge(answer("good"), Wanted("x", None), metric).score == 0.75
    assert judge(answer("bad"), Wanted("x", None), metric).score == 0


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def half(answer, output, row): return 0.5\n"
        "def same(answer, output, row): return answer == row['output']\n"
        "def odd(answer, output, row): return 'yes'\n"
        "def bad(answer, output, row): return 1 / 0\n"
    )
    wanted = Wanted("a", None, row={"output": "a"})
    assert judge(answer("a"), wanted, find_metric(f"python:{file}:half")).score == 0.5
    assert judge(answer("a"), wanted, find_metric(f"python:{file}:same")).kind == "right"
    for name, problem in (
        ("odd", "must return"),
        ("bad", "ZeroDivisionError"),
        ("none", "no funct"),
    ):
        with pytest.raises(ConfigError, match=problem):
            judge(answer("a"), wanted, find_metric(f"python:{file}:{name}"))


@pytest.mark.parametrize(
    "name", ["labell", "regex:(", "python:nothing.py:f", "python:x", "similar"]
)
def test_a_metric_that_is_not_one(name: str) -> None:
    with pytest.raises(ConfigError):
        find_metric(name)


@pytest.mark.parametrize("metric", ["label", "exact", "contains", "json", "number", "regex:."])
def test_refusals_and_empty_answers_are_wrong_whatever_the_metric(metric: str) -> None:
    wanted = Wanted("I can't", "I can't")
    judged = find_metric(metric)
    assert judge(answer("I can't", "refusal"), wanted, judged).kind == "refused"
    assert judge(answer(" \n"), wanted, judged).kind == "empty"
    assert judge(answer("zz", "length"), wanted, judged).kind in ("cut", "right")


def test_the_usual_metric_is_what_the_rows_suggest() -> None:
    assert usual_metric([Wanted({"a": 1}, "x")]) == "json"
    assert usual_metric([Wanted("x", "x")]) == "label"
    assert usual_metric([Wanted("so\n#### 3", None), Wanted("12", None)]) == "number"
    assert usual_metric([Wanted("a poem", None)]) == "similar"
    assert "label" in METRICS


@given(st.sampled_from(["label", "exact", "contains", "json", "number"]), st.text(), st.text())
def test_no_answer_breaks_a_metric(metric: str, text: str, output: str) -> None:
    assert 0 <= score(metric, text, output, output) <= 1
