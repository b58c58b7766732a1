"""Settings written into front matter: they are read as meant, and nothing else has changed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import TemplateError
from promptlib.templating.frontmatter import split_template
from promptlib.templating.rewriting import TUNED, with_settings

FLOW = """\
---
description: x   # stays
# above
examples: {store: tickets, k: 4,   lambda_mult: 0.1}   # beside
inputs:
  query: {type: string}
budget:
  tokens: 300   # the limit
  # of the answer
  reserve: 10
---
body {{ query }}
"""
BLOCK = """\
---
"examples":
  store: tickets   # the store
  max_per_label: 2

  # why the order matters
  order: edges
  where:
    - status=open

# The budget of the small model
budget: {tokens: 300}
---
body
"""
SETTINGS = {"examples": {"strategy": "balanced", "k": 2, "max_per_label": None, "lambda_mult": 0.3}}


def comments(text: str) -> list[str]:
    return [
        line.partition("#")[2] for line in text.splitlines() if "#" in line and TUNED not in line
    ]


@pytest.mark.parametrize("source", [FLOW, BLOCK, FLOW.replace("\n", "\r\n"), "\ufeff" + BLOCK])
def test_settings_are_read_as_meant_and_all_else_stays(source: str) -> None:
    written = with_settings(source, "t.j2", SETTINGS, "evidence")
    front = split_template(written.removeprefix("\ufeff").replace("\r\n", "\n"), "t.j2").front
    assert front.examples is not None and front.examples.store == "tickets"
    assert (front.examples.strategy, front.examples.k) == ("balanced", 2)
    assert front.examples.max_per_label is None and front.examples.lambda_mult == 0.3
    assert front.budget.tokens == 300
    assert comments(written) == comments(source)
    assert (written.count(TUNED) == 1 and "\r\n" in written) or "\r" not in source
    assert written.endswith(source[source.rindex("---") :])
    assert written.startswith("\ufeff") == source.startswith("\ufeff")
    assert written.count("\r\n") in (0, written.count("\n"))
    again = with_settings(written, "t.j2", SETTINGS, "evidence")
    assert again == written


def test_other_lines_stay_to_the_letter() -> None:
    written = with_settings(FLOW, "t.j2", {"budget": {"tokens": 200}}, "why")
    expected = FLOW.replace("tokens: 300", "tokens: 200").replace("budget:", f"{TUNED}why\nbudget:")
    assert written == expected


@pytest.mark.parametrize(
    ("head", "changes"),
    [
        ("# only a comment\n", {"examples": {"k": 3}}),
        ("examples:\n", {"examples": {"k": 3, "strategy": "mmr"}}),
        ("examples: {}\n", {"examples": {"k": 3}}),
        ("examples: {k: 1}\n", {"examples": {"k": None}}),
        ("examples:\n  k: 1\n", {"examples": {"k": None}}),
        ("examples: {k: 1, store: a}\n", {"examples": {"k": None, "seed": 3}}),
        ("examples: {store: a, k: 1}\n", {"examples": {"k": None}}),
        ("examples: {\n  store: a,\n  k: 1\n}\n", {"examples": {"k": 2, "seed": 1}}),
        ("examples:\n  where: {a: b}   # last\n", {"examples": {"k": 2}}),
        ("examples:\n  where:\n    a: b\n", {"examples": {"k": 2}}),
        ("description: 'a\u2028b'\nexamples: {k: 1}\n", {"examples": {"k": 2}}),
        ("budget:\n  tokens: 5", {"examples": {"k": 2}, "budget": {"tokens": 7}}),
    ],
)
def test_every_shape_of_front_matter(head: str, changes: Any) -> None:
    end = "" if head.endswith("\n") else "\n"
    written = with_settings(f"---\n{head}{end}---\nbody\n", "t.j2", changes, "why")
    front = split_template(written, "t.j2").front
    for part, keys in changes.items():
        for key, value in keys.items():
            assert getattr(getattr(front, part), key, None) == value
    assert written.endswith("---\nbody\n") and comments(written) == comments(head)


keys = st.fixed_dictionaries(
    {},
    optional={
        "k": st.none() | st.integers(0, 9),
        "strategy": st.none() | st.sampled_from(["mmr", "dpp"]),
        "max_per_label": st.none() | st.integers(1, 9),
        "border": st.none() | st.floats(0, 1),
        "order": st.none() | st.sampled_from(["edges"]),
    },
)


@given(st.lists(keys.filter(bool), min_size=1, max_size=4), st.sampled_from([FLOW, BLOCK]))
def test_one_change_after_the_other(changes: list[dict[str, Any]], source: str) -> None:
    text, expected = source, {}
    for change in changes:
        text = with_settings(text, "t.j2", {"examples": change}, "why")
        expected |= change
    front = split_template(text, "t.j2").front
    assert front.examples is not None and front.examples.store == "tickets"
    assert all(getattr(front.examples, key) == value for key, value in expected.items())
    lost = {} if expected.get("order", "edges") else {" why the order matters"}
    assert {*comments(source)} - {*comments(text)} <= {*lost}


def test_what_cannot_be_edited_is_refused() -> None:
    with pytest.raises(TemplateError, match="there is no front matter to write settings into"):
        with_settings("body", "t.j2", SETTINGS, "why")
    with pytest.raises(TemplateError):
        with_settings(FLOW, "t.j2", {"examples": {"k": -1}}, "why")
