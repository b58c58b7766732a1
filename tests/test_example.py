import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import ExampleError
from promptlib.example import Example, Recipe, retrieval_text
from promptlib.message import ROLES
from promptlib.text import canonical_json

text = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1
).filter(str.strip)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": text}),
    min_size=1,
    max_size=4,
)
contents = text | st.dictionaries(text, values, min_size=1, max_size=3) | messages
metadata = st.dictionaries(text, values, max_size=3)
examples = st.builds(Example, contents, contents, st.none() | text, metadata)


@given(examples)
def test_rows_round_trip(example: Example) -> None:
    row = json.loads(json.dumps(example.to_dict()))
    assert Example.from_dict(row) == example
    stored = Example.from_stored(example.id, example.content, example.content_hash, example.status)
    assert stored == example and stored.content == example.content


@given(examples)
def test_the_content_is_canonical_json(example: Example) -> None:
    row = example.to_dict()
    assert example.content == canonical_json({key: row[key] for key in row if key != "id"})


@given(examples)
def test_the_id_is_a_hash_of_the_content(example: Example) -> None:
    assert example.id == example.content_hash[:16]
    assert Example(**json.loads(example.content)).id == example.id


def test_hashing_is_blind_to_how_characters_are_composed() -> None:
    word = "Grüße"
    decomposed = unicodedata.normalize("NFD", word)
    assert Example(word, "x").id == Example(decomposed, "x").id
    assert Example(decomposed, "x").input == decomposed  # only the hash is normalised


def test_unknown_keys_become_metadata() -> None:
    example = Example.from_dict(
        {"input": "a", "output": "b", "metadata": {"x": 1}, "source": "web"}
    )
    assert example.metadata == {"x": 1, "source": "web"}


def test_only_a_draft_may_wait_for_its_output() -> None:
    assert Example.from_dict({"input": "a"}).status == "draft"
    with pytest.raises(ExampleError, match="output is missing"):
        Example("a")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"output": "x"}, "input is missing; the row has output"),
        ({"input": " ", "output": "x"}, "input is empty"),
        ({"input": "x", "output": ""}, "output is empty"),
        ({"input": {}, "output": "x"}, "input is empty"),
        ({"input": 5, "output": "x"}, "input must be text"),
        ({"input": "x", "output": True}, "output must be text"),
        ({"input": ["x"], "output": "x"}, "not of messages: a message must be an object"),
        ({"input": [{"role": "usr", "content": "x"}], "output": "x"}, "did you mean 'user'"),
        ({"input": [{"role": "user"}], "output": "x"}, "a message lacks content"),
        ({"input": "a\0b", "output": "x"}, "NUL"),
        ({"input": "a\ud800", "output": "x"}, r"lone surrogate \(U\+D800\)"),
        ({"input": "x" * 5_000_000, "output": "x"}, "5.0 MB; at most 1 MB"),
        ({"input": "x", "output": "x", "label": 3}, "label must be non-empty text, not a number"),
        ({"input": "x", "output": "x", "metadata": [1]}, "metadata must be an object"),
        ({"input": "x", "output": "x", "status": "aproved"}, "did you mean 'approved'"),
        ({"input": "x", "output": "x", "id": 7}, "id must be text"),
        ({"input": "x", "output": "x", "score": float("nan")}, "can't be written as JSON"),
        ("text", "a row must be an object, not text"),
    ],
)
def test_what_cannot_be_an_example_is_refused(row: object, reason: str) -> None:
    with pytest.raises(ExampleError, match=reason):
        Example.from_dict(row)  # type: ignore[arg-type]


def test_an_escaped_backslash_is_not_a_nul_byte() -> None:
    assert Example("\\u0000", "x").input == "\\u0000"


def test_nesting_without_end_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ExampleError, match="nested too deeply"):
        Example("x", "y", metadata={"deep": deep})


def test_what_retrieval_reads() -> None:
    assert retrieval_text("plain") == "plain"
    assert retrieval_text({"title": "A", "size": 3}) == "size: 3\ntitle: A"
    assert retrieval_text([{"role": "user", "content": "hi"}]) == "user: hi"


def test_a_recipe_chooses_fields_and_the_last_turns() -> None:
    fields = {"question": "why?", "context": "because", "source": "x"}
    assert retrieval_text(fields, Recipe(("question",))) == "why?"
    both = retrieval_text(fields, Recipe(("question", "context")))
    assert both == "question: why?\ncontext: because"
    with pytest.raises(ExampleError, match="none of the fields that are embedded: title; has"):
        retrieval_text(fields, Recipe(("title",)))
    talk = [{"role": role, "content": f"{role} {n}"} for n in range(3) for role in ROLES[2:4]]
    assert retrieval_text(talk, Recipe(turns=1)) == "user: user 2\nassistant: assistant 2"
    assert retrieval_text(talk, Recipe(turns=9)) == retrieval_text(talk)


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1))
def test_the_text_of_an_object_does_not_depend_on_the_order_of_its_keys(
    fields: dict[str, str],
) -> None:
    turned = dict(reversed(fields.items()))
    assert retrieval_text(fields) == retrieval_text(turned)
