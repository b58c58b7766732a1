import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import ConfigError
from promptlib.example import Example
from promptlib.filtering import Condition, Matcher, Where

ROW = Example(
    {"question": "why?"}, {"intent": "ask", "slots": {"n": 2}}, metadata={
        "speaker": "user", "turn": 3, "tags": ["a", "b"], "deep": {"er": "x"}, "a.b": "dotted",
        "no": None, "yes": True,
    }, id="r1",
)  # fmt: skip


def meets(*texts: str) -> bool:
    return Matcher(Where.parse(texts)).matches(ROW, "ask")


@pytest.mark.parametrize(
    "text",
    [
        "label=ask", "label!=tell", "status=approved", "id=r1", "speaker=user", "yes=true",
        "speaker != system", "turn=3", "tags=a", "tags!=c", "deep.er=x", "a.b=dotted",
        "metadata.speaker=user",
        "output.intent=ask", "output.slots.n=2", "input.question=why?", "no!=x", "nowhere!=x",
        'deep={"er":"x"}', "speaker=  user ",
    ],
)  # fmt: skip
def test_conditions_that_hold(text: str) -> None:
    assert meets(text)
    turned = text.replace("!=", "=") if "!=" in text else text.replace("=", "!=", 1)
    assert not meets(turned)


def test_the_same_field_again_is_an_alternative_and_other_fields_must_hold_too() -> None:
    assert meets("label=tell", "label=ask") and not meets("label=ask", "turn=4")
    assert not meets("turn!=3", "turn!=4")
    as_object = Where.parse({"label": ["tell", "ask"], "turn": 3})
    assert Matcher(as_object).matches(ROW, "ask")
    assert Where.parse(None) == Where(()) and not Where.parse({})


@pytest.mark.parametrize("text", ["label", "=x", "", "a b", "!=x"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ConfigError, match="is not FIELD=VALUE"):
        Where.parse([text])


def test_a_field_that_no_row_has_is_named_with_those_that_are_near() -> None:
    matcher = Matcher(Where.parse(["speeker=user"]))
    matcher.check()  # no rows, no opinion
    assert not matcher.matches(ROW, "ask")
    with pytest.raises(ConfigError, match="no row has a field 'speeker'; did you mean 'speaker'"):
        matcher.check()


names = st.from_regex(r"[a-z][a-z.]{0,6}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
conditions = st.lists(
    st.builds(Condition, names, st.frozensets(values, max_size=3), st.booleans()), max_size=4
)


@given(conditions)
def test_a_manifest_can_tell_conditions_again(given_conditions: list[Condition]) -> None:
    data = json.loads(json.dumps(Where(tuple(given_conditions)).to_data()))
    again = [Condition(c["field"], frozenset(c["values"]), c["negated"]) for c in data]
    assert again == given_conditions


def test_no_values_meet_nothing() -> None:
    assert not Matcher(Where.parse({"label": []})).matches(ROW, "ask")
